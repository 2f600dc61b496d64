import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { assert } from '#base/assert.js'
import type { BlockReader } from '#journal/block-reader.js'
import type { EventTypes } from '#journal/event-types.js'
import type { EventType } from '#journal/journal.js'
import type { LogState } from '#journal/log-state.js'
import { COLUMN_ENTITY, COLUMN_VERSION, RowGroup } from '#journal/row-group.js'
import { readBack } from '#journal/segments/check-segment.js'
import type { FencedEntry, SealedEntry } from '#journal/segments/manifest.js'
import type { OpeningPlan } from '#journal/segments/opening-plan.js'
import { type PlacedRow, repairSegment, type SegmentNeighbours, type SegmentRepair } from '#journal/segments/repair-segment.js'
import { openSegmentFile, type SegmentFile, segmentFromBytes } from '#journal/segments/segment-file.js'
import type { Catalog } from './catalog.js'
import { DATA_FILE, syncDirectory } from './environment.js'
import { freeName, type GoneRows, type GoneVersions } from './gone-rows.js'
import { placeholder } from './lost-rows.js'
import type { ManifestStore } from './manifest-store.js'
import { PlainDatabase } from './plain-database.js'
import { onDisk, type RepairStep } from './repair-disk.js'
import { Segment } from './segment.js'

export interface SealedRepairOptions {
  /** Where segments lie. */
  readonly log: string
  readonly plan: OpeningPlan
  /** Names of segments in which there is damage. */
  readonly hit: ReadonlySet<string>
  readonly types: EventTypes
  /** What was saved of heads and marks, and up to which position. */
  readonly state: LogState
  readonly saved: number
}

/** Versions by entity: shard × 2^32 + number. */
type Versions = Map<number, number>

/** Writes damaged sealed segments of a log anew: plans in memory, then carries it out. */
export class SealedRepair {
  readonly #options: SealedRepairOptions
  readonly #done = new Map<string, SegmentRepair>()
  readonly #added: EventType[]
  readonly #names = new Map<number, string>()
  /** Names of segments that cannot be repaired. */
  readonly beyond = new Set<string>()

  /** Throws ERR_FORMAT_NEWER. */
  constructor(options: SealedRepairOptions) {
    this.#options = options
    const { plan, hit, state, types } = options
    const before = types.all.length
    const sealed = plan.sealed.some(({ segment }) => hit.has(segment)) ? plan.sealed : []
    for (const entry of sealed) if (!hit.has(entry.segment)) this.#learnNames(entry)
    for (const { shard, number, entity } of headsOf(state)) this.#names.set(key(shard, number), entity)
    const left = new Set(sealed.filter(({ segment }) => hit.has(segment)))
    // What is learnt from one may be what another lacks.
    for (let isNew = true; isNew; ) {
      isNew = false
      for (const entry of left) {
        const repair = this.#repair(entry, sealed.indexOf(entry))
        if (repair === undefined) continue
        this.#done.set(entry.segment, repair)
        left.delete(entry)
        isNew = true
      }
    }
    for (const { segment } of left) this.beyond.add(segment)
    this.#added = types.all.slice(before)
  }

