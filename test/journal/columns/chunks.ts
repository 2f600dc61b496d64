import { ByteReader, ByteWriter } from '#journal/bytes.js'
import { ChunkChooser } from '#journal/columns/chunk-chooser.js'
import { decodeNarrow, decodeWide } from '#journal/columns/chunk-decoder.js'
import type { NarrowKind, WideKind } from '#journal/columns/chunk-encoder.js'
import { type ChunkEntry, readEntry } from '#journal/columns/chunk-entry.js'
import { ColumnBuffer } from '#journal/columns/column-buffer.js'
import { decodeVariable, type VariableColumn } from '#journal/columns/variable.js'

/** A chunk as it lies in a block. */
export interface Chunk {
  readonly entry: ChunkEntry
  readonly data: Uint8Array
}

/** The entries that a writer of chunks put into `directory`, each pointing at its place in `data`. */
export function entriesOf(directory: ByteWriter, data: ByteWriter): ChunkEntry[] {
  const reader = new ByteReader(directory.written())
  const entries: ChunkEntry[] = []
  let offset = 0
  while (reader.left > 0) {
    const entry = readEntry(reader)
    entry.offset = offset
    offset += entry.bytes
    entries.push(entry)
  }
  if (offset !== data.length) throw new Error(`the entries tell of ${offset} bytes, there are ${data.length}`)
  return entries
}

/** What a chooser makes of wide values, given as words: of each the low one first. */
export function chooseWide(words: Uint32Array, kind: WideKind): Chunk {
  return choose((chooser) => {
    chooser.staged.fit(words.length / 2).words.set(words)
    chooser.wideChunk(7, words.length / 2, kind, true)
  })
}

/** What a chooser makes of narrow values, given as words. */
export function chooseNarrow(words: Uint32Array, kind: NarrowKind): Chunk {
  return choose((chooser) => {
    chooser.staged.fit(words.length).words.set(words)
    chooser.narrowChunk(7, words.length, kind, true)
  })
}

function choose(encode: (chooser: ChunkChooser) => void): Chunk {
  const directory = new ByteWriter(64)
  const data = new ByteWriter(64)
  encode(new ChunkChooser(directory, data))
  return { entry: entriesOf(directory, data)[0] as ChunkEntry, data: new Uint8Array(data.written()) }
}

/** What a chooser makes of byte strings: the chunk of lengths, and that of bytes. */
export function chooseStrings(values: readonly Uint8Array[]): { chunks: ChunkEntry[]; data: Uint8Array } {
  const directory = new ByteWriter(64)
  const data = new ByteWriter(64)
  const starts = new Uint32Array(values.length + 1)
  for (const [index, value] of values.entries()) starts[index + 1] = (starts[index] as number) + value.length
  new ChunkChooser(directory, data).variableChunk(7, values.length, starts, Buffer.concat(values))
  return { chunks: entriesOf(directory, data), data: new Uint8Array(data.written()) }
}

/** Decoded words; memory that was used before, so that nothing can rely on zeros. */
export function wideWords({ entry, data }: Chunk, count: number): Uint32Array {
  const column = usedBuffer(count)
  decodeWide(entry, new ByteReader(data), count, column)
  return column.words.slice(0, 2 * count)
}

export function narrowWords({ entry, data }: Chunk, count: number): Uint32Array {
  const column = usedBuffer(count)
  decodeNarrow(entry, new ByteReader(data), count, column)
  return column.words.slice(0, count)
}

export function strings(chunks: readonly ChunkEntry[], data: Uint8Array, count: number): Uint8Array[] {
  const out: VariableColumn = { bytes: new Uint8Array(0), starts: new Uint32Array(0), isConstant: false }
  decodeVariable(chunks[0] as ChunkEntry, chunks[1], new ByteReader(data), count, usedBuffer(count), out)
  return Array.from({ length: count }, (_, index) =>
    out.isConstant ? out.bytes : out.bytes.slice(out.starts[index], out.starts[index + 1]),
  )
}

function usedBuffer(count: number): ColumnBuffer {
  const column = new ColumnBuffer().fit(count)
  column.bytes.fill(0xa5)
  return column
}

/** The bits of doubles as words, low first. Of a NaN those that this engine gives it. */
export function wordsOf(values: readonly number[]): Uint32Array {
  return new Uint32Array(Float64Array.from(values).buffer)
}
