import { pack, unpack } from '#base/pack.js'

/** From a worker to the gateway that has effects done: one to be done. Packed, since an effect costs much more than its packing. */
export const EFFECT_FRAME = 1

/** Back: what came of one; or that the gateway is a new one, which knows of nothing that the one before it took. */
export const OUTCOME_FRAME = 1
export const NEW_GATEWAY_FRAME = 2

/** An effect on its way. Workers may send the same one again under another request; what came of it is told to each. */
export interface EffectRequest {
  readonly request: number
  /** Of the worker. */
  readonly term: number
  readonly entity: string
  /** Of the message: with entity and time it names the effect. */
  readonly number: number
  readonly name: string
  readonly data: Readonly<Record<string, unknown>>
  /** The command of the entity that takes the answer; empty where none does. */
  readonly answerCommand: string
  /** When the command happened, microseconds since 1970. */
  readonly at: number
  readonly correlation: string
}

/** `forgotten`: it was done, and what it replied could not be carried. */
export interface EffectOutcome {
  readonly request: number
  readonly term: number
  readonly outcome: 'done' | 'failed' | 'forgotten'
  /** As in an answer frame: the reply, or code, detail and that it is a fault; empty for none. */
  readonly bytes: Uint8Array
}

export function packEffect(effect: EffectRequest): Uint8Array {
  const { request, term, entity, number, name, data, answerCommand, at, correlation } = effect
  return pack([request, term, entity, number, name, data, answerCommand, at, correlation])
}

/** Undefined for bytes that no worker can have written. */
export function unpackEffect(bytes: Uint8Array): EffectRequest | undefined {
  const parts = unpacked(bytes, ['number', 'number', 'string', 'number', 'string', 'object', 'string', 'number', 'string'])
  if (parts === undefined || parts[5] === null) return undefined
  const [request, term, entity, number, name, data, answerCommand, at, correlation] = parts as [
    ...[number, number, string, number, string, Record<string, unknown>, string, number, string],
  ]
  return { request, term, entity, number, name, data, answerCommand, at, correlation }
}

export function packOutcome({ request, term, outcome, bytes }: EffectOutcome): Uint8Array {
  return pack([request, term, outcome, bytes])
}

/** Undefined for bytes that no gateway can have written. */
export function unpackOutcome(frame: Uint8Array): EffectOutcome | undefined {
  const parts = unpacked(frame, ['number', 'number', 'string', 'object'])
  if (parts === undefined || !(parts[3] instanceof Uint8Array)) return undefined
  const [request, term, outcome, bytes] = parts as [number, number, EffectOutcome['outcome'], Uint8Array]
  return { request, term, outcome, bytes }
}

function unpacked(bytes: Uint8Array, types: readonly string[]): readonly unknown[] | undefined {
  try {
    const parts = unpack(bytes)
    return Array.isArray(parts) && parts.length === types.length && types.every((type, at) => typeof parts[at] === type) ? parts : undefined
  } catch {
    return undefined
  }
}
