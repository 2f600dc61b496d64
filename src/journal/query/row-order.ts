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
    const count = positions.length
    let isInOrder = true
    for (let index = 1; index < count && isInOrder; index++) isInOrder = (positions[index - 1] as number) < (positions[index] as number)
    if (!isInOrder) {
      const order = Uint32Array.from({ length: count }, (_, index) => index)
      order.sort((a, b) => (positions[a] as number) - (positions[b] as number))
      this.#positions = Array.from(order.subarray(0, this.#capacity), (index) => positions[index] as number)
      this.#rows = Array.from(order.subarray(0, this.#capacity), (index) => rows[index] as readonly unknown[])
    } else if (count > this.#capacity) {
      positions.length = this.#capacity
      rows.length = this.#capacity
    }
    if (count > this.#capacity) this.#hasLeftOut = true
    if (count >= this.#capacity) this.#bound = this.#positions.at(-1) ?? -Infinity
  }
}
