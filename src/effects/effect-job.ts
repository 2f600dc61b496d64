import { sha256Hex } from '#base/hash.js'
import type { EffectRequest } from '#entity/effect-frame.js'

/** Of which a worker waits to be told what came of an effect. */
export interface Requester {
  readonly link: number
  readonly term: number
  readonly request: number
}

/** An effect that a gateway has taken and that is not over. */
export interface EffectJob {
  readonly effect: EffectRequest
  /** What tells it from all others. */
  readonly key: string
  /** The newest request of each worker. */
  requesters: Requester[]
  /** Attempts that have begun. */
  attempts: number
  /** Of each attempt that failed, for people; the last ones. */
  failures: string[]
}

/** Many receivers keep keys of this length at most. */
const KEY_CHARACTERS_MAX = 255

/**
 * The same for each attempt at an effect, in each process, and for no other effect, not even of a plant that was begun anew: visible ASCII, such as `press/press-1:17:lk3j2h1a`, of entity,
 * number of the message and time.
 */
export function idempotencyKey({ entity, number, at }: Pick<EffectRequest, 'entity' | 'number' | 'at'>): string {
  const key = `${encodeURI(entity)}:${number}:${at.toString(36)}`
  return key.length <= KEY_CHARACTERS_MAX ? key : sha256Hex(new TextEncoder().encode(key))
}
