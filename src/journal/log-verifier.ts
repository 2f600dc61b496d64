import { isMillraceError, messageOf } from '#base/errors.js'
import { crc32, sha256 } from '#base/hash.js'
import type { BlockGroup, BlockHeader } from './block-format.js'
import { HASH_BYTES, readHeader, readNewEntities } from './block-format.js'
import type { EntityHead, Finding } from './journal.js'
import { COLUMN_ENTITY, COLUMN_VERSION, RowGroup } from './row-group.js'

/** Damage whose rows are not known one by one: which entities it hit shows when later rows, or the heads at the end, leave a gap. */
interface OpenDamage {
  readonly segment: string
  readonly block: number | undefined
  readonly what: string
  /** Undefined: any entity may have rows in it. */
  readonly group: BlockGroup | undefined
  readonly entities: Set<string>
  /** Its last position, once a later block says where that begins. */
  to: number | undefined
}

/** Where the blocks begin that are checked, when those before were sealed or dropped. */
export interface VerifyStart {
  readonly position: number
  /** Of the block before, or undefined when it is not known. */
  readonly lastHash: Uint8Array | undefined
  /** The version of an entity's newest row before, 0 when it has none, undefined when that is not known. */
  versionBefore(shard: number, number: number): number | undefined
}

const WHOLE_LOG: VerifyStart = { position: 0, lastHash: new Uint8Array(HASH_BYTES), versionBefore: () => 0 }

/**
 * Checks a log block by block, in order of position: checksums, chain, positions without gaps, and every entity's versions without gaps. Whether
 * every value can be decoded is for row-check.ts. Names the entities whose rows are lost as exactly as the damage allows: by their own rows when those columns are
 * intact, else by the versions that are missing.
 */
export class LogVerifier {
  readonly #heads: readonly EntityHead[]
  readonly #start: VerifyStart
  readonly #names: (string | undefined)[][] = []
  readonly #versions: number[][] = []
  readonly #group = new RowGroup()
  readonly #open: OpenDamage[] = []
  #found: Finding[] = []
  #nextPosition: number
  /** Undefined when the block before is damaged, so that nothing can be said about the chain. */
  #lastHash: Uint8Array | undefined
  /** The block before has an unreadable header, so where it ends is not known. */
  #isEndUnknown = false

  /** `heads`: what is known from elsewhere of where entities are; used for names and to see rows missing at the end. */
  constructor(heads: readonly EntityHead[], start: VerifyStart = WHOLE_LOG) {
    this.#heads = heads
    this.#start = start
    this.#nextPosition = start.position
    this.#lastHash = start.lastHash
  }

  /** Where the next block should begin. */
  get nextPosition(): number {
    return this.#nextPosition
  }

