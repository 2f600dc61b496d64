import { sha256 } from '#base/hash.js'
import { type EntityId, shardOf } from '#base/ids.js'
import { type BlockMark, HASH_BYTES, readNewEntities } from './block-format.js'
import type { BlockReader } from './block-reader.js'
import type { BlockNames } from './block-rows.js'
import { Damage } from './bytes.js'
import { EntityTable } from './entity-table.js'
import { EventTypes } from './event-types.js'
import type { EventType } from './journal.js'
import { Marks } from './marks.js'
import { RecentAppends } from './recent-appends.js'
import { COLUMN_APPEND_NUMBER, COLUMN_ENTITY, COLUMN_TERM, COLUMN_VERSION, RowGroup } from './row-group.js'

/** What a journal knows of its log without reading it: heads, marks, recent appends, where it ends. */
export class LogState implements BlockNames {
  readonly types: EventTypes
  readonly entities: EntityTable
  readonly recent: RecentAppends
  /** Highest seen, whether or not anything of it was stored; and what of that is in blocks. */
  readonly marks = new Marks()
  readonly storedMarks = new Marks()
  endPosition = 0
  /** SHA-256 of the newest block. */
  lastHash: Uint8Array = new Uint8Array(HASH_BYTES)
  readonly #group = new RowGroup()

  constructor(shardCount: number, recentAppends: number, types: readonly EventType[] = []) {
    this.types = new EventTypes(types)
    this.entities = new EntityTable(shardCount)
    this.recent = new RecentAppends(recentAppends)
  }

  get eventTypes(): readonly EventType[] {
    return this.types.all
  }

  entityName(shard: number, number: number): EntityId | undefined {
    const index = this.entities.at(shard, number)
    return index < 0 ? undefined : this.entities.name(index)
  }

  /** Raises both marks of a slot to one that was found in the log. */
  learnMark(mark: BlockMark): void {
    this.storedMarks.raise(mark)
    this.marks.raise(mark)
  }

  /** What Journal.mark says. */
  storedMark(slot: number): { readonly term: number; readonly number: number } | undefined {
    const term = this.storedMarks.term(slot)
    return term === 0 ? undefined : { term, number: this.storedMarks.number(slot) }
  }

  /** Adds a stored entity under its number; one that is known already must be the same. Throws Damage. Returns its index. */
  learnEntity(shard: number, number: number, name: Uint8Array): number {
    const { entities } = this
    const known = entities.at(shard, number)
    if (known >= 0) {
      if (Buffer.compare(entities.nameBytes(known), name) !== 0) throw new Damage('it gives the number of an entity to another')
      return known
    }
    if (shardOf(name, entities.shardCount) !== shard) throw new Damage('it has an entity of another shard')
    if (entities.findBytes(name) >= 0) throw new Damage('it gives an entity a second number')
    const index = entities.add(name, 0, name.length)
    if (entities.numberOf(index) !== number) throw new Damage('its entities do not follow those before')
    return index
  }

  /**
   * Takes a block that follows the one learnt last (or any, when `isFirst`) into heads and marks. Rows that a head already covers change
   * nothing. Throws ERR_BLOCK_DAMAGED.
   */
  learn(reader: BlockReader, options: { readonly isFirst: boolean; readonly keepsRecent: boolean }): void {
    const { header } = reader
    reader.guard(() => {
      if (!options.isFirst) {
        if (header.basePosition !== this.endPosition)
          throw new Damage(`it begins at ${header.basePosition}, the one before ends at ${this.endPosition}`)
        if (Buffer.compare(header.previousHash, this.lastHash) !== 0) throw new Damage('it does not continue the block before it')
      }
      for (const { shard, first, names } of readNewEntities(reader.bytes, header)) {
        names.forEach((name, index) => this.learnEntity(shard, first + index, name))
      }
    })
    for (const group of header.groups) {
      reader.group(group, this.#group)
      reader.guard(() => {
        let row = 0
        for (const { shard, rowCount } of group.shards) {
          this.#learnRows(shard, row, row + rowCount, options.keepsRecent)
          row += rowCount
        }
      })
    }
    for (const mark of header.marks) this.learnMark(mark)
    this.endPosition = header.basePosition + header.rowCount
    this.lastHash = sha256(reader.bytes)
  }

  /** Takes a block that cannot be learnt, of whose rows the heads and marks are known: whatever it says of them. The next one to be learnt is `isFirst`. */
  passOver(reader: BlockReader): void {
    for (const mark of reader.header.marks) this.learnMark(mark)
    this.endPosition = reader.header.endPosition
    this.lastHash = sha256(reader.bytes)
  }

  #learnRows(shard: number, start: number, end: number, keepsRecent: boolean): void {
    const { entities, recent } = this
    const numbers = this.#group.narrow(COLUMN_ENTITY)
    const versions = this.#group.narrow(COLUMN_VERSION)
    const terms = this.#group.narrow(COLUMN_TERM)
    const appendNumbers = this.#group.narrow(COLUMN_APPEND_NUMBER)
    for (let row = start; row < end; row++) {
      const entity = entities.at(shard, numbers[row] as number)
      if (entity < 0) throw new Damage('it has rows of an entity that the log does not name')
      const version = versions[row] as number
      const term = terms[row] as number
      const appendNumber = appendNumbers[row] as number
      const isFirstOfAppend =
        row === start || numbers[row - 1] !== numbers[row] || terms[row - 1] !== term || appendNumbers[row - 1] !== appendNumber
      if (keepsRecent && isFirstOfAppend) recent.add(term, appendNumber, entity, version)
      const known = entities.nextVersion(entity)
      if (version <= known) continue
      if (version !== known + 1) throw new Damage(`${entities.name(entity)} goes from version ${known} to ${version}`)
      entities.set(entity, version, term, appendNumber)
    }
  }
}
