import { isSameKey } from '#journal/byte-key.js'
import { grown, withRoom } from './known-entities.js'
import { ROW_WORDS, SOURCE_AT, SOURCE_SIZE } from './slot-layout.js'

const BYTES_MIN = 1 << 12

/**
 * The bytes of who commanded each slot last, at places that stand in the slots' rows of words. What is given up is room for others only when all are moved together: as
 * soon as it is more than half, so that a byte given up has one moved at most.
 */
export class SlotSources {
  #octets = new Uint8Array(BYTES_MIN)
  #bytes = new DataView(this.#octets.buffer)
  #end = 0
  #givenUp = 0

  isSame(words: Uint32Array, row: number, view: DataView, offset: number, length: number): boolean {
    const at = row * ROW_WORDS
    if (((words[at + SOURCE_SIZE] as number) & 0xffff) !== length) return false
    return isSameKey(this.#bytes, words[at + SOURCE_AT] as number, view, offset, length)
  }

  /** Over the one before where there is room. */
  set(words: Uint32Array, row: number, source: Uint8Array): void {
    const at = row * ROW_WORDS
    let room = (words[at + SOURCE_SIZE] as number) >>> 16
    if (source.length > room) {
      this.giveUp(room)
      room = source.length
      words[at + SOURCE_AT] = this.#add(room)
    }
    words[at + SOURCE_SIZE] = source.length | (room << 16)
    const start = words[at + SOURCE_AT] as number
    for (let index = 0; index < source.length; index++) this.#octets[start + index] = source[index] as number
  }

  giveUp(room: number): void {
    this.#givenUp += room
  }

  /** Moves them together where that is due; `rows` of `words` have sources. */
  tidyUp(words: Uint32Array, rows: number): void {
    if (this.#givenUp * 2 <= this.#end || this.#end < BYTES_MIN) return
    const former = this.#octets
    this.#octets = new Uint8Array(Math.max(BYTES_MIN, withRoom(this.#end - this.#givenUp, 1)))
    this.#bytes = new DataView(this.#octets.buffer)
    this.#end = 0
    this.#givenUp = 0
    for (let at = 0; at < rows * ROW_WORDS; at += ROW_WORDS) {
      const room = (words[at + SOURCE_SIZE] as number) >>> 16
      const start = words[at + SOURCE_AT] as number
      // Short, so that a loop takes less than a view for each.
      for (let index = 0; index < room; index++) this.#octets[this.#end + index] = former[start + index] as number
      words[at + SOURCE_AT] = this.#end
      this.#end += room
    }
  }

  #add(room: number): number {
    const at = this.#end
    this.#end += room
    if (this.#end > this.#octets.length) {
      this.#octets = grown(this.#octets, new Uint8Array(Math.max(this.#end, withRoom(this.#octets.length, 1))))
      this.#bytes = new DataView(this.#octets.buffer)
    }
    return at
  }
}
