import { runInThisContext } from 'node:vm'
import { entityId, type EntityId, shardOf } from '#base/ids.js'
import type { Prng } from '#base/prng.js'
import { createOutcomes, type EntityModel, encodeSnapshot, type PlantModel, StoredEvents } from '#entity/index.js'
import {
  type AppendHeader,
  appendHeaderBytes,
  OUTCOME_REPLY,
  ROW_HEADER_BYTES,
  writeAppendHeader,
  writeRowHeader,
} from '#journal/append-frame.js'
import { frameBatch } from '#journal/frame-batch.js'
import { readHeader } from '#journal/block-format.js'
import { createInMemoryJournal, type InMemoryJournal } from '#journal/in-memory/index.js'
import type { Journal, Snapshot } from '#journal/journal.js'
import { registerSchemas } from '#journal/register-schemas.js'
import { clusteredBlocks } from '#journal/segments/clustered-blocks.js'
import { encodePayload, type FieldSchema } from '#schema/index.js'

/** A log in memory of entities that there are not, of a plant's own types. */
export interface MadeUpLog {
  readonly journal: Journal
  /** Those of which each row came of a command. */
  readonly entities: readonly MadeUpEntity[]
}

export interface MadeUpEntity {
  readonly id: EntityId
  readonly model: EntityModel
  /** Each row came of a command of MADE_UP_SOURCE with its version as sequence. */
  readonly version: number
}

export interface MakingUp {
  /** So many entities more with a few events each. */
  readonly crowd?: number
  /** Awaited after each piece of work. Most take a few milliseconds; sealing some twenty, and an `apply` that does not end APPLY_MS_MAX. */
  readonly rest?: () => Promise<unknown>
}

export const MADE_UP_SOURCE = 'made-up'

const SHARD_COUNT = 8
const ENTITIES_PER_TYPE = 16
const EVENTS_PER_ENTITY = 48
/** Of all types, with two events each: so many that what holds entities has to grow, as it does at once in a plant. */
const CROWD = 4000
/** A field's values are constant, count up, are some few, or anything, by entity: each is stored in another way. */
const STYLES = 4
/** Half of the entities have one, of this version. */
const SNAPSHOT_VERSION = 24
/** Blocks of a plant with little to do, and of one with much. */
const BATCH_ROWS = [4, 4, 4, 4, 64, 512] as const
/** Code that was not written for made-up events may never come to an end on them. */
const APPLY_MS_MAX = 50
/** Of the oldest rows as many as are sealed, in groups and blocks far smaller than those of a plant: sealing more would take too long. */
const SEALED_ROWS = 600
const SEALED_CUT = { groupRows: 64, groupRowsMax: 16_384, blockRows: 200, groupStringBytes: 1 << 20 }
const TERM = 1
const FIRST_AT = Date.UTC(2026, 0, 1) * 1000
const NOTHING = new Uint8Array(0)
const utf8 = new TextEncoder()
const SOURCE = utf8.encode(MADE_UP_SOURCE)

interface MadeUpEvent {
  readonly entity: EntityId
  readonly version: number
  readonly typeNumber: number
  readonly payload: Uint8Array
}

interface MadeUpHistory {
  readonly id: EntityId
  readonly model: EntityModel
  readonly events: MadeUpEvent[]
  snapshot?: Snapshot
  /** Behind the first event. */
  firstSnapshot?: Snapshot
}

/**
 * Events with random fields of every type of the plant that `apply` takes, stored as a plant stores them; types whose `apply` does not take them are left
 * out. Rejects with what `rest` rejects with. Calls nothing of the plant but `initial` and `apply`, which change nothing outside of the state that they are given.
 */
