import { createHash } from 'node:crypto'
import type { BlockEntities, BlockMark } from '#journal/block-format.js'
import { BlockReader } from '#journal/block-reader.js'
import type { EventTypes } from '#journal/event-types.js'
import { FENCED_EVENT, fencedBlock, type LostRow } from '#journal/fenced-block.js'
import type { EventType } from '#journal/journal.js'
import type { SealedEntry } from './manifest.js'
import { repairedName } from './opening-plan.js'
import { type LostRun, placeRows } from './place-rows.js'
import { CUT_LIMITS, positionOrder } from './row-order.js'
import { hashRows } from './rows-hash.js'
import { headerOf, type Salvage, salvageSegment } from './salvage-segment.js'
import { encodeBody, writeEntities } from './seal-segment.js'
import type { SegmentRows } from './segment-rows.js'

/** What the rest of the log tells of the entities of a segment. Numbers are those of an entity within its shard. */
export interface SegmentNeighbours {
  /** Version of the entity's newest row before the segment, 0 when it has none; undefined when that is not known. */
  versionBefore(shard: number, number: number): number | undefined
  /** Version of its newest row up to the segment's end; undefined when that is not known. */
  versionAtEnd(shard: number, number: number): number | undefined
  /** All entities that are known. */
  entities(): Iterable<{ readonly shard: number; readonly number: number }>
  /** Its name; one that stands for it, for an entity of this type, when its own is not known. */
  nameOf(shard: number, number: number, entityType: string): string
  /** The append that wrote a row, when that is known. */
  appendOf(shard: number, number: number, version: number): { readonly term: number; readonly appendNumber: number } | undefined
  readonly marks: readonly BlockMark[]
}

export interface SegmentRepair {
  /** Of the new file, as the manifest is to have it. */
  readonly entry: SealedEntry
  /** The new file. */
  readonly bytes: Uint8Array
  readonly gone: readonly PlacedRow[]
}

export interface PlacedRow extends LostRow {
  readonly position: number
}

/** Rows of an entity: versions without a gap. */
interface VersionRun {
  readonly shard: number
  readonly number: number
  readonly first: number
  readonly count: number
}

/**
 * Writes a damaged sealed segment anew, with fenced rows in place of those that cannot be read; sets the event types that these need. Undefined when neither rows nor the index of entities can be read, or
 * when it does not show which rows are gone. Pure: bytes in, bytes out. Throws ERR_FORMAT_NEWER.
 */
export function repairSegment(
  bytes: Uint8Array,
  entry: SealedEntry,
  types: EventTypes,
  neighbours: SegmentNeighbours,
): SegmentRepair | undefined {
  const known = [...types.all]
  const salvage = salvageSegment(bytes, entry, known)
  const { rows } = salvage
  const kept = rows.rowCount
  const rowCount = entry.endPosition - entry.firstPosition
  const runs = kept === rowCount ? keptRuns(rows) : kept === 0 && salvage.runs === undefined ? undefined : runsOf(salvage, neighbours)
  const order = runs === undefined ? undefined : clustered(rows, runs)
  if (runs === undefined || order === undefined || order.length !== rowCount) return undefined
  const typeOf = entityTypes(rows, types)
  const gone = place(rows, order, runs, entry, ({ shard, number }, version) => {
    const entity = neighbours.nameOf(shard, number, typeOf.get(key(shard, number)) ?? 'fenced')
    return { entity, shard, number, version, ...(neighbours.appendOf(shard, number, version) ?? { term: 1, appendNumber: 1 }) }
  })
  if (gone === undefined) return undefined
  if (gone.length > 0) addFenced(rows, gone, types, known)
  const byPosition = positionOrder(rows, entry.firstPosition)
  if (byPosition === undefined) return undefined
  takeTimes(rows, byPosition, kept)
  const origins = numberOrigins(rows, byPosition, order, kept)
  const rowsHash = hashRows(rows, byPosition)
  const isSame = Buffer.from(rowsHash).toString('hex') === entry.rowsHash
  // All rows are there, and yet they are others: nothing shows which.
  if (gone.length === 0 && !isSame) return undefined
  const names =
    salvage.names ?? namesOf(runs, ({ shard, number }) => neighbours.nameOf(shard, number, typeOf.get(key(shard, number)) ?? 'fenced'))
  const marks = salvage.marks ?? neighbours.marks
  const parts = { firstPosition: entry.firstPosition, origins, marks, rowsHash, cut: CUT_LIMITS, isPlain: false }
  const file = new Uint8Array(Buffer.concat([headerOf(entry), ...encodeBody(rows, order, parts, writeEntities(names))]))
  const repaired: SealedEntry = {
    ...entry,
    segment: repairedName(entry),
    rowsHash: Buffer.from(rowsHash).toString('hex'),
    fileHash: createHash('sha256').update(file).digest('hex'),
    bytes: file.length,
  }
  return { entry: repaired, bytes: file, gone }
}

