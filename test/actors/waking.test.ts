import { beforeEach, describe, expect, test } from 'vitest'
import { type EntityId, shardOfId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import { soakSeed, soakTimes } from '../soak.js'
import { ForeignWriter } from './foreign-writer.js'
import { PlantRig } from './plant-rig.js'
import { Pulse, type PulseState, seen } from './pulse.js'
import { Relay, type RelayState } from './relay.js'
import { RigClient } from './rig-client.js'
import { openTalk } from './rig-talk.js'
import { StepMover } from './step-mover.js'
import { Tally } from './tally.js'

const SCHEDULES = soakTimes({ smoke: 6, full: 5000 })
const FIRST_SEED = soakSeed(1)
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f']
const [, ...OTHERS] = NAMES
const OFTEN = 'often'

beforeEach(() => {
  seen.length = 0
})

/** A plant whose entities leave memory as soon as they can, and what they are told meanwhile; all from one seed. */
class Waking {
  readonly #random: Prng
  readonly #rig: PlantRig
  readonly #client: RigClient
  readonly #mover: StepMover
  readonly #foreign: ForeignWriter
  /** By entity and who told it, in order. */
  readonly #told = new Map<string, number[]>()
  readonly #asked = new Map<string, number>()
  readonly #timers = new Map<string, string[]>()
  readonly #volatile = new Map<string, number[]>()
  #nextId = 0
  #isQuiet = true

  static async open(seed: number): Promise<Waking> {
    const random = new Prng(seed)
    const rig = await PlantRig.open({
      entities: [Relay, Pulse, Tally],
      workers: 1 + random.below(2),
      shardCount: random.pick([2, 8]),
      capacityBytes: random.pick([4096, 65_536]),
      limits: {
        liveEntitiesMax: random.pick([1, 2, 5, 1000]),
        passivateAfterMs: random.pick([1, 5, 40]),
        snapshotEvery: random.pick([2, 1_000_000]),
        outboxMax: random.pick([2, 1000]),
        tailRowsMax: random.pick([0, 20]),
      },
    })
    await rig.until(() => rig.isIdle)
    return new Waking(random, rig)
  }

  private constructor(random: Prng, rig: PlantRig) {
    let id = 0
    this.#random = random
    this.#rig = rig
    this.#client = new RigClient(rig, 'plc', 0, () => id++)
    this.#mover = new StepMover(rig)
    this.#foreign = new ForeignWriter(rig)
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) await this.#step()
    await this.#settle()
    await this.#check()
  }

  async #step(): Promise<void> {
    const random = this.#random
    const rig = this.#rig
    const die = random.below(100)
    if (die < 30) this.#tell()
    else if (die < 60) await this.#round()
    else if (die < 75) {
      rig.clock.advance(random.pick([1, 10, 60]))
      rig.stepWorker(random.below(rig.workerCount))
    } else if (die < 80) {
      this.#mover.finish()
      await rig.until(() => rig.isIdle && this.#client.isSettled)
    } else if (die < 94) this.#move()
    else if (die < 97) this.#read()
    else this.#disturb()
  }

  #tell(): void {
    const random = this.#random
    const [from, to] = [random.pick(NAMES), random.pick(NAMES)]
    const id = this.#nextId++
    const what = random.below(9)
    // Nobody asks himself.
    const other = NAMES[(NAMES.indexOf(from) + 1 + random.below(NAMES.length - 1)) % NAMES.length]
    if (what === 0) {
      this.#send(`relay/${from}`, 'spread', { id, to: [to] })
      this.#note(this.#told, `${from}>${to}`, id)
    } else if (what === 1) {
      this.#send(`relay/${from}`, 'inquire', { id, who: other, what: random.pick(['take', 'refuse', 'fail']), timeoutMs: 1_000_000 })
      this.#asked.set(from, (this.#asked.get(from) ?? 0) + 1)
    } else if (what === 2) {
      const note = `${id}`
      this.#send(`relay/${from}`, 'later', { ms: random.pick([1, 30, 200]), note })
      this.#timers.set(from, [...(this.#timers.get(from) ?? []), note])
    } else if (what === 3) this.#send(`relay/${from}`, 'again', { ms: 25, note: OFTEN, key: OFTEN })
    else if (what === 8) this.#send(`relay/${from}`, 'stop', { key: OFTEN })
    else if (what === 4) this.#send(`relay/${from}`, 'tellSelf', { id: 1_000_000 + 2 * id })
    else if (what === 5)
      this.#send(`pulse/${from}`, 'inquire', { who: other, what: random.pick(['reply', 'count', 'throw']), timeoutMs: 50 })
    else if (what === 6) this.#send(`tally/${from}`, 'add', { id, by: 1 })
    else {
      this.#send(`pulse/${from}`, 'begin', { id, to: [to, from], command: 'count' })
      for (const one of [to, from]) this.#note(this.#volatile, one, id)
    }
  }

  #send(entity: EntityId, command: string, data: Readonly<Record<string, unknown>>): void {
    this.#client.send({ entity, command, data, at: undefined, answer: 'always' })
  }

  #note(ids: Map<string, number[]>, key: string, id: number): void {
    ids.set(key, [...(ids.get(key) ?? []), id])
  }

  async #round(): Promise<void> {
    this.#client.pump()
    this.#rig.stepAll()
    if (this.#random.below(2) === 0) await this.#rig.breathe()
    if (this.#rig.failures.length > 0) throw this.#rig.failures[0]
  }

  #move(): void {
    if (this.#rig.workerCount === 1) return
    this.#isQuiet = false
    if (this.#random.below(20) === 0) this.#mover.giveUp()
    else this.#mover.step(this.#random.below(this.#rig.placement.shardCount), this.#random.below(2))
  }

  #read(): void {
    const worker = this.#rig.worker(this.#random.below(this.#rig.workerCount))
    worker.read(`relay/${this.#random.pick(NAMES)}`, ({ version }) => version)?.catch(() => undefined)
  }

  /** A worker dies, or somebody else appends to one of the entities: its shard is dropped, and loaded again. */
  #disturb(): void {
    const rig = this.#rig
    this.#isQuiet = false
    if (this.#random.below(2) === 0) return this.#foreign.interfere(`tally/${this.#random.pick(NAMES)}`)
    const slot = this.#random.below(rig.workerCount)
    rig.killWorker(slot)
    rig.startWorker(slot)
  }

  /** Until all that there was to do is done, all timers have gone off, and nobody is in memory. */
  async #settle(): Promise<void> {
    const rig = this.#rig
    const workers = () => Array.from({ length: rig.workerCount }, (_, slot) => rig.worker(slot))
    const isQuiet = () => rig.isIdle && this.#client.isSettled
    this.#mover.finish()
    await rig.until(isQuiet)
    for (const name of NAMES) this.#send(`relay/${name}`, 'stop', { key: OFTEN })
    for (const name of NAMES) this.#send(`tally/${name}`, 'look', { id: 0 })
    await rig.until(isQuiet)
    rig.clock.advance(1000)
    await rig.until(isQuiet)
    await rig.until(() => {
      rig.clock.advance(60)
      return isQuiet() && workers().every(({ counters, slotCount }) => counters.liveEntities === 0 && slotCount === 0)
    })
  }

  async #check(): Promise<void> {
    const relays = new Map<string, RelayState>()
    for (const name of NAMES) {
      const state = await this.#state<RelayState>(`relay/${name}`)
      if (state !== undefined) relays.set(name, state)
    }
    for (const [pair, ids] of this.#told) {
      const taken = relays.get(pair.split('>')[1] as string)?.taken.filter((id) => ids.includes(id))
      // Who tells itself takes it twice: by its own command, and by what it told.
      const [from, to] = pair.split('>')
      if (from !== to) expect(taken, `what ${from} told ${to}`).toEqual(ids)
      else expect(taken?.toSorted(byNumber)).toEqual(ids.flatMap((id) => [id, id]))
    }
    for (const [name, { taken, heard, ticks }] of relays) {
      const own = taken.filter((id) => id >= 1_000_000)
      expect(new Set(own).size, `what ${name} told itself, once each`).toBe(own.length)
      expect(own.length % 2).toBe(0)
      expect(heard.length, `answers to ${name}`).toBe(this.#asked.get(name) ?? 0)
      expect(ticks.filter((note) => note !== OFTEN).toSorted(), `timers of ${name}`).toEqual((this.#timers.get(name) ?? []).toSorted())
    }
    for (const [name, ids] of this.#volatile) {
      const counted = (await this.#state<PulseState>(`pulse/${name}`))?.counted.filter((id) => id !== 1) ?? []
      const expected = ids.filter((id) => id !== 1)
      if (this.#isQuiet) expect(counted.toSorted(byNumber), `what pulse/${name} was told`).toEqual(expected)
      else expect(expected).toEqual(expect.arrayContaining(counted))
    }
    expect(await this.#rig.liveHash()).toBe(await this.#rig.replayedHash())
  }

  async #state<S>(entity: EntityId): Promise<S | undefined> {
    const slot = this.#rig.placement.slotOf(shardOfId(entity, this.#rig.placement.shardCount))
    let state: { readonly it: S } | undefined
    const read = this.#rig.worker(slot).read(entity, (live) => structuredClone(live.state) as S)
    if (read === undefined) return undefined
    void read.then((it) => (state = { it }))
    await this.#rig.until(() => state !== undefined)
    return state?.it
  }
}

const byNumber = (one: number, other: number): number => one - other

describe('entities that leave memory and come back all the time', () => {
  test(`lose nothing that they are told, ask, set or hear, and leave nothing behind, under ${SCHEDULES} schedules`, {
    timeout: 24 * 3_600_000,
  }, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
      try {
        await (await Waking.open(seed)).run(150)
      } catch (error) {
        throw new Error(`with seed ${seed}: ${(error as Error).stack}`, { cause: error })
      }
    }
    expect(SCHEDULES).toBeGreaterThan(0)
  })
})

describe('an entity that was passive while', () => {
  test('it had timers has them, and no place in memory meanwhile', async () => {
    const { rig, send, settle, state } = await openTalk({ entities: [Relay], limits: { passivateAfterMs: 5 } })
    for (const name of NAMES) send(`relay/${name}`, 'later', { ms: 500, note: name })
    await settle()
    rig.clock.advance(100)
    await rig.until(() => rig.worker().counters.liveEntities === 0)
    expect(rig.worker().slotCount).toBe(0)
    const { activations } = rig.worker().counters

    rig.clock.advance(500)
    await settle()

    expect(rig.worker().counters.activations - activations).toBe(NAMES.length)
    for (const name of NAMES) expect((await state<RelayState>(`relay/${name}`))?.ticks).toEqual([name])
  })

  test('an answer was on its way to it is found anew', async () => {
    const { rig, send, settle } = await openTalk({ entities: [Pulse], workers: 2, limits: { passivateAfterMs: 2, liveEntitiesMax: 1 } })
    for (const name of NAMES) send(`pulse/${name}`, 'count', { id: 0 })
    await settle()

    for (let round = 0; round < 5; round++) {
      for (const who of OTHERS) send('pulse/a', 'inquire', { who, what: 'reply', timeoutMs: 60_000 })
      await settle()
      rig.clock.advance(1000)
      await rig.until(() => [0, 1].every((slot) => rig.worker(slot).slotCount === 0))
    }

    expect(seen).toHaveLength(5 * OTHERS.length)
    expect(seen.every((one) => (one as [outcome: string])[0] === 'done')).toBe(true)
  })
})

describe('a worker that begins with more entities than may live', () => {
  test('makes no place for those that stay passive', async () => {
    const first = await openTalk({ entities: [Relay] })
    for (let name = 0; name < 200; name++) first.send(`relay/${name}`, 'take', { id: name })
    await first.settle()
    const { stored } = first.rig.journal

    const { rig, state } = await openTalk({ entities: [Relay], stored, limits: { liveEntitiesMax: 10 } })

    const { counters, slotCount } = rig.worker()
    expect([counters.knownEntities, counters.liveEntities, slotCount]).toEqual([200, 10, 10])
    for (const name of [0, 77, 199]) expect((await state<RelayState>(`relay/${name}`))?.taken).toEqual([name])
  })
})
