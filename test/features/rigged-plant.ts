import type { EntityId } from '#base/ids.js'
import { channelStat } from '#bus/index.js'
import type { LoggedCommand } from '#drills/ledger.js'
import type { LoggedRow, PlantUnderTest, StoppedProcess } from '#drills/plant-under-test.js'
import type { Settlement } from '#ingest/door.js'
import { OUTCOME_NONE } from '#journal/append-frame.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import type { DeathCause, SupervisionEvent, SupervisionFact } from '#processes/supervision-event.js'
import type { Recovery, StateHashes } from '#recovery/report.js'
import type { PlantRig } from '../actors/plant-rig.js'
import { Counter } from '../faults/counter.js'

/** From a death to the start of the successor. */
const BACK_MS = 5
/** A process that is frozen for so long is replaced. */
const HANG_MS = 100

interface Vacancy {
  readonly seat: Seat<ChildRole>
  readonly cause: DeathCause
  readonly fromMs: number
  isTaken: boolean
}

/** The plant whose processes are objects, as drills break it and look into it. Its supervisor is what stands here: it replaces whoever is gone. */
export class RiggedPlant implements PlantUnderTest {
  readonly #rig: PlantRig
  readonly #listeners = new Set<(event: SupervisionEvent) => void>()
  readonly #frozen = new Set<string>()
  #vacancies: Vacancy[] = []
  #sentCount = 0

  constructor(rig: PlantRig) {
    this.#rig = rig
  }

