import { describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import type { Slot } from '#actors/slot.js'
import { soakSeed, soakTimes } from '../soak.js'
import { ForeignWriter } from './foreign-writer.js'
import { LogCheck, type Told } from './log-check.js'
import { PlantRig } from './plant-rig.js'
import { type CommandDraft, RigClient, type SentCommand } from './rig-client.js'
import { StepMover } from './step-mover.js'
import { Tally, type TallyState } from './tally.js'

const SCHEDULES = soakTimes({ smoke: 30, full: 20_000 })
const FIRST_SEED = soakSeed(1)

/** One random plant, its clients, and what goes wrong with it; all from one seed. */
class Schedule {
  readonly #random: Prng
  readonly #entityCount: number
  readonly #mayConflict: boolean
  #clients: RigClient[] = []
  readonly #sent: SentCommand[] = []
  readonly #told: Told[] = []
  #foreign: ForeignWriter | undefined
  #mover: StepMover | undefined

  constructor(seed: number) {
    this.#random = new Prng(seed)
    this.#entityCount = 1 + this.#random.below(8)
    this.#mayConflict = this.#random.below(3) === 0
  }

  async run(): Promise<void> {
    const random = this.#random
    const rig = await PlantRig.open({
      entities: [Tally],
      workers: 1 + random.below(2),
      gateways: 1 + random.below(2),
      capacityBytes: random.pick([2048, 4096, 16_384]),
      answerCapacityBytes: random.pick([512, 1024, 4096]),
      firstPosition: random.pick([0, -4096, 0x7fff_f000]),
      framesMax: random.pick([1, 3, 1024]),
      limits: {
        liveEntitiesMax: random.pick([1, 2, 1000]),
        passivateAfterMs: random.pick([1, 20, 1_000_000_000]),
        snapshotEvery: random.pick([1, 3, 1_000_000]),
        tailRowsMax: random.pick([0, 1, 30]),
        commandsPerTurn: random.pick([1, 8, 64]),
        inFlightMax: random.pick([2, 16, 256]),
      },
    })
    this.#foreign = new ForeignWriter(rig)
    let nextId = 0
    this.#clients = ['plc-1', 'plc-2', ''].map((source, index) => new RigClient(rig, source, index % rig.gatewayCount, () => nextId++))
    const steps = 50 + random.below(300)
    for (let step = 0; step < steps; step++) await this.#step(rig)
    await this.#finish(rig)
  }

  async #step(rig: PlantRig): Promise<void> {
    const random = this.#random
    const worker = random.below(rig.workerCount)
    const gateway = random.below(rig.gatewayCount)
    if (rig.workerCount > 1 && random.below(16) === 0) this.#move(rig)
    const die = random.below(1000)
    if (die < 250) this.#send()
    else if (die < 300) this.#sendAgain()
    else if (die < 450) rig.stepDoor(gateway)
    else if (die < 600) rig.stepWorker(worker)
    else if (die < 750) rig.stepJournal()
    else if (die < 850) await this.#breathe(rig)
    else if (die < 870) rig.exhaust(random.pick(['journal', 'door', 'worker']), 0)
    else if (die < 890) rig.clock.advance(random.below(400))
    else if (die < 905) rig.killWorker(worker)
    else if (die < 935) rig.startWorker(worker)
    else if (die < 945) rig.killJournal()
    else if (die < 965) rig.startJournal()
    else if (die < 972) rig.killGateway(gateway)
    else if (die < 982) this.#startGateway(rig, gateway)
    else if (die < 986) this.#read(rig, worker)
    else if (die < 989) this.#connect(random.pick(this.#clients), gateway)
    else if (die < 993) this.#setFull(rig, random.below(2) === 0)
    else if (die < 996) this.#interfere(rig)
    else for (const client of this.#clients) client.pump()
  }

  /** Shards move between the workers, whoever dies meanwhile; now and then a move is given up. */
  #move(rig: PlantRig): void {
    const random = this.#random
    this.#mover ??= new StepMover(rig)
    if (random.below(16) === 0) this.#mover.giveUp()
    else this.#mover.step(random.below(rig.placement.shardCount), random.below(rig.workerCount))
  }

  /** Faults stop; then everything must settle, and be right. */
  async #finish(rig: PlantRig): Promise<void> {
    this.#mover?.finish()
    rig.startJournal()
    this.#setFull(rig, false)
    for (let worker = 0; worker < rig.workerCount; worker++) rig.startWorker(worker)
    for (let gateway = 0; gateway < rig.gatewayCount; gateway++) this.#startGateway(rig, gateway)
    for (const client of this.#clients) client.pump()
    await rig.until(() => this.#clients.every((client) => client.isSettled) && rig.isIdle)

    const rows = await rig.rows()
    const check = new LogCheck(rig, this.#sent)
    check.take(rows)
    check.checkAnswers()
    check.checkTold(this.#told)
    check.checkSnapshots(rig.journal.stored.snapshots, rows)
    const replayed = await rig.replayedHash()
    if ((await rig.liveHash()) !== replayed) throw new Error('the live state is not the replayed one')
    for await (const finding of rig.journal.verify()) throw new Error(`the log is damaged: ${finding.what}`)
    await this.#replaceAll(rig, replayed)
  }

  /** What successors load is the same again. */
  async #replaceAll(rig: PlantRig, replayed: string): Promise<void> {
    for (let worker = 0; worker < rig.workerCount; worker++) {
      rig.killWorker(worker)
      rig.startWorker(worker)
    }
    await rig.until(() => rig.isIdle)
    if ((await rig.liveHash()) !== replayed) throw new Error('what a successor loads is not the replayed state')
  }

  #send(): void {
    const random = this.#random
    const client = random.pick(this.#clients)
    for (let count = random.pick([1, 1, 4, 24]); count > 0; count--) this.#sent.push(client.send(this.#draft()))
  }

  #draft(): CommandDraft {
    const random = this.#random
    const entity: EntityId = `tally/t${random.below(this.#entityCount)}`
    const id = random.below(1000)
    const at = random.below(2) === 0 ? undefined : 1_700_000_000_000_000 + random.below(1_000_000)
    const answer = random.pick(['always', 'refused'] as const)
    const die = random.below(100)
    if (die < 60) return { entity, command: 'add', data: { id, by: random.below(10) }, at, answer }
    if (die < 75) return { entity, command: 'addTwice', data: { id, by: random.below(10) }, at, answer }
    if (die < 85) return { entity, command: random.pick(['look', 'refuse']), data: { id }, at, answer }
    if (die < 90) return { entity, command: 'fail', data: { id }, at, answer }
    if (die < 95) return { entity, command: 'break', data: { id }, at, answer }
    return { entity, command: 'swell', data: { id, note: 'n'.repeat(100), times: 60 }, at, answer }
  }

  #sendAgain(): void {
    const sent = this.#random.pick(this.#sent.length > 0 ? this.#sent : [undefined])
    // Only what is known to be done: anything else would not be sent out of order by a source that keeps to the contract.
    if (sent !== undefined && sent.settlements.length > 0) sent.client.sendAgain(sent)
  }

  #startGateway(rig: PlantRig, gateway: number): void {
    if (rig.isDoorUp(gateway)) return
    rig.startGateway(gateway)
    for (const client of this.#clients) if (client.gateway === gateway) this.#connect(client, gateway)
  }

  #connect(client: RigClient, gateway: number): void {
    client.connect(gateway)
    client.pump()
  }

  #read(rig: PlantRig, slot: number): void {
    const worker = rig.worker(slot)
    const entity = `tally/t${this.#random.below(this.#entityCount)}`
    const look = ({ version, state }: Slot) => ({ entity, version, chain: (state as TallyState).chain })
    void worker?.read(entity, look)?.then((told) => this.#told.push(told))
  }

  #setFull(rig: PlantRig, isFull: boolean): void {
    if (rig.journal !== undefined) rig.journal.isFull = isFull
  }

  #interfere(rig: PlantRig): void {
    if (this.#mayConflict && rig.journal !== undefined) this.#foreign?.interfere(`tally/t${this.#random.below(this.#entityCount)}`)
  }

  /** Some promises come in, or all of them. */
  async #breathe(rig: PlantRig): Promise<void> {
    if (this.#random.below(2) === 0) return rig.breathe()
    for (let turns = this.#random.below(12); turns > 0; turns--) await Promise.resolve()
  }
}

describe('a plant whose roles are killed at any step', () => {
  test(`loses, doubles and reorders nothing, answers as before, and settles, under ${SCHEDULES} schedules`, {
    timeout: 24 * 3_600_000,
  }, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
      try {
        await new Schedule(seed).run()
      } catch (error) {
        throw new Error(`with seed ${seed}: ${(error as Error).stack}`, { cause: error })
      }
    }
    expect(SCHEDULES).toBeGreaterThan(0)
  })
})
