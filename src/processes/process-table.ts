import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { CommandAtHand } from './command-at-hand.js'
import { COUNTERS_PER_SEAT_MAX, ProcessCounters } from './process-counters.js'
import type { Role, Seat } from './process-role.js'

/*
 * One shared memory per plant. Everything is little-endian as the machine is; counters of different writers lie two cache lines apart.
 *
 *        0  header           u32 magic, u32 layout version, u32 processes, u32 seats
 *      128  process 0        512 bytes each, one per living process, spares too
 *           +0    written by the supervisor, guarded by `version` (odd while it writes)
 *                 i32 version, i32 role, i32 slot (-1: none), i32 pid, i32 state, u32 term, f64 start time
 *           +128  u32 pulse  written by the process's native thread
 *           +256  u32 turn   written by the process's event loop
 *           +384  i32 gateway + 1, i32 position: of the command at hand, written by a worker (command-at-hand.ts)
 *    32896  seat 0           1,024 bytes each, one per place in the plant
 *           +0    i32 parked word, written by the holder and by who rings it
 *           +128  f64 counters, written by the holder
 *
 * A process has its pulse from birth, a seat only once it takes one. What peers look at (the parked word) and what metrics add up (the
 * counters) therefore belongs to the seat and stays where it is when a successor takes it.
 */
const HEADER_BYTES = 128
const PROCESS_BYTES = 512
const SEAT_BYTES = 1024
const PROCESS_COUNT = 64
const SEAT_COUNT = 64
const SEATS_AT = HEADER_BYTES + PROCESS_COUNT * PROCESS_BYTES
const MAGIC = 0x4d4c5054
const LAYOUT_VERSION = 2

const VERSION = 0
const ROLE = 1
const SLOT = 2
const PID = 3
const STATE = 4
const TERM = 5
const START_TIME = 24
const PULSE = 128
const TURN = 256
const AT_HAND = 384
const COUNTERS = 128

const ROLES: readonly (Role | undefined)[] = [undefined, 'supervisor', 'journal', 'worker', 'gateway']
const FIRST_SEAT: Record<Role, number> = { supervisor: 0, journal: 1, gateway: 2, worker: 16 }
const SEATS_OF: Record<Role, number> = { supervisor: 1, journal: 1, gateway: 14, worker: 48 }

export const PROCESS_TABLE_BYTES = SEATS_AT + SEAT_COUNT * SEAT_BYTES
export const PROCESSES_MAX = PROCESS_COUNT

/**
 * `starting`: spawned, loading its modules. `standby`: loaded, without a seat. `taking`: was given a seat. `ready`: does its work.
 * `stopping`: was asked to drain. `killed`: SIGKILL was sent, its end not yet seen.
 */
export type ProcessState = 'empty' | 'starting' | 'standby' | 'taking' | 'ready' | 'stopping' | 'killed'

const STATES: readonly ProcessState[] = ['empty', 'starting', 'standby', 'taking', 'ready', 'stopping', 'killed']

/** One word of shared memory, for Atomics. */
export interface SharedWord {
  readonly words: Int32Array
  readonly index: number
}

/** What the table says of one process. `slot` and `term` are undefined without a seat. Pulse and turn count modulo 2^32. */
export interface ProcessRow {
  readonly index: number
  readonly role: Role
  readonly slot: number | undefined
  readonly term: number | undefined
  readonly pid: number
  /** As shm's liveness counts it: clock ticks since boot. */
  readonly startTime: number
  readonly state: ProcessState
  readonly pulse: number
  readonly turn: number
  /** Of its seat; empty without one. */
  readonly counters: Readonly<Record<string, number>>
}

/** How many seats a role can have in one plant. */
export function seatsMax(role: Role): number {
  return SEATS_OF[role]
}

/** The table of all processes of a plant: made by the supervisor, written by each process in its own words, read by anyone. */
export class ProcessTable {
  readonly #words: Int32Array
  readonly #buffer: ArrayBufferLike

