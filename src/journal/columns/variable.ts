import { type ByteReader, Damage } from '#journal/bytes.js'
import { decodeNarrow } from './chunk-decoder.js'
import { type ChunkEntry, ENCODING_CONSTANT, ENCODING_DICTIONARY, ENCODING_RAW, newerEncoding, openChunk } from './chunk-entry.js'
import type { ColumnBuffer } from './column-buffer.js'

/**
 * A column of byte strings is two chunks: one of 32-bit values, one of bytes.
 *
 *   bytes RAW         those of all values, one behind the other; the other chunk has their lengths
 *   bytes CONSTANT    those that every value has; the other chunk is not needed
 *   bytes DICTIONARY  varint different values, per different value varint length, then their bytes; the other chunk has the number of each value
 *
 * Values of a group together are at most STRING_BYTES_MAX bytes.
 */
const STRING_BYTES_MAX = 2 ** 28

/** Strings shorter than this are copied byte by byte: a call costs more. */
const SHORT = 24

/** The values of a variable column: value i lies in `bytes` from `starts[i]` to `starts[i + 1]`, or is the one value of a constant. */
export interface VariableColumn {
  bytes: Uint8Array
  starts: Uint32Array
  isConstant: boolean
}

/** Decodes `count` byte strings into `out`. Without a chunk of bytes all are empty. Overwrites `buffer`. Throws Damage, or ERR_FORMAT_NEWER. */
export function decodeVariable(
  lengths: ChunkEntry,
  bytes: ChunkEntry | undefined,
  block: ByteReader,
  count: number,
  buffer: ColumnBuffer,
  out: VariableColumn,
): VariableColumn {
  out.isConstant = bytes?.encoding === ENCODING_CONSTANT
  if (
    bytes !== undefined &&
    bytes.encoding !== ENCODING_RAW &&
    bytes.encoding !== ENCODING_CONSTANT &&
    bytes.encoding !== ENCODING_DICTIONARY
  )
    throw newerEncoding(bytes.encoding)
  if (out.isConstant) {
    out.bytes = dataOf(openChunk(bytes as ChunkEntry, block))
    return out
  }
  decodeNarrow(lengths, block, count, buffer)
  if (out.starts.length < count + 1) out.starts = new Uint32Array(Math.max(64, 2 * count))
  if (bytes?.encoding === ENCODING_DICTIONARY) {
    expandDictionary(openChunk(bytes, block), buffer.words, count, out)
    return out
  }
  out.bytes = bytes === undefined ? NOTHING : dataOf(openChunk(bytes, block))
  const { starts } = out
  const { words } = buffer
  let start = 0
  for (let index = 0; index < count; index++) {
    starts[index] = start
    start += words[index] as number
  }
  starts[count] = start
  if (start !== out.bytes.length) throw new Damage('a chunk has the wrong length')
  return out
}

const NOTHING = new Uint8Array(0)

function dataOf(reader: ByteReader): Uint8Array {
  return reader.bytes.subarray(reader.at, reader.end)
}

/** Where the values of the dictionary at hand begin, and one more for where the last one ends. */
let knownStarts = new Uint32Array(0)

/** Puts the values that `numbers` name one behind the other. */
function expandDictionary(reader: ByteReader, numbers: Uint32Array, count: number, out: VariableColumn): void {
  const different = reader.varint()
  // Each has a length of at least one byte.
  if (different > reader.left) throw new Damage('a dictionary is longer than its bytes')
  if (knownStarts.length < different + 1) knownStarts = new Uint32Array(2 * different + 1)
  let end = 0
  for (let number = 0; number < different; number++) {
    knownStarts[number] = end
    end += reader.varint()
    if (end > reader.left) throw new Damage('a dictionary is longer than its bytes')
  }
  knownStarts[different] = end
  if (end !== reader.left) throw new Damage('a chunk has the wrong length')

  const { starts } = out
  let total = 0
  for (let index = 0; index < count; index++) {
    const number = numbers[index] as number
    if (number >= different) throw new Damage('a chunk names a value that its dictionary lacks')
    starts[index] = total
    total += (knownStarts[number + 1] as number) - (knownStarts[number] as number)
    if (total > STRING_BYTES_MAX) throw new Damage('the values of a chunk are longer than a group can hold')
  }
  starts[count] = total
  const known = reader.bytes
  const base = reader.at
  const into = new Uint8Array(total)
  for (let index = 0; index < count; index++) {
    const number = numbers[index] as number
    const from = base + (knownStarts[number] as number)
    const length = (knownStarts[number + 1] as number) - (knownStarts[number] as number)
    const at = starts[index] as number
    if (length < SHORT) for (let byte = 0; byte < length; byte++) into[at + byte] = known[from + byte] as number
    else into.set(known.subarray(from, from + length), at)
  }
  out.bytes = into
}
