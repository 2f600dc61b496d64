import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '#base/hash.js'
import { HASH_BYTES, readHeader, withPreviousHash } from '#journal/block-format.js'
import { EventTypes } from '#journal/event-types.js'
import { FENCED_EVENT, fencedBlock } from '#journal/fenced-block.js'
import type { Finding } from '#journal/journal.js'
import { LogState } from '#journal/log-state.js'
import { type OpeningPlan, planOpening } from '#journal/segments/opening-plan.js'
import type { SegmentFile } from '#journal/segments/segment-file.js'
import { Catalog, KIND_CHECKPOINT, KIND_HEADS, KIND_MARKS, KIND_SNAPSHOT } from './catalog.js'
import { logPaths, noJournal, readFormat } from './directory.js'
import { DATA_FILE, type Database, openEnvironment, syncDirectory } from './environment.js'
import { type FoundBlock, FileScan, isIntact, likeliest } from './file-scan.js'
import { freeName, type GoneRows, type GoneVersions } from './gone-rows.js'
import { loadHeads } from './heads-checkpoint.js'
import { LostRange, LostRows } from './lost-rows.js'
import { ManifestStore } from './manifest-store.js'
import { PlainDatabase } from './plain-database.js'
import { SealedRepair } from './sealed-repair.js'
import { keyOf, Segment } from './segment.js'
import { verifyFiles } from './verify-files.js'

/** What repair would do, or did. Plain data. */
export interface RepairPlan {
  /** Segments that are written anew, sealed ones under another name; the old ones go to the folder `damaged` beside the log. */
  readonly rewritten: readonly string[]
  /** Events that are gone, by block. */
  readonly gone: readonly GoneRows[]
  /** Values of the catalog that are given up, in words; all can be had again, but for checkpoints, whose readers begin anew. */
  readonly givenUp: readonly string[]
  /** Damage that cannot be repaired: a backup has to help. */
  readonly beyond: readonly Finding[]
}

const MAP_BYTES = 256 * 2 ** 30
const DAMAGED_FOLDER = 'damaged'
const REPAIRED = '.repaired'
const SPARE_KINDS: ReadonlySet<number> = new Set([KIND_SNAPSHOT, KIND_HEADS, KIND_MARKS, KIND_CHECKPOINT])

/**
 * Repairs the log in a directory on which no journal is open. What is damaged is fenced: fenced rows (fenced-block.ts) take the place of those that are gone, so that
 * positions and versions stay, and the manifest tells. Later blocks that are not sealed are chained to a fenced one; a sealed file is written anew (sealed-repair.ts). An index that is
 * wrong is made anew from the blocks. With `isDryRun` nothing is changed. A crash leaves what there was, or a log that a second repair finishes. Throws ERR_NO_JOURNAL, and what the environment throws.
 */
export async function repairLog(directory: string, { isDryRun }: { readonly isDryRun: boolean }): Promise<RepairPlan> {
  const format = readFormat(directory)
  if (format === undefined) throw noJournal(directory)
  const paths = logPaths(directory)
  const findings: Finding[] = []
  for await (const finding of verifyFiles(directory)) if (finding.severity === 'damaged') findings.push(finding)
  const none: RepairPlan = { rewritten: [], gone: [], givenUp: [], beyond: [] }
  if (findings.length === 0) return none
  const plain = new PlainDatabase(join(paths.catalog, DATA_FILE))
  try {
    const catalog = new Catalog(plain, paths.catalog)
    const { keys, isRepairable } = spareDamage(catalog, plain)
    if (plain.wrong !== undefined || !isRepairable) return { ...none, beyond: findings }
    const manifest = ManifestStore.open(catalog).entries
    const state = new LogState(format.shardCount, 1)
    const saved = loadHeads(catalog, state)
    const opening = planOpening(readdirSync(paths.log), manifest)
    const hit = new Set(findings.map(({ segment }) => segment))
    const types = new EventTypes(catalog.eventTypes())
    const sealed = new SealedRepair({ log: paths.log, plan: opening, hit, types, state, saved })
    const isSealed = ({ segment }: Finding) => opening.sealed.some((entry) => entry.segment === segment)
    const isBeyond = (finding: Finding) =>
      isSealed(finding) ? sealed.beyond.has(finding.segment) : finding.segment !== 'catalog' && !finding.segment.endsWith('.active')
    const beyond = findings.filter(isBeyond)
    const isUnsealedHit = opening.unsealed.some((name) => hit.has(name))
    // Blocks that are not sealed need the names that sealed ones brought.
    if (isUnsealedHit && sealed.beyond.size > 0) return { ...none, beyond: findings }
    const unsealed = isUnsealedHit ? new Repair(paths.log, state, saved, opening, sealed) : undefined
    if (unsealed !== undefined && !unsealed.plan()) return { ...none, beyond: findings }
    const plan: RepairPlan = {
      rewritten: [...sealed.rewritten, ...(unsealed?.rewritten ?? [])],
      gone: [...sealed.gone, ...(unsealed?.gone ?? [])],
      givenUp: keys.map(({ what }) => what),
      beyond,
    }
    if (!isDryRun) await carryOut(paths.catalog, keys, directory, sealed, unsealed)
    return plan
  } finally {
    await plain.close()
  }
}

