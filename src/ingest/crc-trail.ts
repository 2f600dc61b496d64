import { assert } from '#base/assert.js'
import { crc32 } from '#base/hash.js'

/**
 * The CRC-32 of everything before an offset of a stream, for offsets not yet known when the bytes pass. Keeps the bytes behind the last
 * `dropBefore`: with a bounded window of rows in flight that is some chunks.
 */
export class CrcTrail {
  #chunks: { readonly start: number; readonly bytes: Buffer; readonly crcBefore: number }[] = []
  #end = 0
  #crc = 0

  get end(): number {
    return this.#end
  }

  add(bytes: Buffer): void {
    this.#chunks.push({ start: this.#end, bytes, crcBefore: this.#crc })
    this.#crc = crc32(bytes, this.#crc)
    this.#end += bytes.length
  }

  /** Of the bytes before `offset`, which lies at or behind the last `dropBefore`. */
  crcAt(offset: number): number {
    if (offset === this.#end) return this.#crc
    const chunk = this.#chunks.findLast(({ start }) => start <= offset)
    assert(chunk !== undefined && offset < this.#end, 'the offset lies within what is kept')
    return crc32(chunk.bytes.subarray(0, offset - chunk.start), chunk.crcBefore)
  }

  dropBefore(offset: number): void {
    while (this.#chunks.length > 1 && (this.#chunks[1] as { start: number }).start <= offset) this.#chunks.shift()
  }
}