  private constructor(buffer: ArrayBufferLike) {
    this.#buffer = buffer
    this.#words = new Int32Array(buffer, 0, PROCESS_TABLE_BYTES / 4)
  }

  /** Lays out an empty table over zeroed memory of at least PROCESS_TABLE_BYTES: a mapping, or a plain buffer in an inline plant. */
  static create(buffer: ArrayBufferLike): ProcessTable {
    assert(buffer.byteLength >= PROCESS_TABLE_BYTES, 'the memory holds a process table')
    const table = new ProcessTable(buffer)
    table.#words.set([MAGIC, LAYOUT_VERSION, PROCESS_COUNT, SEAT_COUNT])
    return table
  }

  /** Opens a table that another process created, or throws ERR_PROCESS_TABLE when it is none, or one of another version of Millrace. */
  static open(buffer: ArrayBufferLike): ProcessTable {
    const head = buffer.byteLength < PROCESS_TABLE_BYTES ? new Int32Array(4) : new Int32Array(buffer, 0, 4)
    if (head[0] !== MAGIC || head[1] !== LAYOUT_VERSION || head[2] !== PROCESS_COUNT || head[3] !== SEAT_COUNT) {
      throw new MillraceError('ERR_PROCESS_TABLE', {
        fact: 'this memory is no process table of this version',
        action: 'operator',
        values: { bytes: buffer.byteLength, magic: head[0], layout: head[1] },
        next: 'stop the plant and start it with the same version of millrace as this program',
      })
    }
    return new ProcessTable(buffer)
  }