async function carryOut(
  path: string,
  spare: readonly { readonly key: Uint8Array }[],
  directory: string,
  sealed: SealedRepair,
  unsealed: Repair | undefined,
): Promise<void> {
  const database = await openEnvironment(path, { isReadOnly: false, mapBytes: MAP_BYTES })
  try {
    const catalog = new Catalog(database, path)
    for (const { key } of spare) await database.remove(key)
    const manifest = ManifestStore.open(catalog)
    await sealed.carryOut(catalog, manifest, join(directory, DAMAGED_FOLDER))
    await unsealed?.carryOut(database, catalog, manifest, directory)
  } finally {
    await database.close()
  }
}

/** Values of the catalog with wrong checksums that can be done without. */
function spareDamage(catalog: Catalog, plain: PlainDatabase): { keys: { key: Uint8Array; what: string }[]; isRepairable: boolean } {
  const keys: { key: Uint8Array; what: string }[] = []
  let isRepairable = true
  for (const key of plain.getKeys({})) {
    if (catalog.isIntact(key)) continue
    if (!SPARE_KINDS.has(key[0] as number)) isRepairable = false
    const what = key[0] === KIND_CHECKPOINT ? `checkpoint ${Buffer.from(key.subarray(1)).toString('utf8')}` : 'a snapshot or heads'
    keys.push({ key, what })
  }
  return { keys, isRepairable }
}

interface KeptBlock {
  readonly segment: string
  readonly position: number
  readonly bytes: Uint8Array
}

class Repair {
  readonly #log: string
  readonly #lost: LostRows
  readonly #state: LogState
  readonly #saved: number
  readonly #names: readonly string[]
  readonly #kept: KeptBlock[] = []
  readonly #hit = new Set<string>()
  #startHash: Uint8Array = new Uint8Array(HASH_BYTES)

