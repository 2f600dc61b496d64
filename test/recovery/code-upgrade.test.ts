import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import type { HandedOver } from '#processes/hand-over.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import { type UpgradedPlant, type UpgradeStep, upgradeCode } from '#recovery/code-upgrade.js'

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
  #failure: Error | undefined
  #code: 'new' | 'old' = 'old'
  #commands = 0
  readonly #to: string

  constructor(to = '1.1.0') {
    this.#to = to
  }

  fenced: (code: 'new' | 'old') => number = () => 0
  load: UpgradedPlant['load'] = () => Promise.resolve(this.#to)
  prepare: UpgradedPlant['prepare'] = async () => void this.done.push('prepare')

  shardCount(): number {
    return SHARDS
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
