import type { FakeClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import type { LoggedCommand } from '#drills/ledger.js'
import type { EntityId } from '#base/ids.js'
import type { LoggedRow, PlantUnderTest, StoppedProcess } from '#drills/plant-under-test.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import type { Settlement } from '#ingest/door.js'
import type { SupervisionEvent, SupervisionFact } from '#processes/supervision-event.js'
import type { Recovery } from '#recovery/report.js'
import type { FakeDoor } from '../ingest/fake-door.js'
import { TrialPlant } from './trial-plant.js'

export const HASH = 'ab'.repeat(32)
/** From a death to the successor at work. */
export const BACK_MS = 40
/** From a death to the successor in the seat. */
const TAKEN_MS = 10
/** A process that is stopped for so long is killed. */
export const HANG_MS = 1000

export interface DoorPlantOptions {
  readonly tamper?: (log: LoggedCommand[]) => LoggedCommand[]
  readonly replayed?: string
  /** Why its disk cannot be filled. */
  readonly whyNotFull?: string
  /** Successors are at work at once, so that nobody can be killed before. */
  readonly isInstant?: boolean
  /** At the first kill others take the room on its disk, so that it takes nothing until it is started again. */
  readonly isRobbedByKill?: boolean
  /** It takes whatever ends its workers again and again, and runs whatever code it is given. */
  readonly isCareless?: boolean
  /** What its log says of what is tried out besides devices. */
  readonly tamperRows?: (rows: LoggedRow[]) => LoggedRow[]
}

interface Holder {
  readonly pid: number
  isReady: boolean
  isStopped: boolean
  stopCount: number
}

/** The slow twin of a plant of processes: its log is what its door took, its supervisor a few timers. */
export class DoorPlant implements PlantUnderTest {
  /** What was done to it, in order: `kill worker/1`. */
  readonly done: string[] = []
  readonly doneAtMs: number[] = []
  isFull = false
  /** Others took the room on its disk. */
  isRobbed = false
  readonly #door: FakeDoor
  readonly #clock: FakeClock
  readonly #startMs: number
  readonly #options: DoorPlantOptions
  readonly #listeners = new Set<(event: SupervisionEvent) => void>()
  readonly #holders = new Map<string, Holder | undefined>()
  readonly #emptySinceMs = new Map<string, number>()
  #trials: TrialPlant | undefined
  #pid = 100

  constructor(door: FakeDoor, clock: FakeClock, options: DoorPlantOptions = {}) {
    this.#door = door
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
    this.#options = options
    for (const seat of ['journal/0', 'worker/0', 'worker/1', 'gateway/0', 'supervisor/0'])
      this.#holders.set(seat, { pid: ++this.#pid, isReady: true, isStopped: false, stopCount: 0 })
  }

  /** Who is stopped and was not woken. */
  get stopped(): string[] {
    return [...this.#holders].flatMap(([seat, holder]) => (holder?.isStopped === true ? [seat] : []))
  }

  async kill(seat: Seat<ChildRole>): Promise<number> {
    const { pid } = this.#holderOf(seat)
    this.#note(`kill ${seatName(seat)}`)
    if (this.#options.isRobbedByKill === true && !this.done.includes('restart')) {
      this.isRobbed = true
      this.#door.capacity = 0
    }
    this.#clock.after(1, () => this.#die(seat, pid, 'SIGKILL'))
    return pid
  }

  async stop(seat: Seat): Promise<StoppedProcess> {
    const holder = this.#holderOf(seat)
    this.#note(`stop ${seatName(seat)}`)
    holder.isStopped = true
    const count = ++holder.stopCount
    const { role } = seat
    if (role !== 'supervisor')
      this.#clock.after(HANG_MS, () => {
        if (!holder.isStopped || holder.stopCount !== count) return
        const hung = { kind: 'hung', role, slot: seat.slot, pid: holder.pid, sign: 'pulse', ageMs: HANG_MS, command: null } as const
        this.#tell(hung)
        this.#die({ ...seat, role }, holder.pid, 'SIGKILL')
      })
    return {
      pid: holder.pid,
      wake: () => {
        if (holder.isStopped) this.#note(`wake ${seatName(seat)}`)
        holder.isStopped = false
      },
    }
  }

  async crash(what: 'supervisor' | 'everything'): Promise<Recovery> {
    this.#note(`crash ${what}`)
    await new Promise<void>((resolve) => this.#clock.after(200, resolve))
    const process = what === 'everything' ? 'plant' : 'supervisor/0'
    return { process, cause: 'SIGKILL', rtoMs: 200, entities: 0, events: 0, phases: { ready: 200 } }
  }

  async rescale(): Promise<boolean> {
    this.#note('rescale')
    return this.#options.isCareless !== true
  }

  send(entity: EntityId, command: string, data: Readonly<Record<string, unknown>>): Promise<Settlement> {
    this.#trials ??= new TrialPlant(this.#clock)
    return this.#trials.send(entity, command, data)
  }

  async *rows(pattern: string): AsyncGenerator<LoggedRow> {
    const rows: LoggedRow[] = []
    for await (const row of this.#trials?.rows(pattern) ?? []) rows.push(row)
    yield* this.#options.tamperRows?.(rows) ?? rows
  }

  async sendFatal(): Promise<boolean> {
    this.#note('fatal')
    return this.#options.isCareless !== true
  }

  async upgrade(isBroken: boolean): Promise<boolean> {
    this.#note(isBroken ? 'broken upgrade' : 'upgrade')
    return !isBroken || this.#options.isCareless === true
  }

  async fillDisk(): Promise<string | undefined> {
    if (this.#options.whyNotFull !== undefined) return this.#options.whyNotFull
    this.#note('fill')
    this.isFull = true
    return undefined
  }

  async emptyDisk(): Promise<void> {
    if (this.isFull) this.#note('empty')
    this.isFull = false
  }

  async keepRoom(): Promise<boolean> {
    if (!this.isRobbed) return false
    this.#note('restart')
    this.isRobbed = false
    this.#door.capacity = 100_000
    this.#door.makeRoom()
    return true
  }

  async whenReady(): Promise<void> {
    while ([...this.#holders.values()].some((holder) => holder?.isReady !== true))
      await new Promise<void>((resolve) => this.#clock.after(1, resolve))
  }

  onEvent(listener: (event: SupervisionEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async *log(): AsyncGenerator<LoggedCommand> {
    const stored = this.#door.stored.map((command) => ({ ...command, events: [command.data] }))
    const refused = this.#door.refused.map((command) => ({ ...command, events: [] }))
    const log = [...stored, ...refused].map(({ entity, at = 0, events }, version) => ({ entity, version, at, events }))
    yield* this.#options.tamper?.(log) ?? log
  }

  async stateHashes() {
    return { live: HASH, replayed: this.#options.replayed ?? HASH }
  }

  async size() {
    return { rows: this.#door.stored.length, bytes: this.#door.stored.length * 10 }
  }

  #die(seat: Seat<ChildRole>, pid: number, signal: 'SIGKILL'): void {
    const name = seatName(seat)
    const { role, slot } = seat
    if (this.#holders.get(name)?.pid !== pid) return
    this.#holders.set(name, undefined)
    if (!this.#emptySinceMs.has(name)) this.#emptySinceMs.set(name, this.#clock.monotonicMs())
    this.#tell({ kind: 'died', role, slot, pid, term: 1, cause: { kind: 'signal', signal }, fatalCommand: null })
    const successor: Holder = { pid: ++this.#pid, isReady: false, isStopped: false, stopCount: 0 }
    this.#clock.after(this.#options.isInstant === true ? 0 : TAKEN_MS, () => this.#holders.set(name, successor))
    this.#clock.after(this.#options.isInstant === true ? 0 : BACK_MS, () => this.#becomeReady(seat, successor))
  }

  #becomeReady(seat: Seat<ChildRole>, holder: Holder): void {
    const name = seatName(seat)
    if (this.#holders.get(name) !== holder) return
    // As a worker does whose appends wait for room.
    if (this.isFull && seat.role === 'worker') return void this.#clock.after(1, () => this.#becomeReady(seat, holder))
    const { role, slot } = seat
    const { pid } = holder
    const ms = this.#clock.monotonicMs() - (this.#emptySinceMs.get(name) ?? 0)
    this.#emptySinceMs.delete(name)
    holder.isReady = true
    const cause = { kind: 'signal', signal: 'SIGKILL' } as const
    this.#tell({ kind: 'ready', role, slot, pid, term: 2, details: {} })
    this.#tell({
      kind: 'replaced',
      replacement: { role, slot, pid, term: 2, cause, ms, phases: { ready: ms }, attempts: 1, details: {} },
    })
  }

  #holderOf(seat: Seat): Holder {
    const holder = this.#holders.get(seatName(seat))
    if (holder !== undefined) return holder
    if (!this.#holders.has(seatName(seat))) throw new Error('no such seat')
    throw new MillraceError('ERR_SEAT_EMPTY', { fact: 'nobody holds the seat', action: 'retry' })
  }

  #note(what: string): void {
    this.done.push(what)
    this.doneAtMs.push(this.#clock.monotonicMs() - this.#startMs)
  }

  #tell(fact: SupervisionFact): void {
    const event = { at: this.#clock.nowMicros(), ...fact }
    for (const listener of this.#listeners) listener(event)
  }
}
