import { ColumnBuffer } from './column-buffer.js'

/**
 * The different values of a wide column, by their bits, and for each value its index among these. In ascending order, so that indexes are near
 * each other where values are; in order of first appearance when a NaN or -0 is among them. Open addressing in memory that is kept.
 */
export class SortedDictionary {
  /** Different values. */
  count = 0
  readonly values = new ColumnBuffer()
  /** Whole numbers, by index of the column. */
  readonly indexes = new ColumnBuffer()
  #slots = new Int32Array(0)
  #words = new Uint32Array(0)
  #ranks = new Uint32Array(0)

  /** Takes `count` values given as words, low first. Returns false as soon as there are more than `limit` different ones. */
  fill(words: Uint32Array, count: number, limit: number): boolean {
    const slotCount = slotsFor(limit)
    if (this.#slots.length < slotCount) {
      this.#slots = new Int32Array(slotCount)
      this.#words = new Uint32Array(slotCount)
      this.#ranks = new Uint32Array(slotCount)
    }
    const slots = this.#slots.subarray(0, slotCount).fill(-1)
    const own = this.#words
    const indexes = this.indexes.fit(count).wide
    const mask = slotCount - 1
    this.count = 0
    for (let index = 0; index < count; index++) {
      const low = words[2 * index] as number
      const high = words[2 * index + 1] as number
      let slot = hashOf(low, high) & mask
      let number = slots[slot] as number
      while (number >= 0 && (own[2 * number] !== low || own[2 * number + 1] !== high)) {
        slot = (slot + 1) & mask
        number = slots[slot] as number
      }
      if (number < 0) {
        if (this.count === limit) return false
        number = this.count++
        slots[slot] = number
        own[2 * number] = low
        own[2 * number + 1] = high
      }
      indexes[index] = number
    }
    this.#sort(count)
    return true
  }

  #sort(count: number): void {
    const different = this.count
    const values = this.values.fit(different)
    const ranks = this.#ranks
    values.words.set(this.#words.subarray(0, 2 * different))
    const found = new Float64Array(this.#words.buffer, 0, different)
    for (let number = 0; number < different; number++) {
      const value = found[number] as number
      if (value !== value || (value === 0 && this.#words[2 * number + 1] !== 0)) return
    }
    const sorted = values.wide.subarray(0, different).sort()
    for (let number = 0; number < different; number++) {
      const value = found[number] as number
      let low = 0
      let high = different - 1
      while (low < high) {
        const middle = (low + high) >> 1
        if ((sorted[middle] as number) < value) low = middle + 1
        else high = middle
      }
      ranks[number] = low
    }
    const indexes = this.indexes.wide
    for (let index = 0; index < count; index++) indexes[index] = ranks[indexes[index] as number] as number
  }
}

/** Numbers the different byte strings of a column in order of first appearance. */
export class StringDictionary {
  count = 0
  /** By number: the index at which it appeared first. */
  first = new Uint32Array(0)
  numbers = new Uint32Array(0)
  #slots = new Int32Array(0)

  /** As SortedDictionary.fill, of value i from `starts[i]` to `starts[i + 1]` of `bytes`. */
  fill(bytes: Uint8Array, starts: Uint32Array, count: number, limit: number): boolean {
    const slotCount = slotsFor(limit)
    if (this.#slots.length < slotCount) {
      this.#slots = new Int32Array(slotCount)
      this.first = new Uint32Array(slotCount)
    }
    if (this.numbers.length < count) this.numbers = new Uint32Array(2 * count)
    const slots = this.#slots.subarray(0, slotCount).fill(-1)
    const mask = slotCount - 1
    this.count = 0
    for (let index = 0; index < count; index++) {
      const start = starts[index] as number
      const end = starts[index + 1] as number
      let hash = 0x811c9dc5
      for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
      let slot = hashOf(hash, end - start) & mask
      let number = slots[slot] as number
      while (number >= 0 && !isSame(bytes, starts, this.first[number] as number, start, end)) {
        slot = (slot + 1) & mask
        number = slots[slot] as number
      }
      if (number < 0) {
        if (this.count === limit) return false
        number = this.count++
        slots[slot] = number
        this.first[number] = index
      }
      this.numbers[index] = number
    }
    return true
  }
}

function isSame(bytes: Uint8Array, starts: Uint32Array, known: number, start: number, end: number): boolean {
  const from = starts[known] as number
  if ((starts[known + 1] as number) - from !== end - start) return false
  for (let at = start; at < end; at++) if (bytes[from + at - start] !== bytes[at]) return false
  return true
}

function hashOf(low: number, high: number): number {
  let hash = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0xc2b2ae35)
  return hash ^ (hash >>> 13)
}

function slotsFor(limit: number): number {
  return 2 ** Math.ceil(Math.log2(2 * limit + 2))
}