  process(index: number): ProcessSlot {
    assert(index >= 0 && index < PROCESS_COUNT, 'the process has a place in the table')
    return new ProcessSlot(this.#words, index, new Float64Array(this.#buffer, processAt(index) + START_TIME, 1))
  }

  /** A place that no process holds, or undefined when all are taken. Only the supervisor may ask, since only it fills places. */
  emptyProcess(): ProcessSlot | undefined {
    for (let index = 0; index < PROCESS_COUNT; index++) {
      if (Atomics.load(this.#words, processAt(index) / 4 + STATE) === 0) return this.process(index)
    }
    return undefined
  }

  /** The word that a seat's holder sets before it parks; the same for every holder of the seat. */
  parkedWord(seat: Seat): SharedWord {
    return { words: this.#words, index: seatAt(seat) / 4 }
  }

  counters<R extends Role>(seat: Seat<R>): ProcessCounters<R> {
    return new ProcessCounters(seat.role, new Float64Array(this.#buffer, seatAt(seat) + COUNTERS, COUNTERS_PER_SEAT_MAX))
  }

  /** All living processes. Each row is consistent in itself. */
  snapshot(): ProcessRow[] {
    const rows: ProcessRow[] = []
    for (let index = 0; index < PROCESS_COUNT; index++) {
      const slot = this.process(index)
      const identity = slot.read()
      if (identity === undefined) continue
      const counters = identity.slot === undefined ? {} : this.counters({ role: identity.role, slot: identity.slot }).read()
      rows.push({ ...identity, counters })
    }
    return rows
  }
}

/** One process's place in the table. */
export class ProcessSlot {
  readonly index: number
  /** Byte offset, in the table's memory, of the word that the native pulse thread increments. */
  readonly pulseOffset: number
  readonly #words: Int32Array
  readonly #base: number
  readonly #startTime: Float64Array

  constructor(words: Int32Array, index: number, startTime: Float64Array) {
    this.index = index
    this.pulseOffset = processAt(index) + PULSE
    this.#words = words
    this.#base = processAt(index) / 4
    this.#startTime = startTime
  }

  /** Supervisor only: a process now lives here; pulse and turn start over. */
  occupy(role: Role, pid: number, startTime: number): void {
    Atomics.store(this.#words, this.#base + PULSE / 4, 0)
    Atomics.store(this.#words, this.#base + TURN / 4, 0)
    this.commandAtHand.clear()
    this.#write(() => {
      Atomics.store(this.#words, this.#base + ROLE, ROLES.indexOf(role))
      Atomics.store(this.#words, this.#base + SLOT, -1)
      Atomics.store(this.#words, this.#base + PID, pid)
      Atomics.store(this.#words, this.#base + TERM, 0)
      Atomics.store(this.#words, this.#base + STATE, STATES.indexOf('starting'))
      this.#startTime[0] = startTime
    })
  }

  /** Supervisor only: the process takes a seat under a term. */
  take(slot: number, term: number): void {
    this.#write(() => {
      Atomics.store(this.#words, this.#base + SLOT, slot)
      Atomics.store(this.#words, this.#base + TERM, term)
      Atomics.store(this.#words, this.#base + STATE, STATES.indexOf('taking'))
    })
  }

  /** Of the seat that the process was given last; 0 before. */
  get term(): number {
    return Atomics.load(this.#words, this.#base + TERM) >>> 0
  }

  /** Supervisor only. `empty` gives the place back: only after the process was reaped. */
  setState(state: ProcessState): void {
    this.#write(() => Atomics.store(this.#words, this.#base + STATE, STATES.indexOf(state)))
  }

  get pulse(): number {
    return Atomics.load(this.#words, this.#base + PULSE / 4) >>> 0
  }

  get turn(): number {
    return Atomics.load(this.#words, this.#base + TURN / 4) >>> 0
  }

  /** What the process writes, if it is a worker. */
  get commandAtHand(): CommandAtHand {
    return new CommandAtHand(this.#words, this.#base + AT_HAND / 4)
  }

  /** The process only, from its event loop: it is alive. */
  countTurn(): void {
    Atomics.add(this.#words, this.#base + TURN / 4, 1)
  }

  /** The process only, where no native thread can: then a blocked event loop looks like a process that is not scheduled. */
  countPulse(): void {
    Atomics.add(this.#words, this.#base + PULSE / 4, 1)
  }

  /** The row, or undefined when nobody lives here. */
  read(): Omit<ProcessRow, 'counters'> | undefined {
    // A supervisor that died within a write leaves the version odd for good; then the torn row is better than none.
    for (let attempt = 0; ; attempt++) {
      const before = Atomics.load(this.#words, this.#base + VERSION)
      const row = this.#readOnce()
      const after = Atomics.load(this.#words, this.#base + VERSION)
      if (attempt === 100 || (before === after && before % 2 === 0)) return row
    }
  }

  #readOnce(): Omit<ProcessRow, 'counters'> | undefined {
    const role = ROLES[Atomics.load(this.#words, this.#base + ROLE)]
    const state = STATES[Atomics.load(this.#words, this.#base + STATE)]
    if (role === undefined || state === undefined || state === 'empty') return undefined
    const slot = Atomics.load(this.#words, this.#base + SLOT)
    return {
      index: this.index,
      role,
      slot: slot < 0 ? undefined : slot,
      term: slot < 0 ? undefined : this.term,
      pid: Atomics.load(this.#words, this.#base + PID),
      startTime: this.#startTime[0] ?? 0,
      state,
      pulse: this.pulse,
      turn: this.turn,
    }
  }

  #write(change: () => void): void {
    Atomics.add(this.#words, this.#base + VERSION, 1)
    change()
    Atomics.add(this.#words, this.#base + VERSION, 1)
  }
}

function processAt(index: number): number {
  return HEADER_BYTES + index * PROCESS_BYTES
}

function seatAt(seat: Seat): number {
  assert(seat.slot >= 0 && seat.slot < SEATS_OF[seat.role], 'the seat is one that the table has room for')
  return SEATS_AT + (FIRST_SEAT[seat.role] + seat.slot) * SEAT_BYTES
}
