import { messageOf } from '#base/errors.js'
import { isPlainObject } from '#schema/index.js'
import { encodeCanonical } from './canonical.js'
import { decodeCanonical } from './canonical-reader.js'
import type { EntityModel } from './entity-model.js'
import type { Kin } from './kin.js'
import { Outbox, type PlainOutbox } from './outbox.js'
import { Outcomes, type PlainOutcomes } from './outcomes.js'

/**
 * Everything of an entity that rows fold into, as of one version. Bytes: 'M' 'S', u8 SNAPSHOT_FORMAT, foldHash (32 bytes), shapeHash (32 bytes), then the
 * canonical encoding of `[state, outcomes, latestAt]`, and `outbox` behind them where the entity has one.
 */
export interface SnapshotContent {
  readonly state: unknown
  readonly outcomes: Outcomes | undefined
  readonly outbox?: Outbox | undefined
  /** `at` of the newest row so far in event time, microseconds since 1970: what tells late rows. */
  readonly latestAt: number
}

export type DecodedSnapshot =
  | {
      readonly kind: 'ok'
      readonly state: unknown
      readonly outcomes: Outcomes
      readonly latestAt: number
      readonly outbox: Outbox | undefined
    }
  /** Made under other events or of another state, or in another format: fold from the log instead. */
  | { readonly kind: 'mismatch'; readonly reason: string }
  | { readonly kind: 'damaged'; readonly reason: string }

export const SNAPSHOT_FORMAT = 3
/** Before that both hashes stood in front in the canonical encoding, and runs of outcomes were written out. */
const FORMER_FORMAT = 2

const HEADER = [0x4d, 0x53, SNAPSHOT_FORMAT] as const
const HASH_BYTES = 32
const PART_COUNT = 5
const SHAPE_HASH_AT = HEADER.length + HASH_BYTES
const BODY_AT = SHAPE_HASH_AT + HASH_BYTES

/** Throws ERR_STATE_NOT_PLAIN naming the path. */
export function encodeSnapshot(model: EntityModel, content: SnapshotContent): Uint8Array {
  const outcomes = (content.outcomes ?? new Outcomes()).toPlain()
  const { state, latestAt, outbox } = content
  const body = encodeCanonical(outbox === undefined ? [state, outcomes, latestAt] : [state, outcomes, latestAt, outbox.toPlain()])
  const bytes = new Uint8Array(BODY_AT + body.length)
  bytes.set(HEADER)
  bytes.set(model.foldHash, HEADER.length)
  bytes.set(model.shapeHash, SHAPE_HASH_AT)
  bytes.set(body, BODY_AT)
  return bytes
}

/** Whether a snapshot is of an entity that has told something, seen from its bytes alone. */
export function hasOutbox(bytes: Uint8Array): boolean {
  // Behind the mark of a list, how many parts it has.
  return bytes[2] === SNAPSHOT_FORMAT && bytes[BODY_AT + 1] === PART_COUNT - 1
}

/** Who the entity of a snapshot has to do with, whatever code made it; undefined where it has to do with nobody, or cannot be read. */
export function kinOfSnapshot(bytes: Uint8Array): Kin | undefined {
  const snapshot = readSnapshot(bytes)
  return snapshot.kind === 'ok' ? snapshot.outbox?.kin : undefined
}

/** Never throws: what cannot be used is passed over for an older snapshot or for the log. */
export function decodeSnapshot(model: EntityModel, bytes: Uint8Array): DecodedSnapshot {
  const snapshot = readSnapshot(bytes)
  if (snapshot.kind !== 'ok' || isSame(snapshot.foldHash, model.foldHash)) return snapshot
  return { kind: 'mismatch', reason: `the events or the first state of ${model.name} have changed since` }
}

/**
 * As `decodeSnapshot`, for the snapshot that took the place of rows that are gone, so that there is nothing else to fold: good as long as the state has
 * the same shape, and turned by `upcastState` where it has not. Never throws.
 */
export function decodeBase(model: EntityModel, bytes: Uint8Array): DecodedSnapshot {
  const snapshot = readSnapshot(bytes)
  if (snapshot.kind !== 'ok') return snapshot
  const present = isSame(snapshot.shapeHash, model.shapeHash) ? snapshot : upcastBase(model, snapshot)
  if (present.kind !== 'ok' || model.adoptState === undefined) return present
  try {
    model.adoptState(present.state)
    return present
  } catch (error) {
    return { kind: 'mismatch', reason: `the states of ${model.name} are others since, ${messageOf(error)}` }
  }
}

function upcastBase(model: EntityModel, snapshot: OkSnapshot): DecodedSnapshot {
  if (model.upcastState === undefined) return { kind: 'mismatch', reason: `the state of ${model.name} has another shape since` }
  try {
    const state = model.upcastState(snapshot.state)
    if (typeof state !== 'object' || state === null || !isPlainObject(state)) throw new Error('it returned no plain object')
    // What it returned may share parts, as no state that was read from a snapshot does.
    return { ...snapshot, state: decodeCanonical(encodeCanonical(state)) }
  } catch (error) {
    return { kind: 'mismatch', reason: `upcastState of ${model.name} failed, ${messageOf(error)}` }
  }
}

type OkSnapshot = Extract<DecodedSnapshot, { kind: 'ok' }>

type ReadSnapshot = (OkSnapshot & { readonly foldHash: Uint8Array; readonly shapeHash: Uint8Array }) | Exclude<DecodedSnapshot, OkSnapshot>

function readSnapshot(bytes: Uint8Array): ReadSnapshot {
  if (bytes[0] !== HEADER[0] || bytes[1] !== HEADER[1]) return { kind: 'damaged', reason: 'it does not begin like a snapshot' }
  const format = bytes[2]
  if (format !== SNAPSHOT_FORMAT && format !== FORMER_FORMAT)
    return { kind: 'mismatch', reason: `its format is ${format}, this is ${SNAPSHOT_FORMAT}` }
  try {
    const parts = format === SNAPSHOT_FORMAT ? partsOf(bytes) : decodeCanonical(bytes.subarray(HEADER.length))
    if (!Array.isArray(parts) || (parts.length !== PART_COUNT && parts.length !== PART_COUNT + 1))
      return { kind: 'damaged', reason: `its parts are not ${PART_COUNT}` }
    const [foldHash, shapeHash, state, outcomes, latestAt, told] = parts as [
      ...[Uint8Array, Uint8Array, unknown, PlainOutcomes, number],
      PlainOutbox?,
    ]
    const outbox = told === undefined ? undefined : Outbox.fromPlain(told)
    return { kind: 'ok', state, outcomes: Outcomes.fromPlain(outcomes), latestAt, outbox, foldHash, shapeHash }
  } catch (error) {
    return { kind: 'damaged', reason: messageOf(error) }
  }
}

function partsOf(bytes: Uint8Array): unknown[] {
  const body = decodeCanonical(bytes.subarray(BODY_AT)) as unknown[]
  return [bytes.subarray(HEADER.length, SHAPE_HASH_AT), bytes.subarray(SHAPE_HASH_AT, BODY_AT), ...body]
}

/** For so few bytes a loop is faster than a call out of JavaScript. */
function isSame(one: Uint8Array, other: Uint8Array): boolean {
  for (let index = 0; index < HASH_BYTES; index++) if (one[index] !== other[index]) return false
  return true
}
