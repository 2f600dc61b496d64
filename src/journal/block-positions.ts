import { readOrigins } from './block-format.js'
import type { BlockReader } from './block-reader.js'
import { Damage } from './bytes.js'
import { COLUMN_BLOCK_ORDINAL, RowGroup } from './row-group.js'

/**
 * Positions of the rows of a clustered block. Those of a group follow from how many rows of each original block the groups before it have, so groups are
 * best asked for in order: then each is looked at once.
 */
export class BlockPositions {
  readonly #reader: BlockReader
  readonly #ordinals: Uint32Array
  readonly #starts: Float64Array
  /** By index into #ordinals: the position of the next row, in front of group #next. */
  readonly #cursors: Float64Array
  #next = 0
  /** What #cursors were in front of each group that was passed; kept where that is little. */
  readonly #passed: Float64Array[] = []
  #positions = new Float64Array(0)

  /** Throws ERR_BLOCK_DAMAGED, as all of it does. */
  constructor(reader: BlockReader) {
    this.#reader = reader
    const { ordinals, starts } = reader.guard(() => readOrigins(reader.bytes, reader.header))
    this.#ordinals = ordinals
    this.#starts = starts
    this.#cursors = starts.slice()
  }

  /** The position of each row of the group with this index, which `opened` points at. Valid until the next call. */
  of(index: number, opened: RowGroup): Float64Array {
    if (slotsOf !== this.#ordinals) this.#nameSlots()
    const { groups } = this.#reader.header
    const passed = this.#passed[index]
    if (passed !== undefined) {
      this.#cursors.set(passed)
      this.#next = index
    } else if (index < this.#next) {
      this.#cursors.set(this.#starts)
      this.#next = 0
    }
    for (; this.#next < index; this.#next++) {
      const group = groups[this.#next]
      if (group === undefined) break
      this.#pass(this.#next)
      this.#advance(this.#reader.group(group, (scratch ??= new RowGroup())))
    }
    this.#pass(index)
    this.#next++
    return this.#advance(opened)
  }

  #pass(index: number): void {
    if (this.#ordinals.length <= PASSED_MAX) this.#passed[index] ??= this.#cursors.slice()
  }

  /** Enters this block's ordinals into the table that all blocks share. What another left there a look at #ordinals tells. */
  #nameSlots(): void {
    const ordinals = this.#ordinals
    slotsOf = ordinals
    const last = ordinals[ordinals.length - 1] ?? 0
    if (last >= SLOTS_MAX) return
    if (last >= slots.length) slots = new Uint32Array(Math.min(SLOTS_MAX, 2 * last + 64))
    for (let slot = 0; slot < ordinals.length; slot++) slots[ordinals[slot] as number] = slot
  }

  #advance(group: RowGroup): Float64Array {
    return this.#reader.guard(() => {
      const { rowCount } = group
      const own = group.narrow(COLUMN_BLOCK_ORDINAL)
      if (this.#positions.length < rowCount) this.#positions = new Float64Array(rowCount * 2)
      const positions = this.#positions
      const ordinals = this.#ordinals
      const cursors = this.#cursors
      const table = slots
      let slot = 0
      for (let row = 0; row < rowCount; row++) {
        const ordinal = own[row] as number
        if (ordinals[slot] !== ordinal) {
          slot = ordinal < table.length ? (table[ordinal] as number) : slot
          if (ordinals[slot] !== ordinal) slot = this.#slotOf(ordinal, slot)
        }
        const position = cursors[slot] as number
        positions[row] = position
        cursors[slot] = position + 1
      }
      return positions
    })
  }

  /** The rows of an entity ascend, so that the next one is often near. */
  #slotOf(ordinal: number, near: number): number {
    const ordinals = this.#ordinals
    if (ordinals[near + 1] === ordinal) return near + 1
    let low = 0
    let high = ordinals.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((ordinals[middle] as number) < ordinal) low = middle + 1
      else high = middle
    }
    if (ordinals[low] !== ordinal) throw new Damage('a row in it is of an original block that it does not name')
    return low
  }
}

/** Where a group begins is kept for blocks with rows of at most so many original ones. */
const PASSED_MAX = 2048

/** By ordinal the slot that a block had for it. A segment of more original blocks looks its ordinals up. */
const SLOTS_MAX = 1 << 17
let slots = new Uint32Array(0)
let slotsOf: Uint32Array | undefined
/** For groups on the way to another. Opening one leaves nothing that the next would see; making one costs more than reading a small group. */
let scratch: RowGroup | undefined