  constructor(log: string, state: LogState, saved: number, plan: OpeningPlan, sealed: SealedRepair) {
    const { shardCount } = state.entities
    this.#log = log
    this.#state = state
    this.#saved = saved
    this.#names = plan.unsealed
    this.#lost = new LostRows(shardCount, plan.endOfSealed === 0)
    const lastSealed = plan.sealed.at(-1)
    if (lastSealed !== undefined) this.#startHash = Buffer.from(lastSealed.lastHash, 'hex')
    for (const entry of plan.sealed) this.#learnNames(sealed.open(entry))
    for (let shard = 0; shard < shardCount; shard++) {
      for (const { number, entity } of this.#state.entities.heads(shard)) this.#lost.name(shard, number, entity)
    }
  }

  get rewritten(): string[] {
    const first = this.#names.findIndex((name) => this.#hit.has(name))
    return first < 0 ? [] : this.#names.slice(first)
  }

  get gone(): GoneRows[] {
    return this.#lost.ranges.map(({ segment, position, endPosition, rows }) => {
      const entities: GoneVersions[] = []
      for (const { entity, version } of rows) {
        const last = entities.at(-1)
        if (last?.entity === entity && last.to === version - 1) entities[entities.length - 1] = { ...last, to: version }
        else entities.push({ entity, from: version, to: version })
      }
      return { segment, firstPosition: position, endPosition, entities }
    })
  }

  /** Looks for all that can be kept. False when something is in the way. */
  plan(): boolean {
    for (const [index, name] of this.#names.entries()) this.#look(name, this.#names[index + 1])
    for (const heads of this.#allHeads()) this.#lost.end(heads.shard, heads.number, heads.version, heads.term, heads.appendNumber)
    return this.#lost.finish()
  }

  async carryOut(database: Database, catalog: Catalog, manifest: ManifestStore, directory: string): Promise<void> {
    const types = new EventTypes(catalog.eventTypes())
    const { rewritten } = this
    if (rewritten.length === 0) return
    const hitTypes = new Set(this.#lost.ranges.flatMap(({ rows }) => rows.map(({ entity }) => typeOf(entity))))
    const { added } = types.plan([...hitTypes].map((entity) => ({ entity, event: FENCED_EVENT, fields: [] })))
    if (added.length > 0) await catalog.saveEventTypes(added)
    for (const type of added) types.set(type)
    // Of the log as it was: numbers of entities may have changed.
    for (const key of [...database.getKeys({ start: Uint8Array.of(KIND_HEADS), end: Uint8Array.of(KIND_MARKS + 1) })])
      await database.remove(new Uint8Array(key))
    await this.#rewrite(rewritten, types, directory)
    for (const { segment, firstPosition, endPosition, entities } of this.gone)
      await manifest.append({
        kind: 'fenced',
        segment,
        block: firstPosition,
        firstPosition,
        endPosition,
        rowCount: endPosition - firstPosition,
        entities,
      })
  }

  async #rewrite(names: readonly string[], types: EventTypes, directory: string): Promise<void> {
    const fencedOf = (entity: string) =>
      types.all.find((type) => type.entity === typeOf(entity) && type.event === FENCED_EVENT)?.number as number
    const before = this.#kept.findLast(({ segment }) => segment < (names[0] as string))
    let hash: Uint8Array = before === undefined ? this.#startHash : sha256(before.bytes)
    for (const name of names) {
      const path = join(this.#log, `${name}${REPAIRED}`)
      rmSync(path, { recursive: true, force: true })
      const database = await openEnvironment(path, { isReadOnly: false, mapBytes: MAP_BYTES })
      const blocks = [
        ...this.#kept.filter(({ segment }) => segment === name).map(({ position, bytes }) => ({ position, bytes, range: undefined })),
        ...this.#lost.ranges
          .filter(({ segment }) => segment === name)
          .map((range) => ({ position: range.position, bytes: undefined, range })),
      ].sort((a, b) => a.position - b.position)
      for (const { position, bytes, range } of blocks) {
        const block =
          range === undefined
            ? withPreviousHash(bytes, hash)
            : fencedBlock(types, {
                basePosition: position,
                previousHash: hash,
                rows: range.rows,
                newEntities: range.newEntities,
                accepted: range.accepted,
                typeOf: fencedOf,
              })
        await database.put(keyOf(position), block)
        hash = sha256(block)
      }
      await database.close()
    }
    const attic = join(directory, DAMAGED_FOLDER)
    mkdirSync(attic, { recursive: true, mode: 0o700 })
    for (const name of names) {
      renameSync(join(this.#log, name), freeName(join(attic, name)))
      renameSync(join(this.#log, `${name}${REPAIRED}`), join(this.#log, name))
    }
    for (const path of [attic, this.#log, directory]) syncDirectory(path)
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

  /** The names of entities that sealed segments introduce. */
  #learnNames(file: SegmentFile): void {
    try {
      for (const { shard, first, names } of file.newEntities()) {
        names.forEach((bytes, index) => this.#lost.name(shard, first + index, Buffer.from(bytes).toString('utf8')))
        this.#lost.introduced(shard, first + names.length)
      }
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

function typeOf(entity: string): string {
  return entity.slice(0, entity.indexOf('/'))
}
