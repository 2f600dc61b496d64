import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hash32 } from '#base/hash.js'
import { ByteReader, ByteWriter } from '#journal/bytes.js'
import {
  ENCODING_CONSTANT,
  ENCODING_DECIMAL,
  ENCODING_DELTA,
  ENCODING_DELTA_OF_DELTA,
  ENCODING_DICTIONARY,
  ENCODING_PACKED,
  ENCODING_RAW,
  ENCODING_XOR,
} from '#journal/columns/chunk-entry.js'
import { DecimalReader, DecimalWriter } from '#journal/columns/decimal.js'
import { CODEC_BROTLI } from '#journal/columns/last-stage.js'
import { type Order, ORDERS, WholeNumberReader, WholeNumberWriter } from '#journal/columns/whole-numbers.js'
import { XorReader, XorWriter } from '#journal/columns/xor.js'
import { soakTimes } from '../../soak.js'
import { readNarrow, readWhole, readWide, undone, writeWhole, writeXor, writtenAgain } from '../../models/number-chunks.js'
import type { Plan } from '../../models/packed.js'
import { type Chunk, chooseNarrow, chooseWide, narrowWords, wideWords, wordsOf } from './chunks.js'
import { columnOf, doubles, narrowWordsOf, singlesOf, wholes, runs } from './values.js'

const RUNS = runs(soakTimes({ smoke: 100, full: 10000 }))

describe('wide values that a chooser encoded', () => {
  test.each([
    ['doubles of any kind', columnOf(doubles), 'f64'],
    ['whole numbers', columnOf(wholes), 'whole'],
    ['whole numbers called doubles', columnOf(wholes), 'f64'],
    ['doubles called whole numbers', columnOf(doubles), 'whole'],
  ] as const)('come back bit for bit, to the slow twin too: %s', (_, column, kind) => {
    fc.assert(
      fc.property(column, (words) => {
        const chunk = chooseWide(words, kind)
        const count = words.length / 2

        expect(wideWords(chunk, count)).toEqual(words)
        expect(readWide(chunk.entry.encoding, bytesOf(chunk), count)).toEqual(bigs(words, 2))
        expect(writtenAgain(chunk.entry.encoding, bytesOf(chunk), count)).toEqual(bytesOf(chunk))
      }),
      RUNS,
    )
  })

  test('say what is in them for scans that skip', () => {
    const { entry } = chooseWide(wordsOf([NaN, ...Array.from({ length: 40 }, (_, index) => (index * 7) % 13), -0.5]), 'f64')

    expect(entry.zone).toEqual({ min: -0.5, max: 12, count: 41 })
  })
})

describe('narrow values that a chooser encoded', () => {
  test.each([
    ['unsigned', columnOf(narrowWordsOf('unsigned'))],
    ['signed', columnOf(narrowWordsOf('signed'))],
    ['f32', columnOf(singlesOf)],
  ] as const)('come back bit for bit, to the slow twin too: %s', (kind, column) => {
    fc.assert(
      fc.property(column, (words) => {
        const chunk = chooseNarrow(words, kind)

        expect(narrowWords(chunk, words.length)).toEqual(words)
        expect(readNarrow(chunk.entry.encoding, bytesOf(chunk), words.length)).toEqual(bigs(words, 1))
        expect(writtenAgain(chunk.entry.encoding, bytesOf(chunk), words.length)).toEqual(bytesOf(chunk))
      }),
      RUNS,
    )
  })
})

describe('a chooser', () => {
  const many = (value: (at: number) => number): Uint32Array => wordsOf(Array.from({ length: 3000 }, (_, at) => value(at)))
  const noise = (at: number): number => hash32(Uint8Array.of(at, at >>> 8)) / 2 ** 32

  test.each([
    ['constant', ENCODING_CONSTANT, 'f64', many(() => 21.5)],
    ['packed', ENCODING_PACKED, 'whole', many((at) => Math.floor(noise(at) * 1000))],
    ['delta', ENCODING_DELTA, 'whole', many((at) => 1.7e15 + at * 1000 + Math.floor(noise(at) * 7))],
    ['delta of delta', ENCODING_DELTA_OF_DELTA, 'whole', many((at) => at * at * 31)],
    ['decimal', ENCODING_DECIMAL, 'f64', many((at) => Math.round(noise(at) * 1e6) / 1000)],
    [
      'decimal, though some are a step off',
      ENCODING_DECIMAL,
      'f64',
      many((at) => (at % 9 === 0 ? 0.1 + 0.2 + at : Math.round(noise(at) * 1e6) / 1000)),
    ],
    ['dictionary', ENCODING_DICTIONARY, 'f64', many((at) => Math.sin(Math.floor(noise(at) * 40)))],
    ['XOR', ENCODING_XOR, 'f64', many((at) => Math.sqrt(1e6 + at))],
    ['raw', ENCODING_RAW, 'f64', many((at) => Math.sin(at) * Math.exp(noise(at) * 30))],
  ] as const)('takes %s where that is least', (_, encoding, kind, words) => {
    const chunk = chooseWide(words, kind)

    expect(chunk.entry.encoding).toBe(encoding)
    expect(wideWords(chunk, 3000)).toEqual(words)
  })

  test('adds a last stage where values come again in the same order', () => {
    const { entry } = chooseWide(
      many((at) => Math.floor(noise(at % 500) * 1e6)),
      'whole',
    )

    expect(entry.codec).toBe(CODEC_BROTLI)
    expect(entry.bytes).toBeLessThan(2500)
  })
})

