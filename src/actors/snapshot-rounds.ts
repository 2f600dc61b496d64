import type { SnapshotSent } from './executor.js'
import type { Slot } from './slot.js'
import type { SlotTable } from './slot-table.js'
import type { WorkerCounters } from './worker-counters.js'

/** In bursts, since the journal writes those that come together in one go. */
const STEP_MS = 250
/** Of one burst: more would be felt beside the commands. */
const SNAPSHOTS_PER_STEP = 250
/** So that with many entities there is no more than one snapshot to so many rows. */
const ROWS_PER_SNAPSHOT = 4
/** A prime: terms that follow each other begin far from each other. */
const STRIDE = 1_000_003

/**
 * Gives a bound to what a successor has to replay. Entities that report seldom would take long to come to so many rows that a snapshot is due, and those of
 * one that stands still would make each recovery begin its scan where they lie. So a hand goes round all entities, as fast as rows come: each one that has
 * changed since its snapshot gets another one in each round, and a round takes `tailRowsMax` rows, or longer under a flood.
 */
export class SnapshotRounds {
  readonly #slots: SlotTable
  readonly #counters: WorkerCounters
  readonly #tailRowsMax: number
  readonly #trySnapshot: (slot: Slot) => SnapshotSent
  /** Undefined before the first step. */
  #hand: number | undefined
  readonly #term: number
  /** Entities that the hand is to pass, whole ones. */
  #due = 0
  #rows = 0
  #nextMs = Number.NEGATIVE_INFINITY
  /** Where the hand of a hurried round is. */
  #hurried = Number.POSITIVE_INFINITY

  /** `tailRowsMax`: 0 for no rounds. */
  constructor(options: {
    readonly slots: SlotTable
    readonly counters: WorkerCounters
    readonly tailRowsMax: number
    /** Of the worker: each one begins with other entities, so that none is left out where workers die faster than a hand goes round. */
    readonly term: number
    readonly trySnapshot: (slot: Slot) => SnapshotSent
  }) {
    this.#slots = options.slots
    this.#counters = options.counters
    this.#tailRowsMax = options.tailRowsMax
    this.#trySnapshot = options.trySnapshot
    this.#term = options.term
  }

  /** So many rows that had no snapshot were replayed: a successor would have to once more. */
  replayed(rows: number): void {
    this.#rows -= rows
  }

  /** Goes round once more, as fast as the journal takes snapshots: for a successor that comes soon. */
  hurry(): void {
    this.#hurried = 0
  }

  get isHurrying(): boolean {
    return this.#hurried < this.#slots.count
  }

  /** Takes the snapshots that are due, now and then. No work that a worker would have to be woken for. */
  goOn(nowMs: number): void {
    if (this.isHurrying) this.#hurryOn()
    if (this.#tailRowsMax === 0 || nowMs < this.#nextMs) return
    this.#nextMs = nowMs + STEP_MS
    const { count } = this.#slots
    const { commands, events } = this.#counters
    // A command has a row at least.
    const rows = Math.max(commands, events)
    const rowsPerRound = Math.max(this.#tailRowsMax, count * ROWS_PER_SNAPSHOT)
    this.#due = Math.min(count, this.#due + ((rows - this.#rows) * count) / rowsPerRound)
    this.#rows = rows
    let hand = this.#hand ?? (this.#term * STRIDE) % Math.max(1, count)
    let taken = 0
    for (; this.#due >= 1 && taken < SNAPSHOTS_PER_STEP; this.#due--) {
      if (hand >= count) hand = 0
      const slot = this.#slots.peekAt(hand)
      if (slot !== undefined && isBehind(slot)) {
        if (this.#trySnapshot(slot) === 'no-room') break
        taken++
      }
      hand++
    }
    this.#hand = hand
  }

  #hurryOn(): void {
    for (let taken = 0; this.isHurrying && taken < SNAPSHOTS_PER_STEP; this.#hurried++) {
      const slot = this.#slots.peekAt(this.#hurried)
      if (slot === undefined || !isBehind(slot)) continue
      if (this.#trySnapshot(slot) === 'no-room') return
      taken++
    }
  }
}

/** Whether its last snapshot is not of its newest row, and another one is worth a try. */
export function isBehind({ status, version, snapshotVersion, snapshotTriedVersion }: Slot): boolean {
  return status === 'live' && version > snapshotVersion && version > snapshotTriedVersion
}
