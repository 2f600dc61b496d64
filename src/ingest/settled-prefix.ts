import { assert } from '#base/assert.js'

/** What became of one row. */
export type RowEnd = 'accepted' | 'rejected'

interface Entry<R> {
  readonly row: R
  end: RowEnd | undefined
}

/**
 * Rows on their way, in order, and the counts of those before which nothing is open: the only place a checkpoint may name. Rows settle in any
 * order; `settle` of each entry is called once.
 */
export class SettledPrefix<R> {
  /** Counts of the prefix; they go on from what an earlier run had. */
  accepted: number
  rejected: number
  /** The last row of the prefix, undefined before the first of this run. */
  last: R | undefined
  #entries: Entry<R>[] = []
  #head = 0

  constructor(accepted: number, rejected: number) {
    this.accepted = accepted
    this.rejected = rejected
  }

  /** Rows behind the prefix, settled ones among them. */
  get openCount(): number {
    return this.#entries.length - this.#head
  }

  /** Adds the next row; the answer settles it. */
  add(row: R): (end: RowEnd) => void {
    const entry: Entry<R> = { row, end: undefined }
    this.#entries.push(entry)
    return (end) => {
      assert(entry.end === undefined, 'a row settles once')
      entry.end = end
      this.#advance()
    }
  }

  #advance(): void {
    for (let entry = this.#entries[this.#head]; entry?.end !== undefined; entry = this.#entries[this.#head]) {
      this[entry.end]++
      this.last = entry.row
      this.#head++
    }
    if (this.#head < 1024 || this.#head * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }
}