export async function makeUpLog(plant: PlantModel, prng: Prng, { crowd = CROWD, rest = noRest }: MakingUp = {}): Promise<MadeUpLog> {
  const journal = createInMemoryJournal({ shardCount: SHARD_COUNT })
  await registerSchemas(journal, plant.schemas)
  const stored = new StoredEvents(plant.models, journal.eventTypes)
  const histories: MadeUpHistory[] = []
  for (const model of plant.models) {
    for (let index = 0; index < ENTITIES_PER_TYPE; index++) {
      const history = historyOf(entityId(model.name, `made-up-${index}`), model, index % STYLES, stored, prng)
      await rest()
      if (history.events.length === 0) break
      histories.push(history)
    }
  }
  const everybody = [...histories, ...crowdOf(histories, crowd)]
  const numbers = new Map<EntityId, number>()
  let rowCount = 0
  for (let style = 0; style < STYLES; style++) {
    rowCount += await append(
      journal,
      everybody.filter((_, index) => index % STYLES === style),
      numbers,
      rowCount,
      rest,
    )
  }
  await journal.saveSnapshots(everybody.flatMap(({ snapshot }, index) => (snapshot === undefined || index % 3 === 0 ? [] : snapshot)))
  await rest()
  return { journal: partlySealed(journal), entities: histories.map(({ id, model, events }) => ({ id, model, version: events.length })) }
}

async function noRest(): Promise<void> {}

