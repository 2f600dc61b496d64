import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import type { HandedOver } from '#processes/hand-over.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import { type UpgradedPlant, type UpgradeStep, upgradeCode } from '#recovery/code-upgrade.js'
import type { MovedShards } from '#recovery/shard-mover.js'

const SHARDS = 32

describe('an upgrade', () => {
  test('changes one seat after the other, the doors last, and then all that comes', async () => {
    const plant = new FakePlant()

    const { report, steps } = await upgrade(plant)

    expect(plant.done).toEqual([...['prepare', 'worker/0 new', 'prove 0', 'worker/1 new', 'prove 1', 'gateway/0 new', 'commit']])
    expect(report).toMatchObject({ ok: true, from: '1.0.0', to: '1.1.0', runs: '1.1.0', failure: null })
    expect(plant.shortened).toEqual([0, 1])
    expect(steps).toEqual(['loaded', 'handed-over', 'handed-over', 'handed-over', 'ended'])
  })

  test('tells how long shards and doors had to wait', async () => {
    const plant = new FakePlant()
    plant.pauses.push(10, 30, 50)

    const { report } = await upgrade(plant)

    expect(report.shardPauseMs).toEqual({ p50: 20, p99: 30, max: 30 })
    expect(report.doorPauseMs).toBe(50)
    expect(report.seats.map(({ shards, leftMs }) => ({ shards, leftMs }))).toEqual([
      { shards: SHARDS, leftMs: 5 },
      { shards: SHARDS, leftMs: 15 },
      { shards: 0, leftMs: 25 },
    ])
  })

  test.each([
    ['the same version', '1.0.0', 'ERR_CODE_SAME'],
    ['a lower version', '0.9.0', 'ERR_CODE_OLDER'],
    ['a version before the release', '1.0.0-rc.1', 'ERR_CODE_OLDER'],
  ])('to %s changes nothing', async (_, version, code) => {
    const plant = new FakePlant(version)

    await expect(upgrade(plant)).rejects.toMatchObject({ code })
    expect(plant.done).toEqual(['give up'])
  })

  test('to code that does not load, or does not fit, changes nothing', async () => {
    for (const part of ['load', 'prepare'] as const) {
      const plant = new FakePlant()
      plant[part] = (): Promise<never> => Promise.reject(failed())

      await expect(upgrade(plant)).rejects.toMatchObject({ code: 'ERR_CODE_FAILED' })
      expect(plant.done).toEqual(['give up'])
    }
  })
})

describe('code that fails', () => {
  test('when its worker takes the seat gives that back', async () => {
    const plant = new FakePlant()
    plant.refuses = 'worker/1 new'

    const { report, steps } = await upgrade(plant)

    expect(plant.done.slice(1)).toEqual([
      ...['worker/0 new', 'prove 0', 'worker/1 new', 'worker/1 old', 'worker/0 old', 'give up', 'ready'],
    ])
    expect(report).toMatchObject({ ok: false, runs: '1.0.0', failure: { code: 'ERR_CODE_FAILED', action: 'operator' } })
    expect(steps).toEqual(['loaded', 'handed-over', 'rolling-back', 'returned', 'returned', 'ended'])
  })

  test('over its first commands gives the seat back at once', async () => {
    const plant = new FakePlant()
    plant.failsAfter = 'worker/0 new'

    const { report } = await upgrade(plant, 60_000)

    expect(plant.done.slice(1)).toEqual(['worker/0 new', 'worker/0 old', 'give up', 'ready'])
    expect(report.ok).toBe(false)
  })

  test('in a seat that had changed before gives all back', async () => {
    const plant = new FakePlant()
    plant.failsAfter = 'gateway/0 new'

    await upgrade(plant)

    expect(plant.done.slice(-5)).toEqual(['gateway/0 old', 'worker/1 old', 'worker/0 old', 'give up', 'ready'])
  })

  test('to rebuild an entity gives the seat back; one that could not be rebuilt before does not count', async () => {
    const plant = new FakePlant()
    plant.fenced = (code) => (code === 'new' ? 3 : 2)
    const fenced = new FakePlant()
    fenced.fenced = () => 2

    expect((await upgrade(plant)).report.failure?.code).toBe('ERR_CODE_REFUSES_EVENTS')
    expect((await upgrade(fenced)).report.ok).toBe(true)
  })

  test('is given up also when a seat cannot go back at once', async () => {
    const plant = new FakePlant()
    plant.failsAfter = 'worker/1 new'
    plant.refuses = 'worker/1 old'

    const { report } = await upgrade(plant)

    expect(plant.done.slice(-4)).toEqual(['worker/1 old', 'worker/0 old', 'give up', 'ready'])
    expect(report.seats.map(({ seat, code }) => `${seat} ${code}`)).toEqual(['worker/0 new', 'worker/1 new', 'worker/0 old'])
  })
})

