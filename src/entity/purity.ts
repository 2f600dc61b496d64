import { inspect } from 'node:util'
import { encodeCanonical } from './canonical.js'
import { decodeCanonical } from './canonical-reader.js'
import type { AnyEntity, EntityEvent } from './entity.js'
import { compileEntity, type EntityModel, presentEvent } from './entity-model.js'

export type PurityReport =
  | { readonly isPure: true; readonly eventCount: number }
  | {
      readonly isPure: false
      /** What was different when the fold came to another state. */
      readonly condition: string
      /** Of the first event after which the states differ, from 0; -1: `initial` itself does. */
      readonly index: number
      /** Its name, or `initial`. */
      readonly event: string
      /** Where the two states differ first, such as `state.alarms`, and how. */
      readonly path: string
      readonly expected: string
      readonly got: string
    }

/**
 * The check behind "apply is deterministic": folds the events once, then once under each changed condition, and names the first event after
 * which the states differ. The conditions: again (module state), another clock, the least and the greatest random numbers, another time zone, properties of
 * the state created in the opposite order, and a state written down and read back after every event, as a snapshot does (shared objects).
 * Events may be in former shapes: then their upcasters are checked with `apply`.
 * Blocks the process and changes its globals for the time of the call; they are put back. Throws what `fold` throws on invalid events.
 */
export function checkPurity(entity: AnyEntity, events: readonly EntityEvent[]): PurityReport {
  const model = compileEntity(entity)
  const expected = foldUnder(model, events, {})
  for (const [condition, change] of Object.entries(CONDITIONS)) {
    const got = foldUnder(model, events, change)
    const step = expected.findIndex((state, index) => got[index] === undefined || Buffer.compare(state, got[index]) !== 0)
    if (step < 0) continue
    const index = step - 1
    const states = [
      decodeCanonical(expected[step] as Uint8Array),
      got[step] === undefined ? undefined : decodeCanonical(got[step]),
    ] as const
    return {
      isPure: false,
      condition,
      index,
      event: index < 0 ? 'initial' : (events[index] as EntityEvent).event,
      ...firstDifference('state', ...states),
    }
  }
  return { isPure: true, eventCount: events.length }
}

interface Change {
  /** Changes a global and returns what puts it back. */
  readonly world?: () => () => void
  /** Makes the state that the next event is applied to from the one before it. */
  readonly state?: (state: unknown) => unknown
}

const CONDITIONS: Readonly<Record<string, Change>> = {
  'folded a second time': {},
  'at another time': { world: shiftClock },
  'with the least random numbers': { world: () => fixRandom(0) },
  'with the greatest random numbers': { world: () => fixRandom(1 - Number.EPSILON / 2) },
  'in another time zone': { world: changeTimeZone },
  'with properties created in the opposite order': { state: (state) => reverseProperties(state, new Map()) },
  'with the state written down and read back': { state: (state) => decodeCanonical(encodeCanonical(state)) },
}

/** The canonical bytes of the state before the first and after each event. */
function foldUnder(model: EntityModel, events: readonly EntityEvent[], change: Change): Uint8Array[] {
  const putBack = change.world?.()
  try {
    let state = model.initial()
    const states = [encodeCanonical(state)]
    for (const event of events) {
      const [index, data] = presentEvent(model, event)
      state = change.state === undefined ? state : change.state(state)
      model.apply(state, index, data)
      states.push(encodeCanonical(state))
    }
    return states
  } finally {
    putBack?.()
  }
}

const SHIFT_MS = 400 * 86_400_000 + 3_723_004

function shiftClock(): () => void {
  const { Date: RealDate } = globalThis
  const shifted = new Proxy(RealDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [RealDate.now() + SHIFT_MS] : args, newTarget),
    apply: () => new RealDate(RealDate.now() + SHIFT_MS).toString(),
    get: (target, key, receiver) => (key === 'now' ? () => RealDate.now() + SHIFT_MS : Reflect.get(target, key, receiver)),
  })
  globalThis.Date = shifted
  // An own property that hides the one of the prototype.
  const begun = performance.now()
  Object.defineProperty(performance, 'now', { value: () => begun + SHIFT_MS, configurable: true })
  return () => {
    globalThis.Date = RealDate
    Reflect.deleteProperty(performance, 'now')
  }
}

/** Both ends of the range, so that any threshold shows at one of them. */
function fixRandom(value: number): () => void {
  const { random } = Math
  Math.random = () => value
  return () => {
    Math.random = random
  }
}

function changeTimeZone(): () => void {
  const zone = process.env.TZ
  // Kiritimati is a day ahead of most of the world; where it is the zone already, Pago Pago is a day behind.
  process.env.TZ = zone === 'Pacific/Kiritimati' ? 'Pacific/Pago_Pago' : 'Pacific/Kiritimati'
  return () => {
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
  }
}

/**
 * A deep copy of a state whose objects have their properties in the opposite order. Map and Set keep theirs: there it is part of the value.
 * What was shared stays shared.
 */
function reverseProperties(value: unknown, copies: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null) return value
  const known = copies.get(value)
  if (known !== undefined) return known
  const copy = emptyCopy(value)
  copies.set(value, copy)
  if (Array.isArray(value)) for (const one of value) (copy as unknown[]).push(reverseProperties(one, copies))
  else if (value instanceof Map) {
    for (const [key, one] of value) (copy as Map<unknown, unknown>).set(reverseProperties(key, copies), reverseProperties(one, copies))
  } else if (value instanceof Set) for (const one of value) (copy as Set<unknown>).add(reverseProperties(one, copies))
  else if (!(value instanceof Date || value instanceof Uint8Array)) {
    for (const [key, one] of Object.entries(value).reverse()) (copy as Record<string, unknown>)[key] = reverseProperties(one, copies)
  }
  return copy
}

function emptyCopy(value: object): object {
  if (Array.isArray(value)) return []
  if (value instanceof Map) return new Map()
  if (value instanceof Set) return new Set()
  if (value instanceof Date) return new Date(value.getTime())
  return value instanceof Uint8Array ? new Uint8Array(value) : Object.create(Object.getPrototypeOf(value))
}

const SHOWN = { depth: 4, breakLength: 100 }

type Difference = { readonly path: string; readonly expected: string; readonly got: string }

function firstDifference(path: string, expected: unknown, got: unknown): Difference {
  if (isRecord(expected) && isRecord(got)) {
    const keys = [...new Set([...Object.keys(expected), ...Object.keys(got)])].sort()
    const key = keys.find((one) => isDifferent(expected[one], got[one]))
    if (key !== undefined) return firstDifference(Array.isArray(expected) ? `${path}[${key}]` : `${path}.${key}`, expected[key], got[key])
  }
  return { path, expected: inspect(expected, SHOWN), got: inspect(got, SHOWN) }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof Map || value instanceof Set || value instanceof Date || value instanceof Uint8Array)
  )
}

function isDifferent(one: unknown, other: unknown): boolean {
  return Buffer.compare(encodeCanonical(one), encodeCanonical(other)) !== 0
}