/** The journal as it is when its oldest blocks have been sealed: their rows are clustered and encoded otherwise. */
function partlySealed(journal: InMemoryJournal): Journal {
  const oldest: Uint8Array[] = []
  let end = 0
  for (const block of journal.stored.blocks) {
    if (end >= SEALED_ROWS) break
    oldest.push(block)
    end = readHeader(block).endPosition
  }
  const sealed = oldest.length === 0 ? [] : clusteredBlocks(oldest, journal.eventTypes, SEALED_CUT)
  const blocks: Journal['blocks'] = async function* (range) {
    if (range.from < end) for (const block of sealed) yield new Uint8Array(block)
    yield* journal.blocks({ ...range, from: Math.max(range.from, end) })
  }
  return new Proxy(journal, {
    get(target, name) {
      const value: unknown = name === 'blocks' ? blocks : Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Many with the first two events of others. */
function crowdOf(histories: readonly MadeUpHistory[], count: number): MadeUpHistory[] {
  const models = histories.filter(({ firstSnapshot, events }) => firstSnapshot !== undefined && events.length > 1)
  if (models.length === 0) return []
  return Array.from({ length: count }, (_, index) => {
    const { model, events, firstSnapshot } = models[index % models.length] as MadeUpHistory
    const id = entityId(model.name, `made-up-crowd-${index}`)
    return {
      id,
      model,
      events: events.slice(0, 2).map((event) => ({ ...event, entity: id })),
      snapshot: { ...(firstSnapshot as Snapshot), entity: id },
    }
  })
}

/** As `styledValue`, of any style. */
function makeUpValue(field: FieldSchema, prng: Prng): unknown {
  return styledValue(field, prng.below(STYLES), prng.below(100), prng)
}

function styledValue(field: FieldSchema, style: number, version: number, prng: Prng): unknown {
  const { kind } = field
  if (style === 0 || style === 1) {
    const count = style === 0 ? 7 : version
    if (kind === 'f64' || kind === 'f32') return count / 8
    if (kind === 'i32' || kind === 'i64') return count
    if (kind === 'time') return FIRST_AT + count * 1000
  }
  if (style === 3) {
    if (kind === 'f64' || kind === 'f32') return prng.next() * 1000
    if (kind === 'i32' || kind === 'i64') return prng.nextInt32()
  }
  return someValue(field, prng)
}

/** A value that the field takes; not always of one kind, so that what is learnt of it holds for real ones too. */
function someValue({ kind, oneOf }: FieldSchema, prng: Prng): unknown {
  switch (kind) {
    case 'f64':
    case 'f32':
      return prng.below(4) === 0 ? prng.below(100) : prng.below(1000) / 8
    case 'i32':
    case 'i64':
      return prng.below(100)
    case 'bool':
      return prng.below(2) === 0
    case 'time':
      return FIRST_AT + prng.below(1_000_000)
    case 'json':
      return { value: prng.below(100) }
    case 'label':
    case 'text':
      return oneOf === undefined || oneOf.length === 0 ? `made-up-${prng.below(4)}` : prng.pick(oneOf)
  }
}

export function makeUpData(fields: readonly FieldSchema[], prng: Prng): Record<string, unknown> {
  return Object.fromEntries(fields.map((field) => [field.name, makeUpValue(field, prng)]))
}

/** As many events as `apply` takes, one after the other. */
function historyOf(id: EntityId, model: EntityModel, style: number, stored: StoredEvents, prng: Prng): MadeUpHistory {
  const history: MadeUpHistory = { id, model, events: [] }
  const { events } = history
  if (model.eventNames.length === 0) return history
  endsWithin(APPLY_MS_MAX, () => {
    const state = model.initial()
    const outcomes = createOutcomes()
    while (events.length < EVENTS_PER_ENTITY) {
      const eventIndex = prng.below(model.eventNames.length)
      const codec = model.eventCodec(eventIndex)
      const version = events.length + 1
      const values = codec.fields.map((field) => [field.name, styledValue(field, style, version, prng)] as const)
      const data = codec.normalise(Object.fromEntries(values))
      const payload = encodePayload(codec, data)
      model.apply(state, eventIndex, data)
      outcomes.record(MADE_UP_SOURCE, version, OUTCOME_REPLY, NOTHING, version)
      events.push({ entity: id, version, typeNumber: stored.numberOf(model, eventIndex), payload })
      if (version !== 1 && version !== SNAPSHOT_VERSION) continue
      const bytes = encodeSnapshot(model, { state, outcomes, latestAt: FIRST_AT })
      const snapshot = { entity: id, version, term: TERM, appendNumber: 0, position: 0, bytes }
      if (version === 1) history.firstSnapshot = snapshot
      else history.snapshot = snapshot
    }
  })
  return history
}

/** Runs `work` until it ends, throws or time is up. */
function endsWithin(ms: number, work: () => void): void {
  const world = globalThis as unknown as Record<string, unknown>
  world[WORK] = work
  try {
    runInThisContext(`globalThis[${JSON.stringify(WORK)}]()`, { timeout: ms })
  } catch {
    // What was made up so far is good.
  } finally {
    delete world[WORK]
  }
}

const WORK = 'millrace.madeUp'

/** All entities in turns, behind the rows that there are; returns how many rows that were. */
async function append(
  journal: Journal,
  histories: readonly MadeUpHistory[],
  numbers: Map<EntityId, number>,
  before: number,
  rest: () => Promise<unknown>,
): Promise<number> {
  const events = Array.from({ length: EVENTS_PER_ENTITY }, (_, index) => histories.flatMap((history) => history.events[index] ?? [])).flat()
  for (let start = 0, batch = 0; start < events.length; batch++) {
    const count = BATCH_ROWS[batch % BATCH_ROWS.length] as number
    const rows = events.slice(start, start + count)
    await journal.append(frameBatch(rows.map((event, index) => frameOf(event, before + start + index + 1, numbers))))
    start += count
    await rest()
  }
  return events.length
}

function frameOf({ entity, version, typeNumber, payload }: MadeUpEvent, number: number, numbers: Map<EntityId, number>): Uint8Array {
  const baseNumber = numbers.get(entity) ?? 0
  numbers.set(entity, number)
  const id = utf8.encode(entity)
  const header: AppendHeader = {
    number,
    term: TERM,
    expectedVersion: version - 1,
    baseTerm: baseNumber === 0 ? 0 : TERM,
    baseNumber,
    shard: shardOf(id, SHARD_COUNT),
    rowCount: 1,
    at: FIRST_AT + number,
    accepted: FIRST_AT + number,
    sequence: version,
    entity: id,
    source: SOURCE,
    correlation: NOTHING,
    causation: NOTHING,
    outcome: NOTHING,
    outcomeKind: OUTCOME_REPLY,
    flags: 0,
  }
  const bytes = new Uint8Array(appendHeaderBytes(header) + ROW_HEADER_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  bytes.set(payload, writeRowHeader(typeNumber, payload.length, view, writeAppendHeader(header, bytes, view, 0)))
  return bytes
}
