import { encodeCanonical } from './canonical.js'
import { decodeCanonical } from './canonical-reader.js'
import { ChangedWorld, type World } from './changed-world.js'
import type { AnyEntity, EntityEvent } from './entity.js'
import { compileEntity, type EntityModel, presentEvent } from './entity-model.js'
import { reverseProperties } from './state-copy.js'
import { type StateDifference, stateDifferences } from './state-difference.js'

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
      ...(stateDifferences(...states, 1)[0] as StateDifference),
    }
  }
  return { isPure: true, eventCount: events.length }
}

interface Change {
  readonly world?: World
  /** Changes the environment and returns what puts it back. */
  readonly environment?: () => () => void
  /** Makes the state that the next event is applied to from the one before it. */
  readonly state?: (state: unknown) => unknown
}

const CONDITIONS: Readonly<Record<string, Change>> = {
  'folded a second time': {},
  'at another time': { world: { clock: 'ahead' } },
  'with the least random numbers': { world: { random: 'least' } },
  'with the greatest random numbers': { world: { random: 'greatest' } },
  'in another time zone': { environment: changeTimeZone },
  'with properties created in the opposite order': { state: (state) => reverseProperties(state) },
  'with the state written down and read back': { state: (state) => decodeCanonical(encodeCanonical(state)) },
}

/** The canonical bytes of the state before the first and after each event. */
function foldUnder(model: EntityModel, events: readonly EntityEvent[], change: Change): Uint8Array[] {
  const world = new ChangedWorld(change.world ?? {})
  const putBack = change.environment?.()
  try {
    return world.during(() => foldAll(model, events, change))
  } finally {
    putBack?.()
    world.putBack()
  }
}

function foldAll(model: EntityModel, events: readonly EntityEvent[], change: Change): Uint8Array[] {
  let state = model.initial()
  const states = [encodeCanonical(state)]
  for (const event of events) {
    const [index, data] = presentEvent(model, event)
    state = change.state === undefined ? state : change.state(state)
    model.apply(state, index, data)
    states.push(encodeCanonical(state))
  }
  return states
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
