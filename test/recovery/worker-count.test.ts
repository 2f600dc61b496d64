import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import type { MovedShards } from '#recovery/shard-mover.js'
import { changeWorkers, type CountedPlant, type CountReport, type CountStep } from '#recovery/worker-count.js'
import { Placement } from '#shards/placement.js'
import type { ShardMove } from '#shards/plan-moves.js'

const SHARDS = 12

describe('a change of the number of workers', () => {
  test('adds one, and moves shards to it until all have as many', async () => {
    const plant = new FakePlant(2)
    plant.pauses.push(10, 20, 30, 40)

    const { report, steps } = await change(plant, 3)

    expect(plant.done).toEqual(['add 2', 'shorten 0', '10 > 2', 'shorten 1', '11 > 2', '8 > 2', '9 > 2', 'keep 3'])
    expect(steps.map(({ kind }) => kind)).toEqual(['added', 'planned', 'moved', 'moved', 'moved', 'moved', 'ended'])
    expect(steps[2]).toMatchObject({ shard: 10, from: 'worker/0', to: 'worker/2', done: 1, moves: 4 })
    expect(report).toMatchObject({ ok: true, from: 2, to: 3, workers: 3, moves: 4, repeated: 0, failed: 0, failure: null })
    expect(report.pauseMs).toMatchObject({ p50: 25, max: 40 })
    expect(plant.counts()).toEqual([4, 4, 4])
  })

  test('moves all shards away from the last ones, and removes each as soon as it has none', async () => {
    const plant = new FakePlant(4)

    const { report } = await change(plant, 2)

    expect(plant.done.filter((line) => /remove|keep/.test(line))).toEqual(['remove 3', 'remove 2', 'keep 2'])
    expect(plant.done.indexOf('remove 3')).toBeLessThan(plant.done.indexOf('shorten 2'))
    expect(report).toMatchObject({ ok: true, from: 4, to: 2, workers: 2, moves: 6 })
    expect(plant.counts()).toEqual([6, 6])
  })

  test('to as many as there are does nothing, but for shares that are uneven', async () => {
    const even = new FakePlant(3)
    const uneven = new FakePlant(2)
    await uneven.move({ shard: 0, from: 0, to: 1 })
    await uneven.move({ shard: 2, from: 0, to: 1 })

    expect((await change(even, 3)).report).toMatchObject({ ok: true, workers: 3, moves: 0, pauseMs: { p50: 0, p99: 0, max: 0 } })
    expect((await change(uneven, 2)).report).toMatchObject({ ok: true, moves: 2 })
    expect(uneven.counts()).toEqual([6, 6])
  })

  test('tries a move again that was given up, once everybody works', async () => {
    const plant = new FakePlant(2)
    plant.failures.set(11, 3)

    const { report, steps } = await change(plant, 3)

    expect(report).toMatchObject({ ok: true, moves: 4, repeated: 3 })
    expect(steps.filter(({ kind }) => kind === 'postponed')).toMatchObject([{ shard: 11 }, { shard: 11 }, { shard: 11 }])
    expect(plant.readyAsked).toBe(4 + 3)
  })
})

