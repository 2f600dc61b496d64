import type { BlockEntry } from '#journal/block-entry.js'
import type { BlockReader } from '#journal/block-reader.js'
import { Damage } from '#journal/bytes.js'
import type { LogState } from '#journal/log-state.js'
import { COLUMN_ENTITY, RowGroup } from '#journal/row-group.js'

/** Blocks looked at before other work gets its turn. */
const BLOCKS_PER_STEP = 4

/**
 * Which blocks of an unsealed segment have rows of an entity: per entity a chain of places, newest first, in typed arrays. Grows with what is asked of
 * it: the blocks that came since the last time are looked through once.
 */
export class EntityBlocks {
  readonly #segment: { block(base: number): BlockReader }
  readonly #group = new RowGroup()
  /** By index of the entity: 1 + the newest link, 0 for none. */
  #newest = new Uint32Array(0)
  /** By link: the block, as an index into the directory, and 1 + the link before. */
  #block = new Uint32Array(1024)
  #before = new Uint32Array(1024)
  #links = 0
  #indexed = 0
  #indexing: Promise<void> = Promise.resolve()

  constructor(segment: { block(base: number): BlockReader }) {
    this.#segment = segment
  }

  /** Indexes into `entries` of the blocks that have rows of the entity with this index, ascending. */
  async of(entity: number, entries: readonly BlockEntry[], state: LogState): Promise<number[]> {
    this.#indexing = this.#indexing.then(() => this.#index(entries, state))
    await this.#indexing
    const found: number[] = []
    for (let link = this.#newest[entity] ?? 0; link > 0; link = this.#before[link - 1] as number) {
      const block = this.#block[link - 1] as number
      if (block < entries.length) found.push(block)
    }
    return found.reverse()
  }

  async #index(entries: readonly BlockEntry[], state: LogState): Promise<void> {
    const first = this.#indexed
    while (this.#indexed < entries.length) {
      this.#add(this.#indexed, this.#segment.block((entries[this.#indexed] as BlockEntry).id), state)
      this.#indexed++
      if ((this.#indexed - first) % BLOCKS_PER_STEP === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #add(block: number, reader: BlockReader, state: LogState): void {
    const { entities } = state
    if (this.#newest.length < entities.count) {
      const newest = new Uint32Array(Math.max(1024, entities.count * 2))
      newest.set(this.#newest)
      this.#newest = newest
    }
    for (const group of reader.header.groups) {
      reader.group(group, this.#group)
      reader.guard(() => {
        const numbers = this.#group.narrow(COLUMN_ENTITY)
        let row = 0
        for (const { shard, rowCount } of group.shards) {
          let last = -1
          for (const end = row + rowCount; row < end; row++) {
            const number = numbers[row] as number
            if (number === last) continue
            last = number
            const entity = entities.at(shard, number)
            if (entity < 0) throw new Damage('it has rows of an entity that the log does not name')
            this.#link(entity, block)
          }
        }
      })
    }
  }

  #link(entity: number, block: number): void {
    const newest = this.#newest[entity] as number
    if (newest > 0 && this.#block[newest - 1] === block) return
    if (this.#links === this.#block.length) {
      const grow = (from: Uint32Array): Uint32Array<ArrayBuffer> => {
        const to = new Uint32Array(from.length * 2)
        to.set(from)
        return to
      }
      this.#block = grow(this.#block)
      this.#before = grow(this.#before)
    }
    this.#block[this.#links] = block
    this.#before[this.#links] = newest
    this.#newest[entity] = ++this.#links
  }
}