  /** Checks the next block; `position` is where it is filed. */
  block(segment: string, position: number, bytes: Uint8Array): Finding[] {
    let header: BlockHeader
    try {
      header = readHeader(bytes)
    } catch (error) {
      if (isMillraceError(error)) this.#add(segment, position, messageOf(error), [])
      else this.lost(segment, position, `its header cannot be read, since ${messageOf(error)}`)
      return this.#take()
    }
    if (header.basePosition !== position)
      this.#add(segment, position, `it is filed at position ${position} and says ${header.basePosition}`, [])
    if (header.basePosition !== this.#nextPosition && !this.#isEndUnknown) this.#gap(segment, header.basePosition)
    if (this.#lastHash !== undefined && Buffer.compare(this.#lastHash, header.previousHash) !== 0) {
      this.#add(segment, position, 'it does not continue the block before it: the chain is broken', [])
    }
    const isIntact = this.#body(segment, header, bytes)
    this.#lastHash = isIntact ? sha256(bytes) : undefined
    const lost = this.#isEndUnknown ? this.#open.at(-1) : undefined
    if (lost !== undefined) lost.to = header.basePosition - 1
    this.#nextPosition = header.basePosition + header.rowCount
    this.#isEndUnknown = false
    return this.#take()
  }

  /** Says that the block at `position` cannot be read at all. Its entities are named at the end. */
  lost(segment: string, position: number, what: string): void {
    if (position > this.#nextPosition && !this.#isEndUnknown) this.#gap(segment, position)
    this.#open.push({ segment, block: position, what, group: undefined, entities: new Set(), to: undefined })
    this.#lastHash = undefined
    this.#isEndUnknown = true
    this.#nextPosition = position
  }

  /** What could only be said after the last block. `endPosition`: where the log is known to end, when it is. */
  end(segment: string, endPosition?: number): Finding[] {
    if (endPosition !== undefined && endPosition > this.#nextPosition && !this.#isEndUnknown) this.#gap(segment, endPosition)
    const unexplained: string[] = []
    for (const { shard, number, entity, version } of this.#heads) {
      if (version <= (this.#versions[shard]?.[number] ?? this.#start.versionBefore(shard, number) ?? version)) continue
      if (!this.#blame(shard, number, entity)) unexplained.push(entity)
    }
    if (unexplained.length > 0) this.#add(segment, undefined, 'the newest rows of entities are missing', unexplained)
    for (const { segment: own, block, what, entities, to } of this.#open) {
      this.#add(own, block, to === undefined ? what : `${what}: unknown rows at positions ${block} to ${to}`, [...entities].sort())
    }
    return this.#take()
  }

  /** The entities that have rows in an intact block of this log. */
  entitiesIn(bytes: Uint8Array): string[] {
    const hit = new Set<string>()
    for (const group of readHeader(bytes).groups) {
      const numbers = this.#group.open(bytes, group).narrow(COLUMN_ENTITY)
      let row = 0
      for (const { shard, rowCount } of group.shards) {
        for (const end = row + rowCount; row < end; row++) hit.add(this.#name(shard, numbers[row] as number))
      }
    }
    return [...hit].sort()
  }

  #body(segment: string, header: BlockHeader, bytes: Uint8Array): boolean {
    try {
      for (const { shard, first, names } of readNewEntities(bytes, header)) {
        const own = (this.#names[shard] ??= [])
        names.forEach((name, index) => {
          own[first + index] = utf8.decode(name)
        })
      }
    } catch (error) {
      this.#add(segment, header.basePosition, `its new entities cannot be read, since ${messageOf(error)}`, [])
    }
    let isIntact = true
    for (const group of header.groups) {
      if (!this.#checkGroup(segment, header, bytes, group)) isIntact = false
    }
    return isIntact
  }

  #checkGroup(segment: string, header: BlockHeader, bytes: Uint8Array, group: BlockGroup): boolean {
    const from = header.basePosition + group.rank
    const where = `rows at positions ${from} to ${from + group.rowCount - 1}`
    const body = bytes.subarray(group.offset, group.offset + group.bytes)
    const isIntact = crc32(body) === group.crc
    if (isIntact || crc32(body.subarray(0, group.identityBytes)) === group.identityCrc) {
      try {
        this.#group.openUnchecked(bytes, group)
        const hit = this.#follow(segment, header, group)
        if (isIntact) return true
        this.#add(segment, header.basePosition, `the checksum of ${where} is wrong`, hit)
        return false
      } catch (error) {
        if (isMillraceError(error)) {
          this.#add(segment, header.basePosition, messageOf(error), [])
          return false
        }
        // Falls through: what looked readable was not.
      }
    }
    const what = `the checksum of ${where} is wrong, and which rows these are cannot be read`
    this.#open.push({ segment, block: header.basePosition, what, group, entities: new Set(), to: undefined })
    return false
  }

  /** Follows the versions of a group's entities; returns their names. */
  #follow(segment: string, header: BlockHeader, group: BlockGroup): string[] {
    const numbers = this.#group.narrow(COLUMN_ENTITY)
    const versions = this.#group.narrow(COLUMN_VERSION)
    const hit = new Set<string>()
    let row = 0
    for (const { shard, rowCount } of group.shards) {
      const seen = (this.#versions[shard] ??= [])
      for (const end = row + rowCount; row < end; row++) {
        const number = numbers[row] as number
        const version = versions[row] as number
        const last = seen[number] ?? this.#start.versionBefore(shard, number) ?? version - 1
        hit.add(this.#name(shard, number))
        if (version <= last)
          this.#add(segment, header.basePosition, `version ${version} comes after version ${last}`, [this.#name(shard, number)])
        else if (version > last + 1 && !this.#blame(shard, number, this.#name(shard, number))) {
          this.#add(segment, header.basePosition, `versions ${last + 1} to ${version - 1} are missing before it`, [
            this.#name(shard, number),
          ])
        }
        seen[number] = Math.max(last, version)
      }
    }
    return [...hit].sort()
  }

  /** Rows of the entity are missing: enters it with all damage that may have had them. False when there is none. */
  #blame(shard: number, number: number, name: string): boolean {
    let isExplained = false
    for (const { group, entities } of this.#open) {
      const own = group?.shards.find((one) => one.shard === shard)
      if (group !== undefined && (own === undefined || number < own.entityMin || number > own.entityMax)) continue
      entities.add(name)
      isExplained = true
    }
    return isExplained
  }

  #gap(segment: string, to: number): void {
    const from = this.#nextPosition
    if (to < from) return this.#add(segment, to, `it begins before position ${from}, where the block before it ends`, [])
    this.#open.push({
      segment,
      block: from,
      what: `there is no block with the rows at positions ${from} to ${to - 1}`,
      group: undefined,
      entities: new Set(),
      to: undefined,
    })
    this.#lastHash = undefined
  }

  #name(shard: number, number: number): string {
    return (
      this.#names[shard]?.[number] ??
      this.#heads.find((head) => head.shard === shard && head.number === number)?.entity ??
      `entity ${number} of shard ${shard}`
    )
  }

  #add(segment: string, block: number | undefined, what: string, entities: readonly string[]): void {
    this.#found.push({ severity: 'damaged', segment, block, what, entities })
  }

  #take(): Finding[] {
    const found = this.#found
    this.#found = []
    return found
  }
}

const utf8 = new TextDecoder()