/** Which rows each entity had where all are there. */
function keptRuns({ shard, entity, version, rowCount }: SegmentRows): VersionRun[] {
  const runs: { shard: number; number: number; first: number; count: number }[] = []
  for (let row = 0; row < rowCount; row++) {
    const last = runs.at(-1)
    if (last !== undefined && last.shard === shard[row] && last.number === entity[row]) last.count++
    else runs.push({ shard: shard[row] as number, number: entity[row] as number, first: version[row] as number, count: 1 })
  }
  return runs
}

/** Which rows each entity had, in clustered order. Undefined when that is not known of all. */
function runsOf({ rows, ranks, runs }: Salvage, neighbours: SegmentNeighbours): VersionRun[] | undefined {
  const found: VersionRun[] = []
  if (runs !== undefined && ranks !== undefined) {
    let row = 0
    for (const { shard, number, rank, rowCount: count } of runs) {
      while (row < ranks.length && (ranks[row] as number) < rank) row++
      const at = ranks[row]
      const before = neighbours.versionBefore(shard, number)
      const atEnd = neighbours.versionAtEnd(shard, number)
      const first =
        at !== undefined && at < rank + count
          ? (rows.version[row] as number) - (at - rank)
          : before === undefined
            ? atEnd === undefined
              ? undefined
              : atEnd - count + 1
            : before + 1
      if (first === undefined || first < 1) return undefined
      found.push({ shard, number, first, count })
    }
    return found
  }
  const entities = new Map<number, { readonly shard: number; readonly number: number }>()
  for (const { shard, number } of neighbours.entities()) entities.set(key(shard, number), { shard, number })
  for (let row = 0; row < rows.rowCount; row++) {
    const [shard, number] = [rows.shard[row] as number, rows.entity[row] as number]
    entities.set(key(shard, number), { shard, number })
  }
  for (const { shard, number } of entities.values()) {
    const before = neighbours.versionBefore(shard, number)
    const atEnd = neighbours.versionAtEnd(shard, number)
    if (before === undefined || atEnd === undefined) return undefined
    if (atEnd > before) found.push({ shard, number, first: before + 1, count: atEnd - before })
  }
  return found.sort((a, b) => a.shard - b.shard || a.number - b.number)
}

/** All rows in clustered order: those that are kept by their index, those that are gone by indexes behind these. Undefined when what is kept does not fit. */
function clustered(rows: SegmentRows, runs: readonly VersionRun[]): Uint32Array | undefined {
  const order: number[] = []
  const kept = rows.rowCount
  let row = 0
  let lost = kept
  for (const { shard, number, first, count } of runs) {
    for (let version = first; version < first + count; version++) {
      const isKept = row < kept && rows.shard[row] === shard && rows.entity[row] === number && rows.version[row] === version
      order.push(isKept ? row++ : lost++)
    }
  }
  return row === kept ? Uint32Array.from(order) : undefined
}

/** The rows that are gone, in clustered order, with a position for each. */
function place(
  rows: SegmentRows,
  order: Uint32Array,
  runs: readonly VersionRun[],
  entry: SealedEntry,
  rowOf: (run: VersionRun, version: number) => LostRow,
): PlacedRow[] | undefined {
  const kept = rows.rowCount
  const isTaken = new Uint8Array(order.length)
  for (let row = 0; row < kept; row++) isTaken[(rows.position[row] as number) - entry.firstPosition] = 1
  const positions: number[] = []
  for (let rank = 0; rank < isTaken.length; rank++) if (isTaken[rank] === 0) positions.push(entry.firstPosition + rank)
  if (positions.length !== order.length - kept) return undefined
  const stretches: LostRun[] = []
  const lost: LostRow[][] = []
  let rank = 0
  for (const run of runs) {
    let after = -1
    let own: LostRow[] = []
    const close = (before: number): void => {
      if (own.length === 0) return
      stretches.push({ count: own.length, after, before })
      lost.push(own)
      own = []
    }
    for (let version = run.first; version < run.first + run.count; version++) {
      const row = order[rank++] as number
      if (row >= kept) own.push(rowOf(run, version))
      else {
        close(rows.position[row] as number)
        after = rows.position[row] as number
      }
    }
    close(Infinity)
  }
  const placed = placeRows(stretches, positions)
  return placed && lost.flatMap((own, index) => own.map((row, at) => ({ ...row, position: placed[index]?.[at] as number })))
}

