import type { MillraceError } from '#base/errors.js'
import { crc32, sha256 } from '#base/hash.js'
import { type EntityId, shardOf } from '#base/ids.js'
import { type BlockGroup, type BlockMark, HASH_BYTES, readNewEntities } from './block-format.js'
import { type BlockReader, blockDamaged } from './block-reader.js'
import type { BlockNames } from './block-rows.js'
import { Damage } from './bytes.js'
import { DoubtfulHeads } from './doubtful-heads.js'
import { EntityTable } from './entity-table.js'
import { EventTypes } from './event-types.js'
import type { EventType } from './journal.js'
import { Marks } from './marks.js'
import { RecentAppends } from './recent-appends.js'
import { COLUMN_APPEND_NUMBER, COLUMN_ENTITY, COLUMN_TERM, COLUMN_VERSION, RowGroup } from './row-group.js'

export interface LearnOptions {
  /** There is no block that it must continue. */
  readonly isFirst: boolean
  readonly keepsRecent: boolean
  /** How rows that are damaged are passed over; without it they are thrown. */
  readonly damaged?: PassOver
}

export interface PassOver {
  /** Up to which position the heads of a shard were known before: there its damaged rows do not matter. */
  readonly savedUpTo: (shard: number) => number
  readonly tell: (damage: MillraceError) => void
}

/** What a journal knows of its log without reading it: heads, marks, recent appends, where it ends. */
export class LogState implements BlockNames {
  readonly types: EventTypes
  readonly entities: EntityTable
  readonly recent: RecentAppends
  /** Entities that damage may have hit, of which it is not known where they stand. */
  readonly doubtful: DoubtfulHeads
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
    this.doubtful = new DoubtfulHeads(this.entities)
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
   * nothing. Where rows are damaged and `damaged` says so, it takes all others, and doubts the heads of entities that may have had some there. Throws ERR_BLOCK_DAMAGED.
   */
  learn(reader: BlockReader, options: LearnOptions): void {
    const { header, bytes } = reader
    reader.guard(() => {
      if (!options.isFirst) {
        if (header.basePosition !== this.endPosition)
          throw new Damage(`it begins at ${header.basePosition}, the one before ends at ${this.endPosition}`)
        if (Buffer.compare(header.previousHash, this.lastHash) !== 0) throw new Damage('it does not continue the block before it')
      }
      for (const { shard, first, names } of readNewEntities(bytes, header)) {
        names.forEach((name, index) => this.learnEntity(shard, first + index, name))
      }
    })
    for (const group of header.groups) {
      if (options.damaged !== undefined && crcOf(bytes, group, group.bytes) !== group.crc) {
        options.damaged.tell(blockDamaged(new Damage('the checksum of a row group is wrong'), reader.segment, header.basePosition))
        this.#doubt(reader, group, options.damaged.savedUpTo)
        continue
      }
      if (options.damaged === undefined) reader.group(group, this.#group)
      else reader.guard(() => this.#group.openUnchecked(bytes, group))
      reader.guard(() => {
        let row = 0
        for (const { shard, rowCount } of group.shards) {
          this.#learnRows(shard, row, row + rowCount, options.keepsRecent)
          row += rowCount
        }
      })
    }
    for (const mark of header.marks) this.learnMark(mark)
    this.endPosition = header.endPosition
    this.lastHash = sha256(bytes)
  }

  /** Takes note that what stands up to a position cannot be read, and that heads and marks are known without it. */
  passOver(endPosition: number, lastHash: Uint8Array): void {
    this.endPosition = endPosition
    this.lastHash = lastHash
  }

  /** Whose rows these are is told by the identity columns where they are whole, and else by the header: one of the entities between the lowest and the highest. */
  #doubt(reader: BlockReader, group: BlockGroup, savedUpTo: PassOver['savedUpTo']): void {
    const { bytes, header } = reader
    const { doubtful, entities } = this
    const entityOf = (shard: number, number: number): number => {
      const entity = entities.at(shard, number)
      if (entity < 0) throw new Damage('it has rows of an entity that the log does not name')
      return entity
    }
    const hasIdentity = crcOf(bytes, group, group.identityBytes) === group.identityCrc
    if (hasIdentity) reader.guard(() => this.#group.openUnchecked(bytes, group))
    let row = 0
    for (const { shard, rowCount, entityMin, entityMax } of group.shards) {
      const start = row
      row += rowCount
      if (savedUpTo(shard) >= header.endPosition) continue
      reader.guard(() => {
        if (hasIdentity) {
          const numbers = this.#group.narrow(COLUMN_ENTITY)
          const versions = this.#group.narrow(COLUMN_VERSION)
          for (let at = start; at < row; at++) {
            const entity = entityOf(shard, numbers[at] as number)
            const version = versions[at] as number
            if (version <= doubtful.sureVersion(entity)) continue
            if (!doubtful.isNext(entity, version)) throw skips(entities.name(entity), doubtful.sureVersion(entity), version)
            doubtful.hit(entity, version)
          }
        } else if (entityMin === entityMax) doubtful.hitBy(entityOf(shard, entityMin), rowCount)
        else for (let number = entityMin; number <= entityMax; number++) doubtful.mayHit(entityOf(shard, number))
      })
    }
  }

  #learnRows(shard: number, start: number, end: number, keepsRecent: boolean): void {
    const { entities, recent, doubtful } = this
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
      const isDoubtful = doubtful.has(entity)
      const known = isDoubtful ? doubtful.sureVersion(entity) : entities.nextVersion(entity)
      if (version <= known) continue
      if (isDoubtful ? !doubtful.isNext(entity, version) : version !== known + 1) throw skips(entities.name(entity), known, version)
      if (isDoubtful) doubtful.settle(entity)
      entities.set(entity, version, term, appendNumber)
    }
  }
}

/** Of the group's first bytes. */
function crcOf(block: Uint8Array, group: BlockGroup, byteCount: number): number {
  return crc32(block.subarray(group.offset, group.offset + byteCount))
}

function skips(entity: string, from: number, to: number): Damage {
  return new Damage(`${entity} goes from version ${from} to ${to}`)
}
