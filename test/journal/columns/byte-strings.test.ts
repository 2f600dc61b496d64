import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CODEC_NONE } from '#journal/columns/last-stage.js'
import { ENCODING_CONSTANT, ENCODING_DICTIONARY, ENCODING_RAW } from '#journal/columns/chunk-entry.js'
import { soakTimes } from '../../soak.js'
import { readNarrow, undone } from '../../models/number-chunks.js'
import { Bytes } from '../../models/packed.js'
import { chooseStrings, strings } from './chunks.js'
import { runs } from './values.js'

const bytesOf = (texts: readonly string[]): Uint8Array[] => texts.map((text) => new Uint8Array(Buffer.from(text)))

describe('byte strings that a chooser encoded', () => {
  test('come back as they were, to the slow twin too', () => {
    const text = fc.oneof(fc.constantFrom('', 'OVERHEAT', 'STALLED'), fc.string({ maxLength: 40 }), fc.uint8Array({ maxLength: 30 }))
    const column = fc.oneof(
      fc.array(text, { minLength: 1, maxLength: 80 }),
      fc
        .tuple(fc.array(text, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 400 }))
        .map(([few, count]) => Array.from({ length: count }, (_, at) => few[(at * at) % few.length] as string)),
    )
    fc.assert(
      fc.property(column, (values) => {
        const wanted = values.map((value) => new Uint8Array(Buffer.from(value)))
        const { chunks, data } = chooseStrings(wanted)

        expect(strings(chunks, data, wanted.length).map((value) => new Uint8Array(value))).toEqual(wanted)
        expect(twin(chunks, data, wanted.length)).toEqual(wanted.map((value) => [...value]))
      }),
      runs(soakTimes({ smoke: 100, full: 10000 })),
    )
  })

  test.each([
    ['a constant', Array.from({ length: 90 }, () => 'OVERHEAT'), ENCODING_CONSTANT],
    ['a dictionary', Array.from({ length: 90 }, (_, at) => ['READY', 'ACTIVE'][at % 2] as string), ENCODING_DICTIONARY],
    ['raw', Array.from({ length: 90 }, (_, at) => `order-${at * 7919}`), ENCODING_RAW],
  ])('are stored as %s where that is least', (_, values, encoding) => {
    expect(chooseStrings(bytesOf(values)).chunks[1]?.encoding).toBe(encoding)
  })

  test('go through a last stage when they are long and alike', () => {
    const { chunks, data } = chooseStrings(bytesOf(Array.from({ length: 300 }, (_, at) => `tool ${at} of magazine 4 was changed`)))

    expect(chunks[1]?.codec).not.toBe(CODEC_NONE)
    expect(data.length).toBeLessThan(2000)
  })
})

function twin(chunks: ReturnType<typeof chooseStrings>['chunks'], data: Uint8Array, count: number): number[][] {
  const [numbers, bytes] = chunks.map(({ codec, offset, bytes: length }) => undone(codec, data.subarray(offset, offset + length)))
  const reader = new Bytes(bytes as number[])
  if (chunks[1]?.encoding === ENCODING_CONSTANT) return Array.from({ length: count }, () => bytes as number[])
  const words = readNarrow(chunks[0]?.encoding as number, numbers as number[], count).map(Number)
  if (chunks[1]?.encoding === ENCODING_RAW) return words.map((length) => reader.take(length))
  const lengths = Array.from({ length: Number(reader.varint()) }, () => Number(reader.varint()))
  const known = lengths.map((length) => reader.take(length))
  return words.map((word) => known[word] as number[])
}
