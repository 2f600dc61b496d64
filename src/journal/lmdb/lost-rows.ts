import { crc32 } from '#base/hash.js'
import { shardOf } from '#base/ids.js'
import { type BlockEntities, type BlockHeader, type BlockShard, readHeader, readNewEntities } from '#journal/block-format.js'
import type { LostRow } from '#journal/fenced-block.js'
import { COLUMN_APPEND_NUMBER, COLUMN_ENTITY, COLUMN_TERM, COLUMN_VERSION, RowGroup } from '#journal/row-group.js'

/** Positions whose rows are gone, and what becomes known of these. */
export class LostRange {
  readonly segment: string
  readonly position: number
  endPosition: number
  readonly rows: LostRow[] = []
  readonly newEntities: BlockEntities[] = []
  /** Where it is only known between which entities rows lie. */
  readonly suspicions: Suspicion[] = []
  /** Entities that may have had rows here as well, and get none: there are more of them than rows. */
  readonly undecided: string[] = []
  /** `accepted` of the newest row before. */
  readonly accepted: number

  constructor(segment: string, position: number, endPosition: number, accepted: number) {
    this.segment = segment
    this.position = position
    this.endPosition = endPosition
    this.accepted = accepted
  }

  /** Rows of which nothing is known yet. */
  get room(): number {
    return this.endPosition - this.position - this.rows.length
  }
}

/** So many rows of a shard are gone, of entities among these. */
interface Suspicion {
  readonly shard: number
  readonly rowCount: number
  /** Those that are sure to have had one first; with the version of the row that was seen last before, if that is known. */
  readonly suspects: readonly { readonly number: number; readonly version: number | undefined }[]
}

/** What is known of an entity at some point of the log. */
interface Seen {
  version: number
  term: number
  appendNumber: number
}

/**
 * Follows the versions of all entities over a log with holes in it, and finds out which rows are gone: by the identity columns of a damaged block where these are
 * whole, else by the versions that are missing.
 */
export class LostRows {
  readonly ranges: LostRange[] = []
  readonly #shardCount: number
  readonly #names = new Map<number, (string | undefined)[]>()
  readonly #seen = new Map<number, (Seen | undefined)[]>()
  /** By shard: how many entities have been introduced, and at which position the last one was. */
  readonly #introduced = new Map<number, { count: number; position: number }>()
  readonly #group = new RowGroup()
  /** Nothing was dropped: an entity that was not seen yet has no rows. Else the first row that is seen of it tells nothing. */
  readonly #isWhole: boolean

  constructor(shardCount: number, isWhole: boolean) {
    this.#shardCount = shardCount
    this.#isWhole = isWhole
  }

  /** The newest row of an entity in front of the blocks that are looked at. */
  before(shard: number, number: number, version: number): void {
    this.#seenOf(shard)[number] = { version, term: 1, appendNumber: 1 }
  }

  /** A name from elsewhere. */
  name(shard: number, number: number, entity: string): void {
    this.#namesOf(shard)[number] ??= entity
  }

