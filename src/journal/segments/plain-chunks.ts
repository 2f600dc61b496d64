import { ChunkEncoder } from '#journal/columns/chunk-encoder.js'
import { ENCODING_CONSTANT, ENCODING_RAW } from '#journal/columns/chunk-entry.js'
import type { ChunkChooser } from '#journal/columns/chunk-chooser.js'

/** What encodes the columns of a group. */
export type Chunks = Pick<ChunkChooser, 'staged' | 'count' | 'wideChunk' | 'narrowChunk' | 'byteChunk' | 'variableChunk'>

/** Encodes columns in the encodings of a group commit: larger than ChunkChooser's, and many times faster to write and to read. */
export class PlainChunks extends ChunkEncoder implements Chunks {
  /** As ChunkChooser.variableChunk. */
  variableChunk(column: number, count: number, starts: Uint32Array, bytes: Uint8Array): void {
    const { words } = this.staged.fit(count)
    const first = starts[0] as number
    const length = (starts[1] as number) - first
    let isConstant = true
    for (let index = 0; index < count; index++) {
      const start = starts[index] as number
      const own = (starts[index + 1] as number) - start
      words[index] = own
      if (isConstant) isConstant = own === length && isSame(bytes, first, start, length)
    }
    this.narrowChunk(column, count, 'unsigned', false)
    const at = this.data.length
    this.data.copy(bytes, first, isConstant ? first + length : starts[count])
    this.byteChunk(column + 1, isConstant ? ENCODING_CONSTANT : ENCODING_RAW, at)
  }
}

function isSame(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[a + index] !== bytes[b + index]) return false
  return true
}