describe('a worker with new code', () => {
  test('has proved itself once it has done enough, long before its time is over', async () => {
    const plant = new FakePlant()
    plant.commandsEachLook = 6_000

    expect((await upgrade(plant, 60_000)).report.ok).toBe(true)
  })
})

describe('an upgrade with room for one more worker', () => {
  const rotated = [
    ...['add 2', '1 from 0 to 2', '31 from 0 to 2', 'prove 2', 'worker/0 new'],
    ...['1 from 1 to 0', '31 from 1 to 0', 'prove 0', 'worker/1 new'],
    ...['1 from 2 to 1', '31 from 2 to 1', 'prove 1', 'remove 2'],
  ]

  function roomy(): FakePlant {
    const plant = new FakePlant()
    plant.hasRoom = true
    return plant
  }

  test('lets a worker stand in for the first, which gets the shards of the second when it is new, and so on', async () => {
    const plant = roomy()
    plant.pauses.push(10, 30, 5, 5, 10, 20, 5)

    const { report, steps } = await upgrade(plant)

    expect(plant.done).toEqual(['prepare', ...rotated, 'gateway/0 new', 'commit'])
    expect(plant.shardCounts).toEqual([
      [0, SHARDS],
      [1, SHARDS],
    ])
    expect(steps).toEqual(['loaded', 'handed-over', 'handed-over', 'handed-over', 'ended'])
    expect(report.seats.map(({ seat, shards, pauseMs, leftMs, entities }) => [seat, shards, pauseMs, leftMs, entities])).toEqual([
      ['worker/0', SHARDS, 30, 15, 2],
      ['worker/1', SHARDS, 10, 5, 2],
      ['gateway/0', 0, 20, 10, 0],
    ])
    expect(report).toMatchObject({ ok: true, shardPauseMs: { p50: 20, max: 30 }, doorPauseMs: 20 })
  })

  test.each([
    ['when the first worker does not get to work', 'add 2', 1],
    ['over its first shard', '1 from 0 to 2', 2],
    ['over the others', '31 from 0 to 2', 3],
    ['in a later worker', '31 from 1 to 0', 7],
    ['when all shards are where they belong', '31 from 2 to 1', 11],
  ])('to code that fails %s goes back, and leaves no worker too many', async (_, where, steps) => {
    const [refusing, failing] = [roomy(), roomy()]
    refusing.refuses = where
    failing.failsAfter = where

    for (const plant of where === 'add 2' ? [refusing] : [refusing, failing]) {
      const { report } = await upgrade(plant)

      expect(report).toMatchObject({ ok: false, runs: '1.0.0', failure: { code: 'ERR_CODE_FAILED' } })
      expect(plant.done.slice(1, 1 + steps)).toEqual(rotated.slice(0, steps))
      const changed = rotated
        .slice(0, steps)
        .filter((line) => line.startsWith('worker'))
        .toReversed()
      const back = [...changed, 'worker/2 new'].map((line) => line.replace('new', 'old'))
      expect(plant.done.slice(1 + steps)).toEqual([...back, 'remove 2', 'give up', 'ready'])
      expect(plant.shardCounts.map(([slot]) => slot)).toEqual([0, 1])
      expect(plant.shardCounts.reduce((sum, [, count]) => sum + count, 0)).toBe(2 * SHARDS)
    }
  })

  test('goes back from doors that fail without the worker that stood in', async () => {
    const plant = roomy()
    plant.refuses = 'gateway/0 new'

    await upgrade(plant)

    expect(plant.done.slice(-5)).toEqual(['gateway/0 old', 'worker/1 old', 'worker/0 old', 'give up', 'ready'])
  })
})

