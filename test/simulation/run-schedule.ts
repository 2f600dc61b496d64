import { messageOf } from '#base/errors.js'
import { shardOfId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import { StateFold } from '#runtime/replay-hash.js'
import { StepMover } from '../actors/step-mover.js'
import { CsvDevice } from './csv-device.js'
import type { Device, DeviceWorld } from './device.js'
import { describeStep } from './describe-step.js'
import { EagerDevice } from './eager-device.js'
import { HttpDevice } from './http-device.js'
import { Ledger } from './ledger.js'
import { MqttDevice } from './mqtt-device.js'
import { PlainDevice } from './plain-device.js'
import { type Role, type Seat, SimulatedPlant, Violation } from './plant.js'
import type { SimulatedProcess } from './process.js'
import { DEVICE_KINDS, ENTITIES, type Meanwhile, type Schedule, type Step } from './schedule.js'
import { MODEL, SHARDS } from './simulated-log.js'
import { OUTSIDE, type TallyState } from './tally.js'

/** Rounds in which a plant without faults must have answered everything. */
const ROUNDS_MAX = 600
const DISK_STEPS_PER_ROUND = 64
const PASSES_PER_ROUND_MAX = 32
const ROUND_MS = 50
const LAST_ASKED = 4
/** Longer than any timer. */
const TIMERS_OVER_MS = 1000

export interface Outcome {
  /** What went wrong first, if anything did. */
  readonly wrong: string | undefined
  /** All that devices were told, and what the log folds into: the same whenever the schedule is run. */
  readonly trace: string
}

/** Runs a schedule, lets the plant come to rest, loses its power and looks again. */
export async function runSchedule(schedule: Schedule, note?: (what: string) => void): Promise<Outcome> {
  const run = new Run(schedule, note)
  const wrong = await run.run().then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof Violation) return error.message
      return `the plant broke: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}`
    },
  )
  return { wrong, trace: run.trace() }
}

class Run {
  readonly #schedule: Schedule
  readonly #note: (what: string) => void
  readonly #ledger = new Ledger()
  readonly #devices: Device[] = []
  readonly #seats: readonly Seat[]
  #openPlant: SimulatedPlant | undefined
  #openMover: StepMover | undefined
  #isInterfered = false
  #stateHash = ''
  /** Of the turns on the stack: how often each has looked at shared memory, and what comes in between. */
  readonly #turns: { looks: number; next: number; readonly meanwhile: readonly Meanwhile[] }[] = []

  constructor(schedule: Schedule, note: (what: string) => void = () => {}) {
    this.#schedule = schedule
    this.#note = note
    const { workers, gateways } = schedule.config
    this.#seats = [{ role: 'journal', slot: 0 }, ...seatsOf('worker', workers), ...seatsOf('gateway', gateways)]
  }

