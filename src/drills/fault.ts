import type { Seat } from '#processes/process-role.js'

/**
 * A thing that a drill does to a plant: what, to whom, when, for how long. Plain data, made from a seed (fault-plan.ts) and carried out by
 * FaultExecutor.
 */
export interface Fault {
  readonly kind: FaultKind
  /** Whom it hits, or hits first. */
  readonly seat: Seat
  /** Since the start of the run, milliseconds; undefined: when the one before is over and the plant has run for `calmMs`. */
  readonly atMs?: number
  readonly calmMs?: number
  /** How long it lasts, milliseconds; 0 where it is over at once. */
  readonly forMs: number
  /** What happens in the middle of it. */
  readonly during?: Fault
  /** Left out when the run is over before its turn comes. */
  readonly isOptional?: boolean
}

export type FaultKind = keyof typeof FAULTS

/** Each kind, and how it is done, as the report says it. */
export const FAULTS = {
  kill: 'SIGKILL to a worker, the journal or the gateway',
  stop: 'SIGSTOP to a process, and SIGCONT later: one that was away for longer than its limit has a successor by then',
  'slow-disk': 'the journal is stopped and woken in pulses: a stand-in for a disk whose writes stall',
  'full-disk': 'a ballast file takes the room above the reserve that the plant of the drill is started with; the disk itself is not filled',
  flood: 'the devices send more than the plant takes, for as long as it lasts',
  'journal-in-recovery': 'SIGKILL to a worker, and to the journal before the successor of the worker works',
  'replacement-in-recovery': 'SIGKILL to a process, and to its successor before that works',
  'all-at-once': 'SIGKILL to every process of the plant, the supervisor first; then the plant is started again',
  supervisor: 'SIGKILL to the supervisor; then the plant is started again',
  rescale: 'a worker more while the devices send, and one less again: shards move between workers that work',
  'fatal-command': 'a command that ends each worker that executes it, until the plant refuses it and keeps it for a person to look at',
  'erring-entity':
    'children err in a tree of supervisors for each strategy, time and again, until they are too many; later with a worker killed meanwhile',
  timers: 'entities set timers and cancel some, and a worker or the journal is killed right before the first are due',
  upgrade: 'the plant changes its code for a later version while the devices send',
  'broken-upgrade': 'the same with code that fails over its first commands: the plant has to return to what it ran, by itself',
} as const

export const FAULT_KINDS = Object.keys(FAULTS) as readonly FaultKind[]

export function isFaultKind(text: string): text is FaultKind {
  return Object.hasOwn(FAULTS, text)
}
