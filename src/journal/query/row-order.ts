/** Rows by position, ascending: the first so many of those that were offered in any order, in memory for twice as many. */
export class RowOrder {
  readonly #capacity: number
  #positions: number[] = []
  #rows: (readonly unknown[])[] = []
  /** Nothing at or behind it is among the first. */
  #bound = Infinity
  #hasLeftOut = false

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Whether a row of this position would be kept as things are: ask before making the row. */
  wants(position: number): boolean {
    if (position < this.#bound) return true
    this.#hasLeftOut = true
    return false
  }

  add(position: number, row: readonly unknown[]): void {
    this.#positions.push(position)
    this.#rows.push(row)
    if (this.#positions.length >= this.#capacity * 2) this.#settle()
  }

  /** Nothing at or behind this position is wanted any more. */
  get bound(): number {
    return this.#bound
  }

  /** Ends it. `hasMore` when rows behind `last` were offered and left out. */
  finish(): { readonly rows: readonly (readonly unknown[])[]; readonly last: number; readonly hasMore: boolean } {
    this.#settle()
    return { rows: this.#rows, last: this.#positions.at(-1) ?? -1, hasMore: this.#hasLeftOut }
  }

  #settle(): void {
    const positions = this.#positions
    const rows = this.#rows
    const order = Uint32Array.from(positions.keys())
    if (positions.some((position, index) => index > 0 && position < (positions[index - 1] as number)))
      order.sort((a, b) => (positions[a] as number) - (positions[b] as number))
    const kept = order.subarray(0, this.#capacity)
    this.#positions = Array.from(kept, (index) => positions[index] as number)
    this.#rows = Array.from(kept, (index) => rows[index] as readonly unknown[])
    if (kept.length < positions.length) this.#hasLeftOut = true
    if (kept.length === this.#capacity) this.#bound = this.#positions.at(-1) ?? -Infinity
  }
}