describe('each encoding of doubles by itself', () => {
  test('XOR comes back bit for bit, and both twins write the same bytes', () => {
    fc.assert(
      fc.property(columnOf(doubles), (words) => {
        const out = new ByteWriter(16)
        new XorWriter().write(words, words.length / 2, out)

        expect([...out.written()]).toEqual(writeXor(bigs(words, 2)))
        const back = new Uint32Array(words.length)
        new XorReader().read(new ByteReader(out.written()), words.length / 2, back)
        expect(back).toEqual(words)
      }),
      RUNS,
    )
  })

  test('decimals with any number of digits and any patches come back bit for bit', () => {
    const writer = new DecimalWriter(new WholeNumberWriter())
    const reader = new DecimalReader(new WholeNumberReader())
    fc.assert(
      fc.property(columnOf(doubles), fc.nat(22), fc.constantFrom<Order>(...ORDERS), (words, exponent, order) => {
        const count = words.length / 2
        const values = new Float64Array(words.buffer)
        const out = new ByteWriter(16)
        writer.prepare(values, words, count, exponent)
        if (!writer.write(words, count, order, 'short', out)) return

        const back = new Float64Array(count)
        reader.read(new ByteReader(out.written()), count, back, new Uint32Array(back.buffer))
        expect(new Uint32Array(back.buffer)).toEqual(words)
        expect(readWide(7, [...out.written()], count)).toEqual(bigs(words, 2))
      }),
      RUNS,
    )
  })
})

describe('whole numbers by themselves', () => {
  const writer = new WholeNumberWriter()
  const reader = new WholeNumberReader()

  test.each(ORDERS)('come back in order %i, packed shortly and in whole bytes, to the slow twin too', (order) => {
    fc.assert(
      fc.property(columnOf(wholes), fc.boolean(), (words, isShort) => {
        const values = new Float64Array(words.buffer)
        const out = new ByteWriter(16)
        if (!writer.write(values, values.length, order, isShort ? 'short' : 'bytes', out)) return

        const back = new Float64Array(values.length)
        reader.read(new ByteReader(out.written()), values.length, order, back)
        expect(back).toEqual(values)
        expect(readWhole(order, [...out.written()], values.length)).toEqual([...values].map(BigInt))
      }),
      RUNS,
    )
  })

  test.each(ORDERS)('are read in order %i as the slow twin wrote them, in any bins', (order) => {
    fc.assert(
      fc.property(columnOf(wholes), fc.integer({ min: 4, max: 12 }), fc.boolean(), (words, stateBits, isRuns) => {
        const values = new Float64Array(words.buffer)
        const numbers = [...values].map(BigInt)
        // Steps that leave the safe integers would be rounded on the way; a writer of ours makes none.
        fc.pre(values.length > order && numbers.every((number) => number < 2n ** 50n && number > -(2n ** 50n)))
        const bins = (packed: readonly bigint[]): Plan => ({ form: 'binned', stateBits, bins: someBins(packed, 2 ** stateBits) })
        const plan = (packed: bigint[]): Plan =>
          isRuns && packed.length > 0
            ? { form: 'runs', lengths: { form: 'same bits', lowest: 0n, width: 20 }, numbers: bins(packed) }
            : bins(packed)
        const bytes = writeWhole(numbers, order, plan)

        const back = new Float64Array(values.length)
        reader.read(new ByteReader(Uint8Array.from(bytes)), values.length, order, back)
        expect([...back].map(BigInt)).toEqual(numbers)
      }),
      runs(soakTimes({ smoke: 40, full: 4000 })),
    )
  })
})

/** Some partition into bins with weights that are not those of their frequency. */
function someBins(packed: readonly bigint[], total: number): { lowest: bigint; width: number; weight: number }[] {
  const different = [...new Set(packed.length === 0 ? [0n] : packed)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const parts = Math.min(different.length, Math.floor(total / 2), 7)
  const starts = Array.from({ length: parts }, (_, part) => Math.floor((part * different.length) / parts))
  return starts.map((start, part) => {
    const lowest = different[start] as bigint
    const last = different[(starts[part + 1] ?? different.length) - 1] as bigint
    const weight = part === 0 ? total - (parts - 1) : 1
    return { lowest, width: last === lowest ? 0 : (last - lowest).toString(2).length, weight }
  })
}

function bytesOf({ entry, data }: Chunk): number[] {
  return undone(entry.codec, data.subarray(entry.offset, entry.offset + entry.bytes))
}

function bigs(words: Uint32Array, wordsPerValue: 1 | 2): bigint[] {
  if (wordsPerValue === 1) return [...words].map(BigInt)
  return Array.from(
    { length: words.length / 2 },
    (_, index) => (BigInt(words[2 * index + 1] as number) << 32n) | BigInt(words[2 * index] as number),
  )
}
