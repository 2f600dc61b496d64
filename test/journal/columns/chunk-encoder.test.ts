import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteReader, ByteWriter } from '#journal/bytes.js'
import { ColumnBuffer } from '#journal/columns/column-buffer.js'
import { decodeNarrow, decodeWide } from '#journal/columns/chunk-decoder.js'
import { ChunkEncoder, type NarrowKind, type WideKind } from '#journal/columns/chunk-encoder.js'
import {
  type ChunkEntry,
  ENCODING_CONSTANT,
  ENCODING_OFFSET,
  ENCODING_RAW,
  ENCODING_RUN_LENGTH,
  readEntry,
} from '#journal/columns/chunk-entry.js'
import { mayHold } from '#journal/columns/zone-map.js'

function wide(values: readonly number[], kind: WideKind = 'f64') {
  const encoder = new ChunkEncoder(new ByteWriter(16), new ByteWriter(16))
  encoder.staged.fit(values.length).wide.set(values)
  encoder.wideChunk(7, values.length, kind, true)
  const { entry, reader } = opened(encoder)
  const column = new ColumnBuffer()
  decodeWide(entry, reader, values.length, column)
  return { entry, values: [...column.wide.subarray(0, values.length)], words: [...column.words.subarray(0, 2 * values.length)] }
}

function narrow(values: readonly number[], kind: NarrowKind) {
  const encoder = new ChunkEncoder(new ByteWriter(16), new ByteWriter(16))
  const staged = encoder.staged.fit(values.length)
  const views = { unsigned: staged.words, signed: staged.signed, f32: staged.single }
  views[kind].set(values)
  encoder.narrowChunk(7, values.length, kind, true)
  const { entry, reader } = opened(encoder)
  const column = new ColumnBuffer()
  decodeNarrow(entry, reader, values.length, column)
  const decoded = { unsigned: column.words, signed: column.signed, f32: column.single }
  return { entry, values: [...decoded[kind].subarray(0, values.length)] }
}

function opened(encoder: ChunkEncoder): { entry: ChunkEntry; reader: ByteReader } {
  const entry = readEntry(new ByteReader(new Uint8Array(encoder.directory.written())))
  return { entry, reader: new ByteReader(new Uint8Array(encoder.data.written())) }
}

const range = (count: number, value: (index: number) => number): number[] => Array.from({ length: count }, (_, index) => value(index))

describe('a chunk of doubles', () => {
  test('comes back bit for bit, whatever is in it', () => {
    const runs = fc.array(
      fc.tuple(fc.oneof(fc.double(), fc.maxSafeInteger(), fc.constantFrom(NaN, -0, 0, Infinity)), fc.integer({ min: 1, max: 30 })),
      { minLength: 1, maxLength: 40 },
    )
    fc.assert(
      fc.property(runs, fc.constantFrom<WideKind>('f64', 'whole'), (all, kind) => {
        const values = all.flatMap(([value, length]) => range(length, () => value))

        expect(wide(values, kind).words).toEqual([...new Uint32Array(new Float64Array(values).buffer)])
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['constant', range(100, () => 4.5), 'f64', ENCODING_CONSTANT, 8],
    ['raw', range(100, (index) => Math.sin(index)), 'f64', ENCODING_RAW, 800],
    ['run length', range(100, (index) => (index < 50 ? 1.5 : 2.5)), 'f64', ENCODING_RUN_LENGTH, 1 + 2 + 16],
    ['offset of 1 byte', range(100, (index) => 1.7e15 + ((index * 37) % 100)), 'whole', ENCODING_OFFSET, 8 + 100],
    ['offset of 2 bytes', range(100, (index) => 1.7e15 + ((index * 37) % 100) * 300), 'whole', ENCODING_OFFSET, 8 + 200],
    ['offset of 4 bytes', range(100, (index) => ((index * 37) % 100) * 40_000_000), 'whole', ENCODING_OFFSET, 8 + 400],
    ['raw when whole numbers are too far apart', range(100, (index) => ((index * 37) % 100) * 1e12), 'whole', ENCODING_RAW, 800],
    ['raw when one is -0', range(100, (index) => (index === 50 ? -0 : index)), 'whole', ENCODING_RAW, 800],
  ] as const)('is stored as %s where that is least', (_, values, kind, encoding, bytes) => {
    const { entry } = wide(values, kind)

    expect([entry.encoding, entry.bytes]).toEqual([encoding, bytes])
  })
})

describe('a chunk of 32-bit values', () => {
  test('comes back as it was', () => {
    const integers = fc.oneof(fc.integer(), fc.nat(9), fc.constantFrom(-2147483648, 2147483647))
    fc.assert(
      fc.property(fc.array(integers, { minLength: 1, maxLength: 300 }), (values) => {
        expect(narrow(values, 'signed').values).toEqual(values)
        expect(
          narrow(
            values.map((value) => value >>> 0),
            'unsigned',
          ).values,
        ).toEqual(values.map((value) => value >>> 0))
        expect(narrow(values.map(Math.fround), 'f32').values).toEqual(values.map(Math.fround))
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    ['one byte', range(64, (index) => -5 + ((index * 37) % 100)), 4 + 64],
    ['two bytes', range(64, (index) => -5 + ((index * 37) % 100) * 99), 4 + 128],
    ['four bytes', range(64, (index) => ((index * 37) % 100) * 9_999_999), 256],
  ])('takes %s a value where that is enough', (_, values, bytes) => {
    expect(narrow(values, 'signed').entry.bytes).toBe(bytes)
  })
})

describe('the zone map of a chunk', () => {
  test('speaks for all values but NaN', () => {
    const values = range(20, (index) => (index === 3 ? NaN : index - 4.5))

    expect(wide(values).entry.zone).toEqual({ min: -4.5, max: 14.5, count: 19 })
    expect(wide(range(20, (index) => (index % 2 === 0 ? NaN : -NaN))).entry.zone ?? { count: 0 }).toMatchObject({ count: 0 })
  })

  test('never denies a value that is there', () => {
    const doubles = fc.double({ noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: 16, maxLength: 60 }), doubles, doubles, (values, a, b) => {
        const { zone } = wide(values).entry
        if (zone === undefined) return
        const [low, high] = [Math.min(a, b), Math.max(a, b)]

        if (values.some((value) => value >= low && value <= high)) expect(mayHold(zone, low, high)).toBe(true)
        expect(zone.count).toBe(values.filter((value) => !Number.isNaN(value)).length)
      }),
    )
  })

  test('is left out where it would cost more than looking', () => {
    expect(wide(range(15, (index) => index + 0.5)).entry.zone).toBeUndefined()
    expect(wide(range(100, () => 1)).entry.zone).toBeUndefined()
  })
})