  /** One turn of everybody who lives, and of whoever replaces the others. */
  async turn(): Promise<void> {
    const { gatewayCount, workerCount } = this.#rig
    for (let slot = 0; slot < gatewayCount; slot++) if (!this.#isFrozen('gateway', slot)) this.#rig.stepDoor(slot)
    for (let slot = 0; slot < workerCount; slot++) if (!this.#isFrozen('worker', slot)) this.#rig.stepWorker(slot)
    if (!this.#isFrozen('journal', 0)) this.#rig.stepJournal()
    await this.#rig.breathe()
    this.#rig.clock.advance(1)
    if (this.#rig.failures.length > 0) throw this.#rig.failures[0]
    this.#vacancies = this.#vacancies.filter((vacancy) => !this.#isFilled(vacancy))
  }

  async kill(seat: Seat<ChildRole>): Promise<number> {
    this.#vacate(seat, { kind: 'signal', signal: 'SIGKILL' }, this.#nowMs)
    return this.#termOf(seat)
  }

  /** It has no turns until it is woken. When that takes too long, another one takes its place. */
  async stop(seat: Seat): Promise<StoppedProcess> {
    const child = { role: seat.role as ChildRole, slot: seat.slot }
    const pid = this.#termOf(child)
    const fromMs = this.#nowMs
    const thaw = () => this.#frozen.delete(seatName(seat))
    this.#frozen.add(seatName(seat))
    const cancel = this.#rig.clock.after(HANG_MS, () => {
      if (thaw()) this.#vacate(child, { kind: 'hang', sign: 'pulse', ageMs: HANG_MS }, fromMs)
    })
    const wake = () => {
      cancel()
      if (this.#termOf(child) === pid) thaw()
    }
    return { pid, wake }
  }

  async crash(): Promise<Recovery> {
    throw new Error('the plant whose processes are objects has no supervisor that could die')
  }

  send(entity: EntityId, command: string, data: Readonly<Record<string, unknown>>): Promise<Settlement> {
    const source = `drill-${this.#sentCount++}`
    return new Promise((resolve) => {
      const offer = () => {
        const door = this.#rig.door()
        if (door.offer({ source, sequence: 1, entity, command, data, at: undefined }, 'always', resolve) === 'full') door.onRoom(offer)
      }
      offer()
    })
  }

  /** `type/*` or `type*`. */
  async *rows(pattern: string): AsyncGenerator<LoggedRow> {
    for (const row of await this.#rig.rows()) if (row.entity.startsWith(pattern.slice(0, -1))) yield row
  }

  async rescale(): Promise<boolean> {
    throw new Error('the plant whose processes are objects has no more of them')
  }

  async sendFatal(): Promise<boolean> {
    throw new Error('the plant whose processes are objects ends with what ends one of them')
  }

  async upgrade(): Promise<boolean> {
    throw new Error('the plant whose processes are objects has the code of whoever runs it')
  }

  async fillDisk(): Promise<string | undefined> {
    this.#rig.journal.isFull = true
    return undefined
  }

  async emptyDisk(): Promise<void> {
    this.#rig.journal.isFull = false
  }

  async keepRoom(): Promise<boolean> {
    return false
  }

  async whenReady(): Promise<void> {
    while (this.#vacancies.length > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  onEvent(listener: (event: SupervisionEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async *log(): AsyncGenerator<LoggedCommand> {
    for (const { entity, version, at, event, data, outcomeKind } of await this.#rig.rows())
      if (outcomeKind !== OUTCOME_NONE && entity.startsWith(`${Counter.name}/`))
        yield { entity, version, at, events: event === undefined ? [] : [data] }
  }

  async stateHashes(): Promise<StateHashes> {
    return { live: await this.#rig.liveHash(), replayed: await this.#rig.replayedHash() }
  }

  async size(): Promise<{ readonly rows: number; readonly bytes: number }> {
    return {
      rows: this.#rig.journal.endPosition,
      bytes: this.#rig.journal.stored.blocks.reduce((sum, { byteLength }) => sum + byteLength, 0),
    }
  }

  get #nowMs(): number {
    return this.#rig.clock.monotonicMs()
  }

  /** Of who holds the seat or held it last. Nobody here has a pid: terms tell them apart. */
  #termOf({ role, slot }: Seat<ChildRole>): number {
    const { producer, consumer } = channelStat(this.#rig.memory(role === 'gateway' ? 'commands-g0-w0' : `appends-w${slot}`))
    return role === 'journal' ? consumer.term : producer.term
  }

  #isFrozen(role: ChildRole, slot: number): boolean {
    return this.#frozen.has(seatName({ role, slot }))
  }

  #remove({ role, slot }: Seat<ChildRole>): void {
    if (role === 'journal') this.#rig.killJournal()
    else if (role === 'worker') this.#rig.killWorker(slot)
    else this.#rig.killGateway(slot)
  }

  #vacate(seat: Seat<ChildRole>, cause: DeathCause, fromMs: number): void {
    this.#remove(seat)
    const { role, slot } = seat
    const term = this.#termOf(seat)
    this.#vacancies.push({ seat, cause, fromMs, isTaken: false })
    this.#tell({ kind: 'died', role, slot, pid: term, term, cause, fatalCommand: null })
  }

  #isFilled(vacancy: Vacancy): boolean {
    const { seat, cause, fromMs } = vacancy
    const { role, slot } = seat
    const ms = this.#nowMs - fromMs
    if (!vacancy.isTaken && ms >= BACK_MS) {
      if (role === 'journal') this.#rig.startJournal()
      else if (role === 'worker') this.#rig.startWorker(slot)
      else this.#rig.startGateway(slot)
      vacancy.isTaken = true
      this.#rig.reloads.length = 0
      return false
    }
    if (!vacancy.isTaken || (role === 'worker' && !this.#rig.worker(slot).isLoaded)) return false
    const [load] = role === 'worker' ? this.#rig.reloads : []
    const details = load === undefined ? {} : { entities: load.entities, events: load.events }
    const phases = { noticed: 0, reaped: 0, started: BACK_MS, ready: ms - BACK_MS }
    const term = this.#termOf(seat)
    this.#tell({ kind: 'replaced', replacement: { role, slot, pid: term, term, cause, ms, phases, attempts: 1, details } })
    return true
  }

  #tell(fact: SupervisionFact): void {
    const event = { at: this.#rig.clock.nowMicros(), ...fact }
    for (const listener of this.#listeners) listener(event)
  }
}
