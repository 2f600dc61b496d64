import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteReader, ByteWriter, Damage } from '#journal/bytes.js'
import { decodeNarrow, decodeWide } from '#journal/columns/chunk-decoder.js'
import { type ChunkEntry, writeEntry } from '#journal/columns/chunk-entry.js'
import { ColumnBuffer } from '#journal/columns/column-buffer.js'
import { compress } from '#journal/columns/last-stage.js'
import { soakTimes } from '../../soak.js'
import { type Chunk, chooseNarrow, chooseStrings, chooseWide, entriesOf, strings } from './chunks.js'
import { columnOf, doubles, narrowWordsOf, wholes, runs } from './values.js'

/** Flips and cuts: where, what to, and how much is left. */
const harm = fc.record({
  at: fc.nat(1 << 20),
  change: fc.integer({ min: 1, max: 255 }),
  kept: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.double({ min: 0, max: 1, noNaN: true })),
})
const RUNS = runs(soakTimes({ smoke: 300, full: 30000 }))

/** Runs what decodes harmed bytes. It may give anything or throw Damage, and nothing else. */
function isBearable(decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    expect(error).toSatisfy((thrown) => thrown instanceof Damage || (thrown as { code?: string }).code === 'ERR_FORMAT_NEWER')
  }
}

function harmed({ entry, data }: Chunk, { at, change, kept }: { at: number; change: number; kept: number }): Chunk {
  const bytes = data.slice(0, Math.floor(entry.bytes * kept))
  if (bytes.length > 0) bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ change
  return { entry: { ...entry, bytes: bytes.length }, data: bytes }
}

describe('a damaged chunk', () => {
  test.each([
    ['doubles', columnOf(doubles), 'f64'],
    ['whole numbers', columnOf(wholes), 'whole'],
  ] as const)('of %s gives something or says that it is damaged', (_, column, kind) => {
    fc.assert(
      fc.property(column, harm, (words, how) => {
        const { entry, data } = harmed(chooseWide(words, kind), how)

        isBearable(() => decodeWide(entry, new ByteReader(data), words.length / 2, new ColumnBuffer()))
      }),
      RUNS,
    )
  })

  test('of narrow values gives something or says that it is damaged', () => {
    fc.assert(
      fc.property(columnOf(narrowWordsOf('signed')), harm, (words, how) => {
        const { entry, data } = harmed(chooseNarrow(words, 'signed'), how)

        isBearable(() => decodeNarrow(entry, new ByteReader(data), words.length, new ColumnBuffer()))
      }),
      RUNS,
    )
  })

  test('of byte strings gives something or says that it is damaged', () => {
    const values = fc.array(
      fc.constantFrom('READY', 'ACTIVE', '', 'PROGRAM_COMPLETED').map((text) => Buffer.from(text)),
      { minLength: 1, maxLength: 200 },
    )
    fc.assert(
      fc.property(values, harm, (texts, { at, change }) => {
        const { chunks, data } = chooseStrings(texts)
        if (data.length > 0) data[at % data.length] = (data[at % data.length] as number) ^ change

        isBearable(() => strings(chunks, data, texts.length))
      }),
      RUNS,
    )
  })

  test.each(Array.from({ length: 64 }, (_, encoding) => encoding))('of arbitrary bytes is borne, under encoding %i', (encoding) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(600), (data, count) => {
        const chunk: ChunkEntry = { column: 1, encoding, zone: undefined, offset: 0, bytes: data.length, codec: 0, rawBytes: data.length }

        isBearable(() => decodeWide(chunk, new ByteReader(data), count, new ColumnBuffer()))
        isBearable(() => decodeNarrow(chunk, new ByteReader(data), count, new ColumnBuffer()))
      }),
      runs(soakTimes({ smoke: 40, full: 4000 })),
    )
  })
})

describe('a last stage', () => {
  const entryOf = (codec: number, bytes: Uint8Array, rawBytes: number): ChunkEntry => {
    const directory = new ByteWriter(16)
    const data = new ByteWriter(16)
    data.copy(bytes)
    writeEntry(directory, { column: 1, encoding: 0, zone: undefined, bytes: bytes.length, codec, rawBytes })
    return entriesOf(directory, data)[0] as ChunkEntry
  }
  const raw = new Uint8Array(800).fill(7)
  const compressed = compress(raw, 100, true) as { codec: number; bytes: Uint8Array }

  test('gives back what went in', () => {
    const column = new ColumnBuffer()
    decodeWide(entryOf(compressed.codec, compressed.bytes, 800), new ByteReader(compressed.bytes), 100, column)

    expect(column.bytes.subarray(0, 800)).toEqual(raw)
  })

  test.each([799, 801, 0])('that says it becomes %i bytes when it becomes 800 is damaged', (rawBytes) => {
    const chunk = entryOf(compressed.codec, compressed.bytes, rawBytes)

    expect(() => decodeWide(chunk, new ByteReader(compressed.bytes), 100, new ColumnBuffer())).toThrow(Damage)
  })

  test('that claims to grow beyond all measure is damaged before memory is taken for it', () => {
    const chunk = entryOf(compressed.codec, compressed.bytes, 2 ** 40)

    expect(() => decodeWide(chunk, new ByteReader(compressed.bytes), 100, new ColumnBuffer())).toThrow('far larger than its data')
  })

  test('of a codec that is not known is refused as newer', () => {
    expect(() => entryOf(9, compressed.bytes, 800)).toThrowError(expect.objectContaining({ code: 'ERR_FORMAT_NEWER' }))
  })
})