async function upgrade(plant: FakePlant, probationMs = 0) {
  const steps: UpgradeStep[] = []
  const report = await upgradeCode({ plant, clock: systemClock, probationMs, onStep: (step) => steps.push(step) })
  expect(steps.at(-1)).toEqual({ kind: 'ended', report })
  return { report, steps: steps.map(({ kind }) => kind) }
}

/** Does what it is asked at once, and notes it down. */
class FakePlant implements UpgradedPlant {
  readonly version = '1.0.0'
  readonly seats: readonly Seat<ChildRole>[] = [
    { role: 'worker', slot: 0 },
    { role: 'worker', slot: 1 },
    { role: 'gateway', slot: 0 },
  ]
  readonly done: string[] = []
  readonly shortened: number[] = []
  /** Of the hand-overs that come, in order; 20 behind them. */
  readonly pauses: number[] = []
  /** The hand-over that does not come about. */
  refuses = ''
  /** Behind that hand-over a process with the new code has ended. */
  failsAfter = ''
  commandsEachLook = 0
  /** For one more worker. */
  hasRoom = false
  #failure: Error | undefined
  #code: 'new' | 'old' = 'old'
  #commands = 0
  readonly #to: string
  readonly #shards = new Map([0, 1].map((slot) => [slot, Array.from({ length: SHARDS }, (_, shard) => 2 * shard + slot)]))

  constructor(to = '1.1.0') {
    this.#to = to
  }

  fenced: (code: 'new' | 'old') => number = () => 0
  load: UpgradedPlant['load'] = () => Promise.resolve(this.#to)
  prepare: UpgradedPlant['prepare'] = async () => void this.done.push('prepare')

  get standInSlot(): number | undefined {
    return this.hasRoom ? 2 : undefined
  }

  async addStandIn(slot: number): Promise<void> {
    this.done.push(`add ${slot}`)
    if (this.refuses === `add ${slot}`) throw failed()
    this.#shards.set(slot, [])
  }

  async removeStandIn(slot: number): Promise<void> {
    for (const shard of this.#shards.get(slot) ?? []) this.#shards.get(0)?.push(shard)
    this.#shards.delete(slot)
    this.done.push(`remove ${slot}`)
  }

  groupsOf(slot: number): readonly (readonly number[])[] {
    const [first, ...more] = this.#shards.get(slot) ?? []
    return first === undefined ? [] : [[first], more]
  }

  async moveShards(shards: readonly number[], from: number, to: number): Promise<MovedShards> {
    const what = `${shards.length} from ${from} to ${to}`
    this.done.push(what)
    if (what === this.refuses) throw failed()
    if (what === this.failsAfter) this.#failure = failed()
    const left = (this.#shards.get(from) ?? []).filter((shard) => !shards.includes(shard))
    this.#shards.set(from, left)
    this.#shards.get(to)?.push(...shards)
    const pauseMs = this.pauses.shift() ?? 20
    return { pauseMs, leftMs: pauseMs / 2, entities: 1, events: 2 }
  }

  /** Of all slots that have some. */
  get shardCounts(): readonly (readonly [number, number])[] {
    return [...this.#shards].map(([slot, shards]) => [slot, shards.length] as const)
  }

  async handOver(seat: Seat<ChildRole>, code: 'new' | 'old'): Promise<HandedOver> {
    const what = `${seatName(seat)} ${code}`
    this.done.push(what)
    if (what === this.refuses) throw failed()
    if (what === this.failsAfter) this.#failure = failed()
    this.#code = code
    const pauseMs = this.pauses.shift() ?? 20
    return { ...seat, pid: 1, term: 1, pauseMs, leftMs: pauseMs / 2, details: {} }
  }

  async shorten(slot: number): Promise<void> {
    this.shortened.push(slot)
  }

  async fencedCount(): Promise<number> {
    const count = this.fenced(this.#code)
    this.#code = 'old'
    return count
  }

  commandsDone(): number {
    return (this.#commands += this.commandsEachLook)
  }

  async prove(slot: number): Promise<void> {
    this.done.push(`prove ${slot}`)
  }

  failureOfNew(): Error | undefined {
    return this.#failure
  }

  async commit(): Promise<void> {
    this.done.push('commit')
  }

  giveUp(): void {
    this.done.push('give up')
  }

  async whenReady(): Promise<void> {
    this.done.push('ready')
  }
}

function failed(): MillraceError {
  return new MillraceError('ERR_CODE_FAILED', { fact: 'it failed', action: 'operator' })
}