  get #plant(): SimulatedPlant {
    return this.#openPlant as SimulatedPlant
  }

  get #mover(): StepMover {
    return (this.#openMover ??= new StepMover(this.#plant))
  }

  async run(): Promise<void> {
    this.#openPlant = await SimulatedPlant.open(this.#schedule.config, (process) => this.#between(process))
    OUTSIDE.ping = (entity, number, id) => this.#ledger.pings.push({ entity, number, id, logEnd: this.#plant.logEnd })
    const world: DeviceWorld = { plant: this.#plant, ledger: this.#ledger }
    DEVICE_KINDS.forEach((_, index) => this.#devices.push(this.#makeDevice(world, index)))
    for (const [index, step] of this.#schedule.steps.entries()) {
      this.#note(`${String(index + 1).padStart(3)}  ${describeStep(step)}`)
      await this.#step(step)
      this.#plant.check()
    }
    this.#note('     no more faults: everybody goes on until all is answered')
    await this.#settle()
    this.#plant.clock.advance(TIMERS_OVER_MS)
    await this.#settle()
    if (this.#isInterfered) {
      this.#lookAtAll()
      await this.#settle()
    }
    const rows = await this.#audit()
    this.#note('     the power is lost once more, and the plant is started again')
    this.#plant.losePower(new Prng(rows))
    await this.#up()
    await this.#settle()
    this.#askAgain()
    await this.#settle()
    await this.#audit()
    await this.#verify()
  }

  trace(): string {
    return `${this.#stateHash} ${JSON.stringify(this.#ledger.sent)}`
  }

  #makeDevice(world: DeviceWorld, index: number): Device {
    const gateway = index % this.#schedule.config.gateways
    const name = `device-${index}`
    const kind = DEVICE_KINDS[index]
    if (kind === 'plain') return new PlainDevice(world, name, gateway)
    if (kind === 'eager') return new EagerDevice(world, name, gateway)
    if (kind === 'mqtt') return new MqttDevice(world, name, gateway)
    if (kind === 'csv') return new CsvDevice(world, name, gateway)
    return new HttpDevice(world, name, gateway, kind === 'http')
  }

  async #step(step: Step): Promise<void> {
    const plant = this.#plant
    switch (step.do) {
      case 'start':
        await this.#start(step.role, step.slot)
        break
      case 'send':
        this.#devices[step.device]?.send(step.drafts)
        break
      case 'pump':
        this.#devices[step.device]?.pump()
        break
      case 'ask again':
        this.#askOne(step.device, step.which)
        break
      case 'reconnect':
        this.#devices[step.device]?.connect(step.gateway)
        break
      case 'read':
        this.#read(step)
        break
      case 'room':
        plant.setRoom(step.isThere)
        break
      case 'time':
        plant.clock.advance(step.ms)
        break
      case 'round':
        for (let count = step.count; count > 0; count--) await this.#round()
        break
      case 'replace all':
        plant.down()
        await this.#up()
        break
      case 'lose power':
        plant.losePower(new Prng(step.seed))
        await this.#up()
        break
      default:
        this.#now(step)
    }
    await breathe()
  }

  /** Steps that nothing has to be waited for. */
  #now(step: Step): void {
    const plant = this.#plant
    if (step.do === 'turn') {
      this.#turns.push({ looks: 0, next: 0, meanwhile: step.meanwhile ?? [] })
      try {
        plant.turn(step.role, step.slot)
      } finally {
        this.#turns.pop()
      }
    } else if (step.do === 'move') this.#mover.step(shardOfId(step.entity, SHARDS), step.to)
    else if (step.do === 'give the move up') this.#mover.giveUp()
    else if (step.do === 'disk') {
      for (let count = step.count; count > 0; count--) if (plant.stepDisk(step.environment) === undefined) break
    } else if (step.do === 'disk fails') plant.failDisk(step.environment)
    else if (step.do === 'kill') plant.kill(step.role, step.slot)
    else if (step.do === 'interfere') {
      this.#isInterfered = true
      plant.interfere(step.entity, 1_000_000 + this.#ledger.sent.length)
    }
  }

  /** A process is about to look at what others share with it. */
  #between(process: SimulatedProcess): void {
    const turn = this.#turns.at(-1)
    if (turn === undefined || !process.isRunning) return
    const looks = turn.looks++
    for (let next = turn.meanwhile[turn.next]; next !== undefined && next.at <= looks; next = turn.meanwhile[turn.next]) {
      turn.next++
      this.#now(next.step)
    }
  }

  async #start(role: Role, slot: number): Promise<void> {
    if (!(await this.#plant.start(role, slot)) || role !== 'gateway') return
    for (const device of this.#devices) if (device.gateway === slot) device.connect(slot)
  }

  async #up(): Promise<void> {
    // Whoever moves shards is gone with the supervisor.
    this.#openMover = undefined
    await this.#plant.up()
    for (const device of this.#devices) device.connect(device.gateway)
  }

  #read({ worker, entity }: Extract<Step, { do: 'read' }>): void {
    void this.#plant
      .worker(worker)
      ?.read(entity, ({ version, state }) => ({ entity, version, chain: (state as TallyState).chain }))
      ?.then((reading) => this.#ledger.readings.push(reading))
  }

  #askOne(device: number, which: number): void {
    const answered = (this.#devices[device]?.sent ?? []).filter(({ answers }) => answers.length > 0)
    const sent = answered[which % Math.max(1, answered.length)]
    if (sent !== undefined) this.#devices[device]?.askAgain(sent)
  }

  /** What a foreign writer did to an entity its worker finds out at the next command. */
  #lookAtAll(): void {
    this.#devices[0]?.send(ENTITIES.map((entity) => ({ entity, command: 'look' })))
  }

  #askAgain(): void {
    for (const device of this.#devices) for (const sent of device.sent.slice(-LAST_ASKED)) device.askAgain(sent)
  }

  /** Whoever says that it has work has turns until nobody does, as processes that park have; then the disk finishes what it has, and devices send what they can. */
  async #round(): Promise<void> {
    for (let pass = 0; pass < PASSES_PER_ROUND_MAX; pass++) {
      let isBusy = false
      for (const { role, slot } of this.#seats) {
        if (!this.#plant.hasWork(role, slot)) continue
        isBusy = true
        this.#now({ do: 'turn', role, slot })
      }
      await nextTurn()
      if (!isBusy) break
    }
    for (const environment of ['log', 'catalog'] as const) this.#now({ do: 'disk', environment, count: DISK_STEPS_PER_ROUND })
    await breathe()
    for (const device of this.#devices) device.pump()
    await nextTurn()
    this.#plant.check()
  }

  async #settle(): Promise<void> {
    const plant = this.#plant
    this.#mover.finish()
    plant.setRoom(true)
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (const { role, slot } of this.#seats) await this.#start(role, slot)
      if (plant.isIdle && this.#devices.every((device) => device.isSettled)) return
      await this.#round()
      plant.clock.advance(ROUND_MS)
    }
    throw new Violation(
      `no progress: ${this.#devices.filter((device) => !device.isSettled).length} devices still wait after ${ROUNDS_MAX} rounds without a fault`,
    )
  }

  /** What the log has of what was sent and answered, and whether the live states are what it folds into. Answers how many rows there are. */
  async #audit(): Promise<number> {
    const rows = await this.#plant.rows()
    const wrong = this.#ledger.check(rows, true)
    if (wrong !== undefined) throw new Violation(wrong)
    const fold = new StateFold(MODEL, this.#plant.log.eventTypes)
    for (const row of rows) fold.take(row)
    this.#stateHash = fold.hash()
    const live = await this.#plant.liveHash(() => this.#round())
    if (live !== this.#stateHash) throw new Violation('the live state is not what the log folds into')
    return rows.length
  }

  async #verify(): Promise<void> {
    for await (const { what } of this.#plant.log.verify()) throw new Violation(`the log is damaged: ${what}`)
  }
}

function seatsOf(role: Role, count: number): Seat[] {
  return Array.from({ length: count }, (_, slot) => ({ role, slot }))
}

/** Lets all promises come in that wait for nothing but each other. */
async function breathe(): Promise<void> {
  await nextTurn()
  await nextTurn()
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
