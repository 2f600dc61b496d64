import { ByteReader, type ByteWriter } from '#journal/bytes.js'
import { type ChunkEntry, readEntry } from '#journal/columns/column-chunk.js'

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
