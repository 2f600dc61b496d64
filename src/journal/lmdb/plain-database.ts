import { closeSync, openSync, readSync } from 'node:fs'
import { assert } from '#base/assert.js'
import type { Database, Key } from './environment.js'
import { newestTransaction, type PageWalkResult, walkPages } from './page-check.js'

/**
 * An LMDB file read without LMDB: for readers that must not die of a damaged page, that leave nothing in the directory, and that a full disk does not
 * keep out. Holds all keys in memory; values are read as they are asked for. `resetReadTxn` looks whether a writer went on meanwhile, and reads the keys again.
 */
export class PlainDatabase implements Database {
  readonly #file: string
  readonly #descriptor: number
  #walk: PageWalkResult
  #isClosed = false

  /** Throws what the file system throws. */
  constructor(file: string) {
    this.#file = file
    this.#descriptor = openSync(file, 'r')
    this.#walk = walkPages(file)
  }

  /** What is wrong with its pages, in words: then it has the keys up to there. */
  get wrong(): string | undefined {
    return this.#walk.wrong
  }

  getBinary(key: Key): Buffer | undefined {
    const found = this.#walk.values[this.#atOrBehind(key)]
    if (found === undefined || Buffer.compare(found.key, key) !== 0) return undefined
    const bytes = Buffer.allocUnsafeSlow(found.bytes)
    return bytes.subarray(0, readSync(this.#descriptor, bytes, 0, found.bytes, found.offset))
  }

  /** `start` included, `end` not; in reverse from the last key at or before `start`. */
  *getKeys({ start, end, reverse = false, limit = Infinity }: Parameters<Database['getKeys']>[0]): Generator<Key> {
    const { values } = this.#walk
    let left = limit
    if (reverse) {
      let index = start === undefined ? values.length - 1 : this.#atOrBehind(start)
      if (start !== undefined && (values[index] === undefined || Buffer.compare((values[index] as { key: Key }).key, start) > 0)) index--
      for (; index >= 0 && left > 0; index--, left--) {
        const { key } = values[index] as { key: Key }
        if (end !== undefined && Buffer.compare(key, end) <= 0) return
        yield key
      }
      return
    }
    for (let index = start === undefined ? 0 : this.#atOrBehind(start); index < values.length && left > 0; index++, left--) {
      const { key } = values[index] as { key: Key }
      if (end !== undefined && Buffer.compare(key, end) >= 0) return
      yield key
    }
  }

  resetReadTxn(): void {
    if (newestTransaction(this.#descriptor) !== this.#walk.transaction) this.#walk = walkPages(this.#file)
  }

  put(): Promise<boolean> {
    assert(false, 'a file that is read without its store is not written to')
  }

  remove(): Promise<boolean> {
    assert(false, 'a file that is read without its store is not written to')
  }

  async close(): Promise<void> {
    if (!this.#isClosed) closeSync(this.#descriptor)
    this.#isClosed = true
  }

  /** Index of the first key at or behind a key. */
  #atOrBehind(key: Key): number {
    const { values } = this.#walk
    let low = 0
    let high = values.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (Buffer.compare((values[middle] as { key: Key }).key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