describe('a change that fails', () => {
  test('because a new worker does not get to work leaves nothing behind', async () => {
    const plant = new FakePlant(2)
    plant.failsAt = 'add 3'

    await expect(change(plant, 4)).rejects.toMatchObject({ code: 'ERR_ON_PURPOSE' })

    expect(plant.slots()).toEqual([0, 1])
    expect(plant.done).toEqual(['add 2', 'add 3', 'remove 3', 'remove 2'])
    expect(plant.counts()).toEqual([6, 6])
  })

  test('over a shard that cannot move keeps the workers that have some, and says so', async () => {
    const plant = new FakePlant(2)
    plant.failures.set(11, Number.POSITIVE_INFINITY)

    const { report, steps } = await change(plant, 4)

    expect(plant.done.filter((line) => /remove|keep/.test(line))).toEqual(['remove 3', 'keep 3'])
    expect(report).toMatchObject({ ok: false, from: 2, to: 4, workers: 3, moves: 1, failed: 5, failure: { code: 'ERR_ON_PURPOSE' } })
    expect(steps.at(-1)).toEqual({ kind: 'ended', report })
  })

  test('keeps a worker that was to go and could not give all of its shards away', async () => {
    const plant = new FakePlant(3)
    plant.failures.set(2, Number.POSITIVE_INFINITY)

    const { report } = await change(plant, 1)

    expect(report).toMatchObject({ ok: false, to: 1, workers: 3, moves: 3, failed: 5 })
    expect(plant.done.at(-1)).toBe('keep 3')
    expect((await change(recovered(plant), 1)).report).toMatchObject({ ok: true, workers: 1, moves: 5 })
  })

  test('with the plant ends with it', async () => {
    const plant = new FakePlant(2)
    plant.isStopping = true

    await expect(change(plant, 3)).rejects.toMatchObject({ code: 'ERR_PLANT_STOPPING' })
    expect(plant.done).not.toContain('keep 3')
  })

  test('when the plant does not get ready is over', async () => {
    const plant = new FakePlant(2)
    plant.failsAt = 'ready'

    expect((await change(plant, 3)).report).toMatchObject({ ok: false, workers: 2, failed: 4, failure: { code: 'ERR_ON_PURPOSE' } })
    expect(plant.counts()).toEqual([6, 6])
  })
})

async function change(plant: FakePlant, workers: number): Promise<{ report: CountReport; steps: CountStep[] }> {
  const steps: CountStep[] = []
  const clock = new FakeClock()
  let isOver = false
  const end = () => (isOver = true)
  const changing = changeWorkers({ plant, clock, workers, onStep: (step) => steps.push(step) })
  changing.then(end, end)
  while (!isOver) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(1000)
  }
  return { report: await changing, steps }
}

function recovered(plant: FakePlant): FakePlant {
  plant.failures.clear()
  return plant
}

/** Does what it is asked at once, and notes it down. */
class FakePlant implements CountedPlant {
  readonly placement: Placement
  readonly done: string[] = []
  /** Of the moves that come, in order; 1 behind them. */
  readonly pauses: number[] = []
  /** How often moves of a shard are still to be given up. */
  readonly failures = new Map<number, number>()
  failsAt = ''
  isStopping = false
  readyAsked = 0
  #slots: number[]

  constructor(workers: number) {
    this.placement = Placement.even(SHARDS, workers)
    this.#slots = Array.from({ length: workers }, (_, slot) => slot)
  }

  counts(): number[] {
    return this.#slots.map((slot) => this.placement.shardsOf(slot).length)
  }

  slots(): readonly number[] {
    return [...this.#slots]
  }

  async add(slot: number): Promise<void> {
    this.#slots.push(slot)
    this.#do(`add ${slot}`)
  }

  async remove(slot: number): Promise<void> {
    expect(this.placement.shardsOf(slot)).toEqual([])
    this.#slots = this.#slots.filter((one) => one !== slot)
    this.#do(`remove ${slot}`)
  }

  async shorten(slot: number): Promise<void> {
    this.#do(`shorten ${slot}`)
  }

  async move({ shard, from, to }: ShardMove): Promise<MovedShards> {
    const left = this.failures.get(shard) ?? 0
    this.failures.set(shard, left - 1)
    if (left > 0) throw onPurpose()
    expect(this.placement.slotOf(shard)).toBe(from)
    this.#do(`${shard} > ${to}`)
    this.placement.hold([shard])
    this.placement.move([shard], to)
    this.placement.free([shard])
    return { pauseMs: this.pauses.shift() ?? 1, leftMs: 0, entities: 3, events: 30 }
  }

  async whenReady(): Promise<void> {
    this.readyAsked++
    if (this.isStopping) throw new MillraceError('ERR_PLANT_STOPPING', { fact: 'the plant stops', action: 'retry' })
    if (this.failsAt === 'ready') throw onPurpose()
  }

  keep(workers: number): void {
    this.#do(`keep ${workers}`)
  }

  #do(what: string): void {
    this.done.push(what)
    if (what === this.failsAt) throw onPurpose()
  }
}

function onPurpose(): MillraceError {
  return new MillraceError('ERR_ON_PURPOSE', { fact: 'it fails', action: 'retry' })
}
