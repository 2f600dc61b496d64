import type { Prng } from '#base/prng.js'
import type { Role, Seat } from '#processes/process-role.js'
import { FAULT_KINDS, type Fault, type FaultKind } from './fault.js'

/** What the plant under test is made of. */
export interface PlanShape {
  readonly workers: number
}

/** The plant runs so long under load between two faults of a chaos, milliseconds. */
const CALM_MS_MIN = 200
const CALM_MS_MAX = 1000
/** A process that is stopped for so long has a successor; the limit of the configuration is 1,000 ms. */
const STOPPED_FOR_GOOD_MS = 1800
/** No round of all kinds takes less. */
const ROUND_MS_MIN = 5000

const JOURNAL: Seat = { role: 'journal', slot: 0 }
const SUPERVISOR: Seat = { role: 'supervisor', slot: 0 }

/** The same few kinds of faults again and again, one after the other, `times` in all; the same seed gives the same list. */
export function planScenario(kinds: readonly FaultKind[], times: number, prng: Prng, shape: PlanShape): Fault[] {
  return Array.from({ length: times }, (_, index) => faultOf(kinds[index % kinds.length] as FaultKind, prng, shape))
}

/** SIGKILLs of these roles in turn, of workers each slot in turn. */
export function planKills(roles: readonly Role[], times: number, { workers }: PlanShape): Fault[] {
  let workersHit = 0
  return Array.from({ length: times }, (_, index) => {
    const role = roles[index % roles.length] as Role
    const slot = role === 'worker' ? workersHit++ % workers : 0
    return { kind: role === 'supervisor' ? 'supervisor' : 'kill', seat: { role, slot }, forMs: 0 } as const
  })
}

/**
 * Faults of all kinds for a run of so long, in rounds: each round has every kind once, in an order of its own, so that none is left out by chance. The
 * first round is carried out in any case. From the second on a fault that lasts may have a kill in its middle. The same seed gives the same list.
 */
export function planChaos(runMs: number, prng: Prng, shape: PlanShape): Fault[] {
  const faults: Fault[] = []
  for (let round = 0; round <= runMs / ROUND_MS_MIN; round++) {
    for (const kind of shuffled(FAULT_KINDS, prng)) {
      const calmMs = CALM_MS_MIN + prng.below(CALM_MS_MAX - CALM_MS_MIN)
      const fault = { ...faultOf(kind, prng, shape), calmMs, isOptional: round > 0 }
      const isMixed = round > 0 && isLasting(kind) && prng.below(2) === 0
      faults.push(isMixed ? mixed(fault, prng, shape) : fault)
    }
  }
  return faults
}

/** With a kill in its middle: of a worker where entities are at work with each other, of anybody else where the fault goes on for so long. */
function mixed(fault: Fault, prng: Prng, shape: PlanShape): Fault {
  if (fault.forMs === 0) return { ...fault, during: { kind: 'kill', seat: anyWorker(prng, shape), forMs: 0 } }
  return { ...fault, forMs: fault.forMs + STOPPED_FOR_GOOD_MS, during: faultOf('kill', prng, shape) }
}

function faultOf(kind: FaultKind, prng: Prng, shape: PlanShape): Fault {
  switch (kind) {
    case 'kill':
    case 'replacement-in-recovery':
      return { kind, seat: anyChild(prng, shape), forMs: 0 }
    case 'stop':
      return stopOf(prng, shape)
    case 'slow-disk':
      return { kind, seat: JOURNAL, forMs: 600 + prng.below(900) }
    case 'full-disk':
      return { kind, seat: JOURNAL, forMs: 300 + prng.below(900) }
    case 'flood':
      return { kind, seat: { role: 'gateway', slot: 0 }, forMs: 300 + prng.below(700) }
    case 'journal-in-recovery':
      return { kind, seat: anyWorker(prng, shape), forMs: 0 }
    case 'timers':
      return { kind, seat: prng.below(3) === 0 ? JOURNAL : anyWorker(prng, shape), forMs: 0 }
    case 'erring-entity':
    case 'fatal-command':
      return { kind, seat: { role: 'gateway', slot: 0 }, forMs: 0 }
    case 'all-at-once':
    case 'supervisor':
    case 'rescale':
    case 'upgrade':
    case 'broken-upgrade':
      return { kind, seat: SUPERVISOR, forMs: 0 }
  }
}

/** Half of them wake as those they were, half have a successor by then. */
function stopOf(prng: Prng, shape: PlanShape): Fault {
  const seat = prng.below(4) === 0 ? SUPERVISOR : anyChild(prng, shape)
  const isForGood = seat.role !== 'supervisor' && prng.below(2) === 0
  return { kind: 'stop', seat, forMs: isForGood ? STOPPED_FOR_GOOD_MS : 200 + prng.below(400) }
}

function anyChild(prng: Prng, shape: PlanShape): Seat {
  return prng.pick([JOURNAL, { role: 'gateway', slot: 0 }, anyWorker(prng, shape)] as const)
}

function anyWorker(prng: Prng, { workers }: PlanShape): Seat {
  return { role: 'worker', slot: prng.below(workers) }
}

function isLasting(kind: FaultKind): boolean {
  return kind === 'slow-disk' || kind === 'full-disk' || kind === 'flood' || kind === 'erring-entity'
}

/** Fisher and Yates, from the end. */
function shuffled<T>(items: readonly T[], prng: Prng): T[] {
  const all = [...items]
  for (let last = all.length - 1; last > 0; last--) {
    const other = prng.below(last + 1)
    ;[all[last], all[other]] = [all[other] as T, all[last] as T]
  }
  return all
}
