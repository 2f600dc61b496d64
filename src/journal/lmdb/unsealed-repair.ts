import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '#base/hash.js'
import type { EntityId } from '#base/ids.js'
import { HASH_BYTES, readHeader, withPreviousHash } from '#journal/block-format.js'
import { EventTypes } from '#journal/event-types.js'
import { FENCED_EVENT, fencedBlock, type LostRow } from '#journal/fenced-block.js'
import type { LogState } from '#journal/log-state.js'
import { firstPositionOf, type OpeningPlan } from '#journal/segments/opening-plan.js'
import { lastVersions } from '#journal/segments/last-versions.js'
import type { SegmentFile } from '#journal/segments/segment-file.js'
import type { Catalog } from './catalog.js'
import { DATA_FILE, openEnvironment } from './environment.js'
import { type FoundBlock, FileScan, isIntact, likeliest } from './file-scan.js'
import type { GoneRows, GoneVersions } from './gone-rows.js'
import { LostRange, LostRows } from './lost-rows.js'
import type { PendingRepair } from './pending-repair.js'
import { PlainDatabase } from './plain-database.js'
import { onDisk } from './repair-disk.js'
import type { SealedRepair } from './sealed-repair.js'
import { keyOf, Segment } from './segment.js'

const MAP_BYTES = 256 * 2 ** 30

interface KeptBlock {
  readonly segment: string
  readonly position: number
  readonly bytes: Uint8Array
}

/** Makes damaged segments that are not sealed anew, and those behind them, whose chain is another then: plans in memory, then writes drafts. */
export class UnsealedRepair {
  readonly #log: string
  readonly #lost: LostRows
  readonly #state: LogState
  readonly #saved: number
  readonly #names: readonly string[]
  /** Sealed segments before these. */
  readonly #sealed: readonly (() => SegmentFile)[]
  readonly #sealedEnd: number
  readonly #kept: KeptBlock[] = []
  readonly #hit = new Set<string>()
  #startHash: Uint8Array = new Uint8Array(HASH_BYTES)

