import { BlockReader } from '#journal/block-reader.js'
import { type Database, diskFailed, type Key, readValue } from './environment.js'

/** The segment being written: blocks by base position. */
export class Segment {
  readonly name: string
  readonly #database: Database
  readonly #file: string

  constructor(name: string, database: Database, file: string) {
    this.name = name
    this.#database = database
    this.#file = file
  }

  /** Base position of the last block that begins at or before `position`, or -1. */
  atOrBefore(position: number): number {
    for (const key of this.#database.getKeys({ start: keyOf(position), reverse: true, limit: 1 })) return positionOf(key)
    return -1
  }

  /** Base positions from `from` up to and including `to`, at most `limit`. */
  bases(from: number, to: number, limit: number): number[] {
    if (from > to) return []
    return [...this.#database.getKeys({ start: keyOf(from), end: keyOf(to + 1), limit })].map(positionOf)
  }

  /** Base position of the newest block, or -1. */
  last(): number {
    return this.atOrBefore(Number.MAX_SAFE_INTEGER)
  }

  /** The bytes filed under a position, unchecked. */
  bytes(base: number): Uint8Array | undefined {
    return readValue(this.#database, keyOf(base))
  }

  /** The block at a base position, its header checked. Throws ERR_BLOCK_DAMAGED. */
  block(base: number): BlockReader {
    return new BlockReader(this.bytes(base) ?? new Uint8Array(0), this.name, base)
  }

  async put(base: number, block: Buffer): Promise<void> {
    try {
      await this.#database.put(keyOf(base), block)
    } catch (error) {
      throw diskFailed(error, this.#file)
    }
  }

  async close(): Promise<void> {
    await this.#database.close()
  }
}

function keyOf(position: number): Key {
  const key = new Uint8Array(8)
  const view = new DataView(key.buffer)
  view.setUint32(0, Math.floor(position / 0x100000000))
  view.setUint32(4, position % 0x100000000)
  return key
}

function positionOf(key: Key): number {
  const view = new DataView(key.buffer, key.byteOffset, 8)
  return view.getUint32(0) * 0x100000000 + view.getUint32(4)
}
