/** Names that are looked up together, and what was found. Used again and again. */
export class EntityLookups {
  count = 0
  /** Index of the entity, -1 where there is none. */
  readonly found: Int32Array
  readonly views: DataView[] = []
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
  readonly hashes: Int32Array

  constructor(countMax: number) {
    this.found = new Int32Array(countMax)
    this.offsets = new Uint32Array(countMax)
    this.lengths = new Uint32Array(countMax)
    this.hashes = new Int32Array(countMax)
  }

  clear(): this {
    this.count = 0
    return this
  }

  /** The name is the `length` bytes at `offset`; they must stay there until it is found. */
  add(view: DataView, offset: number, length: number): void {
    const index = this.count++
    this.views[index] = view
    this.offsets[index] = offset
    this.lengths[index] = length
  }
}