  constructor(log: string, state: LogState, saved: number, plan: OpeningPlan, sealed: SealedRepair) {
    const { shardCount } = state.entities
    this.#log = log
    this.#state = state
    this.#saved = saved
    this.#names = plan.unsealed
    this.#lost = new LostRows(shardCount, plan.firstPosition === 0)
    const start = firstPositionOf(plan.unsealed[0] as string)
    const before = plan.sealed.filter(({ endPosition }) => endPosition <= start)
    const lastSealed = before.at(-1)
    if (lastSealed !== undefined) this.#startHash = Buffer.from(lastSealed.lastHash, 'hex')
    this.#sealed = before.map((entry) => () => sealed.open(entry))
    this.#sealedEnd = plan.endOfSealed
    for (let shard = 0; shard < shardCount; shard++) {
      for (const { number, entity } of this.#state.entities.heads(shard)) this.#lost.name(shard, number, entity)
    }
  }

  get rewritten(): string[] {
    const first = this.#names.findIndex((name) => this.#hit.has(name))
    return first < 0 ? [] : this.#names.slice(first)
  }

  get gone(): GoneRows[] {
    return this.#lost.ranges.map(({ segment, position, endPosition, rows, undecided }) => {
      const entities: GoneVersions[] = []
      for (const { entity, version } of rows) {
        const last = entities.at(-1)
        if (last?.entity === entity && last.to === version - 1) entities[entities.length - 1] = { ...last, to: version }
        else entities.push({ entity, from: version, to: version })
      }
      return { segment, firstPosition: position, endPosition, entities, ...(undecided.length === 0 ? {} : { undecided }) }
    })
  }

  /** Looks for all that can be kept. False when something is in the way. */
  async plan(): Promise<boolean> {
    for (const open of this.#sealed) await this.#learn(open())
    if (this.#names.some((name) => !existsSync(join(this.#log, name, DATA_FILE)))) return false
    for (const [index, name] of this.#names.entries()) this.#look(name, this.#names[index + 1])
    const [first] = this.rewritten
    // Its chain cannot be another.
    if (first !== undefined && this.#sealedEnd > firstPositionOf(first)) return false
    for (const heads of this.#allHeads()) this.#lost.end(heads.shard, heads.number, heads.version, heads.term, heads.appendNumber)
    return this.#lost.finish()
  }

  /**
   * Writes the new files as drafts, durably. Nothing refers to them: they count when it is decided (pending-repair.ts), and without that they are removed at the next opening.
   * Answers what to decide.
   */
  async draft(catalog: Catalog): Promise<PendingRepair> {
    const { rewritten, gone } = this
    const types = new EventTypes(catalog.eventTypes())
    const hitTypes = new Set(this.#lost.ranges.flatMap(({ rows }) => rows.map(({ entity }) => typeOf(entity))))
    const { added } = types.plan([...hitTypes].map((entity) => ({ entity, event: FENCED_EVENT, fields: [] })))
    if (added.length > 0) await catalog.saveEventTypes(added)
    for (const type of added) types.set(type)
    for (const { rows } of this.#lost.ranges) for (const row of rows) this.#nameWriter(row, catalog)
    const first = rewritten[0] as string
    const before = this.#kept.findLast(({ segment }) => segment < first)
    let hash: Uint8Array = before === undefined ? this.#startHash : sha256(before.bytes)
    for (const name of rewritten) hash = await this.#draft(name, types, hash)
    return { rewritten, gone }
  }

  /** A snapshot that covers the row knows who wrote it: the next append will name that. */
  #nameWriter(row: LostRow, catalog: Catalog): void {
    const snapshot = catalog.snapshot(row.shard, row.entity as EntityId, row.version)
    if (snapshot?.version === row.version) Object.assign(row, { term: snapshot.term, appendNumber: snapshot.appendNumber })
  }

  /** Removes drafts that nothing came of. */
  discard(): void {
    for (const name of this.rewritten) rmSync(join(this.#log, `${name}.new`), { recursive: true, force: true })
  }

  /** Takes the hash of the block before its first, answers that of its last. */
  async #draft(name: string, types: EventTypes, previousHash: Uint8Array): Promise<Uint8Array> {
    const numberOf = (entity: string) =>
      types.all.find((type) => type.entity === typeOf(entity) && type.event === FENCED_EVENT)?.number as number
    const blocks = [
      ...this.#kept.filter(({ segment }) => segment === name),
      ...this.#lost.ranges.filter(({ segment }) => segment === name),
    ].sort((a, b) => a.position - b.position)
    const path = join(this.#log, `${name}.new`)
    let hash = previousHash
    await onDisk(path, async () => {
      rmSync(path, { recursive: true, force: true })
      const database = await openEnvironment(path, { isReadOnly: false, mapBytes: MAP_BYTES })
      try {
        for (const one of blocks) {
          const { position } = one
          const block =
            one instanceof LostRange
              ? fencedBlock(types, { basePosition: position, previousHash: hash, typeOf: numberOf, ...partsOf(one) })
              : withPreviousHash(one.bytes, hash)
          await database.put(keyOf(position), block)
          hash = sha256(block)
        }
      } finally {
        await database.close()
      }
    })
    return hash
  }

  #look(name: string, nextName: string | undefined): void {
    const file = join(this.#log, name, DATA_FILE)
    const database = new PlainDatabase(file)
    const segment = new Segment(name, database, file)
    const known = nextName === undefined ? undefined : Number.parseInt(nextName, 10)
    if (database.wrong !== undefined) this.#hit.add(name)
    const found = database.wrong === undefined ? indexed(segment) : scanned(segment)
    let next = segment.firstPosition
    let accepted = 0
    let pending: Uint8Array[] = []
    const hole = (endPosition: number) => {
      this.#hit.add(name)
      this.#lost.lost(new LostRange(name, next, endPosition, accepted), pending)
      pending = []
      next = endPosition
    }
    for (const { position, bytes } of found) {
      const isGood = position >= next && isIntact(bytes) && readHeader(bytes).basePosition === position
      if (!isGood) {
        this.#hit.add(name)
        pending.push(bytes)
        continue
      }
      if (position > next) hole(position)
      this.#lost.kept(bytes)
      this.#kept.push({ segment: name, position, bytes })
      const header = readHeader(bytes)
      next = header.endPosition
      accepted = header.acceptedMax
      pending = []
    }
    const end = known ?? Math.max(next, this.#saved, ...pending.map((bytes) => endOf(bytes, next)))
    if (end > next) hole(end)
    void database.close()
  }

  /** The names of entities that a sealed segment introduces, and the newest version of all that it has rows of. */
  async #learn(file: SegmentFile): Promise<void> {
    try {
      for (const { shard, first, names } of file.newEntities()) {
        names.forEach((bytes, index) => this.#lost.name(shard, first + index, Buffer.from(bytes).toString('utf8')))
        this.#lost.introduced(shard, first + names.length)
      }
      for await (const { shard, number, version } of lastVersions(file)) this.#lost.before(shard, number, version)
    } finally {
      file.close()
    }
  }

  *#allHeads() {
    for (let shard = 0; shard < this.#state.entities.shardCount; shard++) yield* this.#state.entities.heads(shard)
  }
}

function* indexed(segment: Segment): Generator<{ position: number; bytes: Uint8Array }> {
  for (const position of segment.bases(segment.firstPosition, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER))
    yield { position, bytes: segment.bytes(position) ?? new Uint8Array(0) }
}

/** Blocks found anywhere in the file; of several at one position the one that the others continue. */
function* scanned(segment: Segment): Generator<{ position: number; bytes: Uint8Array }> {
  const scan = new FileScan(segment.file)
  try {
    const found = scan.blocks()
    for (const position of [...found.keys()].sort((a, b) => a - b)) {
      const block = likeliest(found.get(position) as FoundBlock[], found, scan)
      if (block !== undefined && position >= segment.firstPosition) yield { position, bytes: scan.read(block) }
    }
  } finally {
    scan.close()
  }
}

/** Where a damaged block ends, as far as its header tells. */
function endOf(bytes: Uint8Array, position: number): number {
  try {
    return readHeader(bytes).endPosition
  } catch {
    return position + 1
  }
}

function partsOf({ rows, newEntities, accepted }: LostRange) {
  return { rows, newEntities, accepted }
}

function typeOf(entity: string): string {
  return entity.slice(0, entity.indexOf('/'))
}
