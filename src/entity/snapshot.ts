import { messageOf } from '#base/errors.js'
import { encodeCanonical } from './canonical.js'
import { decodeCanonical } from './canonical-reader.js'
import type { EntityModel } from './entity-model.js'
import { Outcomes, type PlainOutcomes } from './outcomes.js'

/**
 * Everything of an entity that rows fold into, as of one version. Bytes: 'M' 'S', u8 SNAPSHOT_FORMAT, then the canonical encoding of
 * `[eventsHash as 32 bytes, state, outcomes, latestAt]`.
 */
export interface SnapshotContent {
  readonly state: unknown
  readonly outcomes: Outcomes | undefined
  /** `at` of the newest row so far in event time, microseconds since 1970: what tells late rows. */
  readonly latestAt: number
}

export type DecodedSnapshot =
  | { readonly kind: 'ok'; readonly state: unknown; readonly outcomes: Outcomes; readonly latestAt: number }
  /** Made under other events, or in another format: fold from the log instead. */
  | { readonly kind: 'mismatch'; readonly reason: string }
  | { readonly kind: 'damaged'; readonly reason: string }

export const SNAPSHOT_FORMAT = 1

const HEADER = [0x4d, 0x53, SNAPSHOT_FORMAT] as const

/** Throws ERR_STATE_NOT_PLAIN naming the path. */
export function encodeSnapshot(model: EntityModel, content: SnapshotContent): Uint8Array {
  const outcomes = (content.outcomes ?? new Outcomes()).toPlain()
  const body = encodeCanonical([hashBytes(model), content.state, outcomes, content.latestAt])
  const bytes = new Uint8Array(HEADER.length + body.length)
  bytes.set(HEADER)
  bytes.set(body, HEADER.length)
  return bytes
}

/** Never throws: what cannot be used is passed over for an older snapshot or for the log. */
export function decodeSnapshot(model: EntityModel, bytes: Uint8Array): DecodedSnapshot {
  if (bytes[0] !== HEADER[0] || bytes[1] !== HEADER[1]) return { kind: 'damaged', reason: 'it does not begin like a snapshot' }
  if (bytes[2] !== HEADER[2]) return { kind: 'mismatch', reason: `its format is ${bytes[2]}, this is ${SNAPSHOT_FORMAT}` }
  try {
    const parts = decodeCanonical(bytes.subarray(HEADER.length))
    if (!Array.isArray(parts) || parts.length !== 4) return { kind: 'damaged', reason: 'its parts are not four' }
    const [hash, state, outcomes, latestAt] = parts as [Uint8Array, unknown, PlainOutcomes, number]
    if (Buffer.compare(hash, hashBytes(model)) !== 0) return { kind: 'mismatch', reason: `the events of ${model.name} have changed since` }
    return { kind: 'ok', state, outcomes: Outcomes.fromPlain(outcomes), latestAt }
  } catch (error) {
    return { kind: 'damaged', reason: messageOf(error) }
  }
}

function hashBytes(model: EntityModel): Uint8Array {
  return new Uint8Array(Buffer.from(model.eventsHash, 'hex'))
}