  get rewritten(): string[] {
    return [...this.#done.keys()].sort()
  }

  get gone(): GoneRows[] {
    return [...this.#done]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([segment, { gone }]) => (gone.length === 0 ? [] : [goneOf(segment, gone)]))
  }

  /** A sealed file as it will be. */
  open(entry: SealedEntry): SegmentFile {
    const repair = this.#done.get(entry.segment)
    return repair === undefined
      ? openSegmentFile(join(this.#options.log, entry.segment), entry.segment)
      : segmentFromBytes(repair.bytes, repair.entry.segment)
  }

  /**
   * Writes the new files. The entry in the manifest, which comes when its file is durable, puts it in the place of the damaged one; before it the old one counts, and what was written is
   * removed at the next opening. The damaged file has a second name in the attic by then.
   */
  async carryOut(catalog: Catalog, manifest: ManifestStore, attic: string, onStep: (step: RepairStep) => void): Promise<void> {
    const { log } = this.#options
    if (this.#done.size === 0) return
    if (this.#added.length > 0) await catalog.saveEventTypes(this.#added)
    for (const [segment, { entry, bytes, gone }] of this.#done) {
      const path = join(log, entry.segment)
      await onDisk(path, async () => {
        this.#write(path, bytes, entry)
        onStep('written')
        mkdirSync(attic, { recursive: true, mode: 0o700 })
        linkSync(join(log, segment), freeName(join(attic, segment)))
        for (const directory of [attic, dirname(attic), log]) syncDirectory(directory)
        onStep('kept')
        await manifest.append(gone.length === 0 ? entry : fencedEntry(entry, gone))
        onStep('listed')
        rmSync(join(log, segment))
        syncDirectory(log)
        onStep('unlinked')
      })
    }
  }

  /** The whole file or none, durable but for its name. */
  #write(path: string, bytes: Uint8Array, entry: SealedEntry): void {
    const draft = `${path}.new`
    try {
      writeFileSync(draft, bytes, { mode: 0o600 })
      const descriptor = openSync(draft, 'r+')
      fsyncSync(descriptor)
      closeSync(descriptor)
      const back = readBack({ segment: entry.segment, bytes: new Uint8Array(readFileSync(draft)), types: this.#options.types.all })
      assert(hex(back.fileHash) === entry.fileHash && hex(back.rowsHash) === entry.rowsHash, 'a repaired file reads as it was written')
      renameSync(draft, path)
    } catch (error) {
      rmSync(draft, { force: true })
      throw error
    }
  }

  #repair(entry: SealedEntry, index: number): SegmentRepair | undefined {
    const path = join(this.#options.log, entry.segment)
    if (!existsSync(path)) return undefined
    const { state, saved } = this.#options
    const before = lazily(() => this.#versionsBefore(index))
    const behind = lazily(() => this.#versionsBehind(index))
    const headOf = (shard: number, number: number) => {
      const at = state.entities.at(shard, number)
      return at < 0 ? undefined : state.entities.head(at)
    }
    const neighbours: SegmentNeighbours = {
      versionBefore: (shard, number) => {
        const versions = before()
        return versions && (versions.get(key(shard, number)) ?? 0)
      },
      versionAtEnd: (shard, number) => {
        const versions = behind()
        if (versions === undefined) return undefined
        return versions.get(key(shard, number)) ?? (saved >= entry.endPosition ? (headOf(shard, number)?.version ?? 0) : undefined)
      },
      entities: () => headsOf(state),
      nameOf: (shard, number, type) => this.#names.get(key(shard, number)) ?? placeholder(type, shard, number, state.entities.shardCount),
      appendOf: (shard, number, version) => {
        const head = headOf(shard, number)
        return head?.version === version ? head : undefined
      },
      marks: [...state.storedMarks],
    }
    return repairSegment(new Uint8Array(readFileSync(path)), entry, this.#options.types, neighbours)
  }

  /** Versions before a sealed segment. Undefined when there is damage before it, or the log does not begin at its beginning: versions are counted. */
  #versionsBefore(index: number): Versions | undefined {
    const { plan } = this.#options
    const earlier = plan.sealed.slice(0, index)
    if (plan.firstPosition > 0 || earlier.some(({ segment }) => this.#isDamaged(segment))) return undefined
    const versions: Versions = new Map()
    for (const entry of earlier) {
      const file = this.open(entry)
      for (const { shard, number, rowCount } of file.entities())
        versions.set(key(shard, number), (versions.get(key(shard, number)) ?? 0) + rowCount)
      file.close()
    }
    return versions
  }

  #isDamaged(name: string): boolean {
    return this.#options.hit.has(name) && !this.#done.has(name)
  }

  /** Versions at the end of a sealed segment, of the entities that have rows behind it. Undefined when there is damage in these. */
  #versionsBehind(index: number): Versions | undefined {
    const { log, plan } = this.#options
    const behind = plan.sealed.slice(index + 1)
    if ([...behind.map(({ segment }) => segment), ...plan.unsealed].some((name) => this.#isDamaged(name))) return undefined
    const versions: Versions = new Map()
    const group = new RowGroup()
    const add = (reader: BlockReader) => {
      for (const one of reader.header.groups) {
        reader.group(one, group)
        const [numbers, own] = [group.narrow(COLUMN_ENTITY), group.narrow(COLUMN_VERSION)]
        let row = 0
        for (const { shard, rowCount } of one.shards) {
          for (const end = row + rowCount; row < end; row++) {
            const at = key(shard, numbers[row] as number)
            if (!versions.has(at)) versions.set(at, (own[row] as number) - 1)
          }
        }
      }
    }
    for (const entry of behind) {
      const file = this.open(entry)
      for (let id = 0; id < file.footer.blocks.length; id++) add(file.block(id))
      file.close()
    }
    for (const name of plan.unsealed) {
      const path = join(log, name, DATA_FILE)
      const database = new PlainDatabase(path)
      const segment = new Segment(name, database, path)
      for (const reader of segment.walk(segment.firstPosition, segment.end())) add(reader)
      void database.close()
    }
    return versions
  }

  #learnNames(entry: SealedEntry): void {
    const file = this.open(entry)
    for (const { shard, first, names } of file.newEntities())
      names.forEach((name, index) => this.#names.set(key(shard, first + index), Buffer.from(name).toString('utf8')))
    file.close()
  }
}

function fencedEntry(replacement: SealedEntry, gone: readonly PlacedRow[]): FencedEntry {
  const { firstPosition, endPosition, entities, positions = [] } = goneOf(replacement.segment, gone)
  return {
    kind: 'fenced',
    segment: replacement.segment,
    block: firstPosition,
    firstPosition,
    endPosition,
    rowCount: gone.length,
    entities,
    positions,
    replacement,
  }
}

function goneOf(segment: string, gone: readonly PlacedRow[]): GoneRows {
  const entities: GoneVersions[] = []
  for (const { entity, version } of gone) {
    const last = entities.at(-1)
    if (last?.entity === entity && last.to === version - 1) entities[entities.length - 1] = { ...last, to: version }
    else entities.push({ entity, from: version, to: version })
  }
  const positions: [number, number][] = []
  for (const { position } of gone.toSorted((a, b) => a.position - b.position)) {
    const last = positions.at(-1)
    if (last?.[1] === position - 1) last[1] = position
    else positions.push([position, position])
  }
  return { segment, firstPosition: positions[0]?.[0] ?? 0, endPosition: (positions.at(-1)?.[1] ?? -1) + 1, entities, positions }
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

function headsOf(state: LogState) {
  return Array.from({ length: state.entities.shardCount }, (_, shard) => [...state.entities.heads(shard)]).flat()
}

function key(shard: number, number: number): number {
  return shard * 2 ** 32 + number
}

function hex(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex')
}
