import type { ByteWriter } from '#journal/bytes.js'
import { ChunkEncoder, ENCODING_CONSTANT, ENCODING_RAW, type NarrowKind, type WideKind } from './column-chunk.js'

/**
 * Encodes columns of a group like ChunkEncoder, with the same calls, but takes its time: for the clustered blocks of sealed segments, each
 * chunk in the encoding that makes it smallest. Values are staged by the caller as 32-bit words in `staged` from index 0.
 */
export class ChunkChooser {
  readonly #plain: ChunkEncoder
  readonly #data: ByteWriter

  /** Entries go to `directory`, data to `data`. */
  constructor(directory: ByteWriter, data: ByteWriter) {
    this.#plain = new ChunkEncoder(directory, data)
    this.#data = data
  }

  get staged(): ChunkEncoder['staged'] {
    return this.#plain.staged
  }

  /** Entries written since the caller set it to 0. */
  get count(): number {
    return this.#plain.count
  }

  set count(count: number) {
    this.#plain.count = count
  }

  /** Encodes the first `count` staged wide values. */
  wideChunk(column: number, count: number, kind: WideKind, hasZoneMap: boolean): void {
    this.#plain.wideChunk(column, count, kind, hasZoneMap)
  }

  /** Encodes the first `count` staged narrow values. */
  narrowChunk(column: number, count: number, kind: NarrowKind, hasZoneMap: boolean): void {
    this.#plain.narrowChunk(column, count, kind, hasZoneMap)
  }

  /** Enters a byte column whose bytes the caller has put behind the data since it was `start` long: presence bits, names of sources. */
  byteChunk(column: number, encoding: typeof ENCODING_RAW | typeof ENCODING_CONSTANT, start: number): void {
    this.#plain.byteChunk(column, encoding, start)
  }

  /**
   * Encodes `count` byte strings, value i from `starts[i]` to `starts[i + 1]` of `bytes`, as two chunks: `column` (lengths, or what stands for
   * them) and `column + 1` (bytes). Overwrites `staged`. At least one value.
   */
  variableChunk(column: number, count: number, starts: Uint32Array, bytes: Uint8Array): void {
    const { words } = this.staged.fit(count)
    let isConstant = true
    const firstStart = starts[0] as number
    const firstBytes = (starts[1] as number) - firstStart
    for (let index = 0; index < count; index++) {
      const start = starts[index] as number
      const length = (starts[index + 1] as number) - start
      words[index] = length
      if (isConstant) isConstant = length === firstBytes && isSame(bytes, firstStart, start, length)
    }
    this.narrowChunk(column, count, 'unsigned', false)
    const first = this.#data.length
    this.#data.copy(bytes, firstStart, isConstant ? firstStart + firstBytes : starts[count])
    this.byteChunk(column + 1, isConstant ? ENCODING_CONSTANT : ENCODING_RAW, first)
  }
}

function isSame(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[a + index] !== bytes[b + index]) return false
  return true
}
