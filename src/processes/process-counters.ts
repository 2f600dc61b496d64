import { assert } from '#base/assert.js'
import type { Role } from './process-role.js'

/** How a duty cycle waits, in the order in which it writes: how often it parked, what ended that, and how long it was parked. */
const WAITING = ['parks', 'wokenByRing', 'wokenByTime', 'parkedMs'] as const

/**
 * What each role counts, in the order in which the counters lie in shared memory. They belong to the seat, so they run on when a successor
 * takes it; names in LEVELS are levels that the holder sets anew. Append only: a metrics reader of the same build reads by place.
 */
export const COUNTER_NAMES = {
  supervisor: ['processesStarted', 'deaths', 'hangs', 'replacements', 'pauses', 'failingSeats'],
  journal: [
    'appendsTaken',
    'eventsStored',
    'blocksStored',
    'fsyncMicros',
    'backPressure',
    'storedBytes',
    ...WAITING,
    'waitsForRoom',
    'sealingWaits',
  ],
  worker: [
    'commandsDone',
    'eventsEmitted',
    'refusals',
    'duplicates',
    'conflicts',
    'activations',
    'passivations',
    'snapshotsTaken',
    'backPressure',
    'liveEntities',
    'unreleased',
    ...WAITING,
    'knownEntities',
    'loadingEntities',
    'fencedEntities',
    'messagesTold',
    'commandsHeldBack',
  ],
  gateway: [
    'commandsTaken',
    'commandsAcked',
    'refusals',
    'rejected',
    'backPressure',
    'inFlight',
    'unnumbered',
    ...WAITING,
    'effectsTaken',
    'effectsDone',
    'effectsParked',
    'effectRetries',
    'effectsWaiting',
    'effectsInFlight',
  ],
} as const satisfies Record<Role, readonly string[]>

export type CounterName<R extends Role> = (typeof COUNTER_NAMES)[R][number]

/** Counters that go down as well: gauges to a metrics reader. */
export const LEVELS: ReadonlySet<string> = new Set([
  'failingSeats',
  'storedBytes',
  'liveEntities',
  'knownEntities',
  'loadingEntities',
  'fencedEntities',
  'unreleased',
  'inFlight',
  'effectsWaiting',
  'effectsInFlight',
  'waitsForRoom',
])

export const COUNTERS_PER_SEAT_MAX = 112

/** Of a seat that nobody holds any more: what it has counted stays, what it had is with others. */
export function clearLevels<R extends Role>(counters: ProcessCounters<R>): void {
  for (const name of Object.keys(counters.read()) as CounterName<R>[]) if (LEVELS.has(name)) counters.set(name, 0)
}

/**
 * The counters of one seat. One process writes them: the seat's holder; anyone may read. Whole numbers up to 2^53, stored as doubles so that
 * an increment is one plain load and store.
 */
export class ProcessCounters<R extends Role> {
  readonly role: R
  /** For hot paths: `values[indexOf('eventsStored')]++`. */
  readonly values: Float64Array
  readonly #indexByName: ReadonlyMap<string, number>

  /** `values` must hold at least as many numbers as the role has names. */
  constructor(role: R, values: Float64Array) {
    const names: readonly string[] = COUNTER_NAMES[role]
    assert(values.length >= names.length, 'every counter of the role has its word')
    this.role = role
    this.values = values
    this.#indexByName = new Map(names.map((name, index) => [name, index]))
  }

  indexOf(name: CounterName<R>): number {
    const index = this.#indexByName.get(name)
    assert(index !== undefined, 'the counter is one of its role')
    return index
  }

  get(name: CounterName<R>): number {
    return this.values[this.indexOf(name)] as number
  }

  set(name: CounterName<R>, value: number): void {
    this.values[this.indexOf(name)] = value
  }

  add(name: CounterName<R>, delta = 1): void {
    const index = this.indexOf(name)
    this.values[index] = (this.values[index] as number) + delta
  }

  /** A copy, by name. */
  read(): Record<CounterName<R>, number> {
    const names: readonly CounterName<R>[] = COUNTER_NAMES[this.role]
    return Object.fromEntries(names.map((name, index) => [name, this.values[index] ?? 0])) as Record<CounterName<R>, number>
  }
}