  nameOf(shard: number, number: number): string {
    const names = this.#namesOf(shard)
    return (names[number] ??= placeholder('fenced', shard, number, this.#shardCount))
  }

  /** Entities of a shard that were introduced before this log. */
  introduced(shard: number, count: number): void {
    this.#introduced.set(shard, { count, position: -1 })
  }

  /** A hole, and the bytes that were found there, if any. */
  lost(range: LostRange, found: readonly Uint8Array[]): void {
    this.ranges.push(range)
    for (const bytes of found) this.#salvageIdentity(range, bytes)
  }

  /** An intact block that is kept. */
  kept(bytes: Uint8Array): void {
    const header = readHeader(bytes)
    for (const { shard, first, names } of readNewEntities(bytes, header)) {
      this.#fillNumbers(shard, first)
      names.forEach((name, index) => this.#takeName(shard, first + index, name))
      this.#introduced.set(shard, { count: first + names.length, position: header.basePosition })
    }
    this.#eachRow(bytes, header, true, (row) => this.#follow(row))
  }

  /** What is known of entities at the end: rows that are missing there are lost as well. */
  end(shard: number, number: number, version: number, term: number, appendNumber: number): void {
    this.#missing(shard, number, version + 1)
    const seen = this.#seenOf(shard)[number]
    const last = this.ranges
      .flatMap(({ rows }) => rows)
      .find((row) => row.shard === shard && row.number === number && row.version === version)
    if (seen === undefined || seen.version < version) this.#seenOf(shard)[number] = { version, term, appendNumber }
    // The head of the entity: the next append will name it as the row that it builds on.
    if (last !== undefined) Object.assign(last, { term, appendNumber })
  }

  /** Names what was introduced in a hole and never again; gives rows of which nothing is known to an entity of their own. False when there is no place for it. */
  finish(): boolean {
    for (const [shard, names] of this.#names) this.#fillNumbers(shard, names.length)
    for (const range of this.ranges) {
      for (const suspicion of range.suspicions) this.#decide(range, suspicion)
      if (range.room > 0) {
        const shard = this.#quietShard(range.position)
        if (shard === undefined) return false
        const number = this.#countOf(shard)
        const entity = this.nameOf(shard, number)
        range.newEntities.push({ shard, first: number, names: [utf8.encode(entity)] })
        this.#introduced.set(shard, { count: number + 1, position: range.position })
        for (let version = 1; range.room > 0; version++) range.rows.push({ entity, shard, number, version, term: 1, appendNumber: 1 })
      }
      range.rows.sort((a, b) => a.shard - b.shard || a.number - b.number || a.version - b.version)
      range.newEntities.sort((a, b) => a.shard - b.shard || a.first - b.first)
    }
    return true
  }

  /**
   * Gives rows of which only the shard is known to the entities that may have had them, one each, so that none goes on as if it had lost nothing. One of which a later row was seen, or a
   * head that was saved, is not among these any more: what it lost is known.
   */
  #decide(range: LostRange, { shard, rowCount, suspects }: Suspicion): void {
    const isKnown = (suspect: number): boolean => range.rows.some((row) => row.shard === shard && row.number === suspect)
    const known = range.rows.filter((row) => row.shard === shard && suspects.some(({ number }) => number === row.number)).length
    let left = Math.min(range.room, rowCount - known)
    const open = suspects.filter(({ number, version }) => this.#versionOf(shard, number) === version)
    for (const { number, version } of suspects)
      if (version === undefined && !isKnown(number)) range.undecided.push(this.nameOf(shard, number))
    const give = (number: number): void => {
      const version = (this.#versionOf(shard, number) as number) + 1
      const row = { shard, number, version, term: 1, appendNumber: 1 }
      range.rows.push({ ...row, entity: this.nameOf(shard, number) })
      this.#seenOf(shard)[number] = row
      left--
    }
    for (const { number, version } of open) {
      if (version === undefined) continue
      if (left > 0) give(number)
      else range.undecided.push(this.nameOf(shard, number))
    }
    const first = open.find(({ version }) => version !== undefined)
    while (left > 0 && first !== undefined) give(first.number)
  }

  /** Undefined where that is not known. */
  #versionOf(shard: number, number: number): number | undefined {
    return this.#seenOf(shard)[number]?.version ?? (this.#isWhole ? 0 : undefined)
  }

  /** What the header says of groups whose identity columns are damaged. */
  #suspect(range: LostRange, { shard, rowCount, entityMin, entityMax }: BlockShard): void {
    const ends = entityMin === entityMax ? [entityMin] : [entityMin, entityMax]
    const between = Array.from({ length: Math.max(0, entityMax - entityMin - 1) }, (_, index) => entityMin + 1 + index)
    const suspects = [...ends, ...between].map((number) => ({ number, version: this.#versionOf(shard, number) }))
    range.suspicions.push({ shard, rowCount, suspects })
  }

  #salvageIdentity(range: LostRange, bytes: Uint8Array): void {
    let header: BlockHeader
    try {
      header = readHeader(bytes)
    } catch {
      return
    }
    for (const { shard, first, names } of readNewEntities(bytes, header)) {
      names.forEach((name, index) => this.#takeName(shard, first + index, name))
      range.newEntities.push({ shard, first, names })
      this.#introduced.set(shard, { count: first + names.length, position: range.position })
    }
    for (const group of header.groups) {
      if (crc32(bytes.subarray(group.offset, group.offset + group.identityBytes)) === group.identityCrc) continue
      for (const shard of group.shards) this.#suspect(range, shard)
    }
    this.#eachRow(bytes, header, false, (row) => {
      const entity = this.nameOf(row.shard, row.number)
      if (range.room > 0) range.rows.push({ ...row, entity })
      this.#seenOf(row.shard)[row.number] = row
    })
  }

  #eachRow(bytes: Uint8Array, header: BlockHeader, isIntact: boolean, take: (row: Omit<LostRow, 'entity'>) => void): void {
    for (const group of header.groups) {
      const body = bytes.subarray(group.offset, group.offset + group.bytes)
      if (!isIntact && crc32(body.subarray(0, group.identityBytes)) !== group.identityCrc) continue
      this.#group.openUnchecked(bytes, group)
      const [numbers, versions] = [this.#group.narrow(COLUMN_ENTITY).slice(), this.#group.narrow(COLUMN_VERSION).slice()]
      const [terms, appends] = isIntact
        ? [this.#group.narrow(COLUMN_TERM).slice(), this.#group.narrow(COLUMN_APPEND_NUMBER).slice()]
        : [undefined, undefined]
      let row = 0
      for (const { shard, rowCount } of group.shards) {
        for (const end = row + rowCount; row < end; row++) {
          const [number, version] = [numbers[row] as number, versions[row] as number]
          take({ shard, number, version, term: terms?.[row] ?? 1, appendNumber: appends?.[row] ?? 1 })
        }
      }
    }
  }

  #follow({ shard, number, version, term, appendNumber }: Omit<LostRow, 'entity'>): void {
    this.#missing(shard, number, version)
    this.#seenOf(shard)[number] = { version, term, appendNumber }
  }

  /** Versions up to the one before `next` must have been in the holes. */
  #missing(shard: number, number: number, next: number): void {
    const last = this.#seenOf(shard)[number]?.version ?? (this.#isWhole ? 0 : next - 1)
    let range = this.ranges.findLast((one) => one.room > 0)
    for (let version = next - 1; version > last && range !== undefined; version--) {
      range.rows.push({ entity: this.nameOf(shard, number), shard, number, version, term: 1, appendNumber: 1 })
      if (range.room === 0) range = this.ranges.findLast((one) => one.room > 0)
    }
  }

  /** Entities up to a number that nobody introduced were introduced in the last hole. */
  #fillNumbers(shard: number, upTo: number): void {
    const range = this.ranges.at(-1)
    for (let number = this.#countOf(shard); number < upTo && range !== undefined; number++) {
      range.newEntities.push({ shard, first: number, names: [utf8.encode(this.nameOf(shard, number))] })
      this.#introduced.set(shard, { count: number + 1, position: range.position })
    }
  }

  #countOf(shard: number): number {
    return this.#introduced.get(shard)?.count ?? 0
  }

  #takeName(shard: number, number: number, name: Uint8Array): void {
    this.#namesOf(shard)[number] = new TextDecoder().decode(name)
  }

  /** One in which nothing was introduced behind a position. */
  #quietShard(position: number): number | undefined {
    for (let shard = 0; shard < this.#shardCount; shard++) if ((this.#introduced.get(shard)?.position ?? -1) <= position) return shard
    return undefined
  }

  #namesOf(shard: number): (string | undefined)[] {
    let names = this.#names.get(shard)
    if (names === undefined) this.#names.set(shard, (names = []))
    return names
  }

  #seenOf(shard: number): (Seen | undefined)[] {
    let seen = this.#seen.get(shard)
    if (seen === undefined) this.#seen.set(shard, (seen = []))
    return seen
  }
}

const utf8 = new TextEncoder()

/** A name for an entity of a type whose own is lost: the first of a series that belongs to the shard. */
export function placeholder(entityType: string, shard: number, number: number, shardCount: number): string {
  for (let attempt = 0; ; attempt++) {
    const name = `${entityType}/lost-${shard}-${number}-${attempt}`
    if (shardOf(utf8.encode(name), shardCount) === shard) return name
  }
}