/** Fenced rows behind those that are kept. `known`: the types that `rows` looks up. */
function addFenced(rows: SegmentRows, gone: readonly PlacedRow[], types: EventTypes, known: EventType[]): void {
  const typeName = (entity: string) => entity.slice(0, entity.indexOf('/'))
  const entityTypeNames = new Set(gone.map(({ entity }) => typeName(entity)))
  const planned = types.plan([...entityTypeNames].map((entity) => ({ entity, event: FENCED_EVENT, fields: [] })))
  for (const type of planned.added) types.set(type)
  known.push(...planned.added)
  const numbers = new Map(planned.types.map(({ entity, number }) => [entity, number]))
  const block = fencedBlock(types, {
    basePosition: 0,
    previousHash: new Uint8Array(32),
    rows: gone,
    newEntities: [],
    accepted: 0,
    typeOf: (entity) => numbers.get(typeName(entity)) as number,
  })
  const kept = rows.rowCount
  rows.add(new BlockReader(block))
  for (const [index, { position }] of gone.entries()) rows.position[kept + index] = position
}

/** A row that is gone has the times of the one before it that is there, or of the first. */
function takeTimes({ at, accepted, rowCount }: SegmentRows, byPosition: Uint32Array, kept: number): void {
  let from = byPosition.find((row) => row < kept) ?? 0
  for (let rank = 0; rank < rowCount; rank++) {
    const row = byPosition[rank] as number
    if (row < kept) from = row
    at[row] = row < kept ? (at[row] as number) : (accepted[from] as number)
    accepted[row] = accepted[from] as number
  }
}

/**
 * Numbers the original blocks anew, since rows of one must stand in clustered order: what was one may become several. Returns the rows of each.
 */
function numberOrigins(rows: SegmentRows, byPosition: Uint32Array, order: Uint32Array, kept: number): Uint32Array {
  const ranks = new Uint32Array(order.length)
  for (let rank = 0; rank < order.length; rank++) ranks[order[rank] as number] = rank
  const origins: number[] = []
  let last = -1
  let origin: number | undefined
  for (const row of byPosition) {
    const own = row < kept ? (rows.ordinal[row] as number) : undefined
    const isOther = own !== undefined && origin !== undefined && own !== origin
    if (last < 0 || isOther || (ranks[row] as number) < (ranks[last] as number)) {
      origins.push(0)
      origin = own
    } else origin = own ?? origin
    rows.ordinal[row] = origins.length - 1
    origins[origins.length - 1] = (origins.at(-1) as number) + 1
    last = row
  }
  return Uint32Array.from(origins)
}

/** An entity appears in the log with its first version. */
function namesOf(runs: readonly VersionRun[], nameOf: (run: VersionRun) => string): BlockEntities[] {
  const found: { shard: number; first: number; names: Uint8Array[] }[] = []
  for (const run of runs) {
    if (run.first !== 1) continue
    const last = found.at(-1)
    const name = new TextEncoder().encode(nameOf(run))
    if (last?.shard === run.shard) last.names.push(name)
    else found.push({ shard: run.shard, first: run.number, names: [name] })
  }
  return found
}

/** By entity the type that its events belong to. */
function entityTypes(rows: SegmentRows, types: EventTypes): Map<number, string> {
  const found = new Map<number, string>()
  for (let row = 0; row < rows.rowCount; row++) {
    const type = types.byNumber(rows.type[row] as number)
    if (type !== undefined) found.set(key(rows.shard[row] as number, rows.entity[row] as number), type.entity)
  }
  return found
}

function key(shard: number, number: number): number {
  return shard * 2 ** 32 + number
}
