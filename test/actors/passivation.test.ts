import { describe, expect, test } from 'vitest'
import type { Slot } from '#actors/slot.js'
import { answerOf, TallyRig } from './tally-rig.js'
import { Tally, type TallyState } from './tally.js'

const STAYS = { ...Tally, name: 'stays', passivate: 'never' as const }
const GOES = { ...Tally, name: 'goes', passivate: { afterMs: 50 } }

describe('a worker with types that say when they leave memory', () => {
  test('keeps those that never do, also above the limit, and lets the others go by their own time', async () => {
    const plant = await TallyRig.open({ entities: [Tally, STAYS, GOES], limits: { liveEntitiesMax: 4, passivateAfterMs: 100_000 } })
    const { rig } = plant
    for (const type of ['stays', 'goes', 'tally']) {
      for (let name = 0; name < 5; name++) plant.add(`${type}/${name}`, 1)
    }
    await plant.settle()
    rig.exhaust('worker')

    const { counters } = rig.worker()
    expect(counters.liveEntities).toBe(5)
    expect(counters.passivations).toBe(10)
    plant.add('goes/1', 2)
    plant.add('tally/1', 2)
    await plant.settle()
    rig.exhaust('worker')
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })

  test('looks at those of a short time by themselves', async () => {
    const plant = await TallyRig.open({ entities: [Tally, GOES], limits: { passivateAfterMs: 100_000 } })
    const { rig } = plant
    for (let name = 0; name < 3; name++) {
      plant.add(`goes/${name}`, 1)
      plant.add(`tally/${name}`, 1)
    }
    await plant.settle()

    for (let step = 0; step < 500; step++) {
      rig.clock.advance(1)
      rig.stepWorker()
    }

    expect(rig.worker().counters.liveEntities).toBe(3)
    expect(rig.worker().counters.passivations).toBe(3)
  })
})

describe('a worker with more entities than may live', () => {
  test('keeps to the limit and brings the others back with state and outcomes', async () => {
    const plant = await TallyRig.open({ limits: { liveEntitiesMax: 3 } })
    for (let id = 0; id < 60; id++) plant.add(`tally/t${id % 20}`, id)

    await plant.settle()
    plant.rig.exhaust('worker')

    expect(plant.rig.worker().counters.liveEntities).toBe(3)
    expect(plant.rig.worker().counters.knownEntities).toBe(20)
    expect(await plant.ids('tally/t7')).toEqual([7, 27, 47])
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('keeps to the limit when a thousand new ones come in one turn', async () => {
    const plant = await TallyRig.open({
      capacityBytes: 1 << 20,
      answerCapacityBytes: 1 << 20,
      limits: { liveEntitiesMax: 10, commandsPerTurn: 1024 },
    })
    for (let id = 0; id < 1000; id++) plant.add(`tally/t${id}`, id, { answer: 'refused' })
    plant.execute()
    expect(plant.rig.worker().counters.liveEntities).toBe(1000)
    await plant.store()
    plant.rig.stepJournal()

    plant.rig.exhaust('worker')

    expect(plant.rig.worker().counters.liveEntities).toBe(10)
  })

  test('evicts nothing that is not durable, and does not spin for it', async () => {
    const plant = await TallyRig.open({ limits: { liveEntitiesMax: 1 } })
    plant.add('tally/a', 1)
    plant.add('tally/b', 2)
    plant.execute()

    plant.rig.exhaust('worker')

    expect(plant.rig.worker().counters.liveEntities).toBe(2)
    expect(plant.rig.worker().counters.passivations).toBe(0)
    await plant.settle()
    plant.rig.exhaust('worker')
    expect(plant.rig.worker().counters.liveEntities).toBe(1)
  })

  test('goes on with commands for a passive one in order', async () => {
    const plant = await TallyRig.open({ limits: { liveEntitiesMax: 1 } })
    plant.add('tally/a', 1)
    await plant.settle()
    plant.add('tally/b', 2)
    await plant.settle()

    const sent = [3, 4, 5].map((id) => plant.add('tally/a', id))
    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1, 3, 4, 5])
    expect(sent.map((one) => answerOf(one))).toMatchObject([{ version: 2 }, { version: 3 }, { version: 4 }])
  })

  test('hashes all states although they come and go meanwhile', async () => {
    const plant = await TallyRig.open({ limits: { liveEntitiesMax: 2 } })
    for (let id = 0; id < 30; id++) plant.add(`tally/t${id}`, id)
    await plant.settle()

    const [first, second] = [await plant.rig.liveHash(), await plant.rig.liveHash()]

    expect(first).toBe(await plant.rig.replayedHash())
    expect(second).toBe(first)
    expect(plant.rig.worker().counters.activations).toBeGreaterThan(50)
  })

  test('reads passive ones, loading them', async () => {
    const plant = await TallyRig.open({ limits: { liveEntitiesMax: 1 } })
    plant.add('tally/a', 1)
    await plant.settle()
    plant.add('tally/b', 2)
    await plant.settle()
    let told: number | undefined

    void plant.rig
      .worker()
      .read('tally/a', ({ state }: Slot) => (state as TallyState).chain)
      ?.then((chain) => (told = chain))

    await plant.rig.until(() => told !== undefined)
    expect(told).toBe(1)
    expect(plant.rig.worker().read('tally/none', () => 0)).toBeUndefined()
  })
})

describe('an entity that nobody commands', () => {
  test('becomes passive after the idle time, with a snapshot, and costs no replay when it comes back', async () => {
    const plant = await TallyRig.open({ limits: { passivateAfterMs: 1000 } })
    plant.add('tally/a', 1)
    await plant.settle()
    plant.rig.clock.advance(900)
    plant.rig.stepWorker()
    expect(plant.rig.worker().counters.liveEntities).toBe(1)

    for (let turn = 0; turn < 10; turn++) {
      plant.rig.clock.advance(100)
      plant.rig.stepWorker()
    }
    expect(plant.rig.worker().counters.liveEntities).toBe(0)
    await plant.settle()

    expect(plant.rig.journal.stored.snapshots.get('tally/a')).toMatchObject([{ version: 1 }])
    plant.add('tally/a', 2)
    await plant.settle()
    expect(await plant.ids('tally/a')).toEqual([1, 2])
  })

  test('does not come into the list of the live ones twice by being loaded again and again', async () => {
    const plant = await TallyRig.open({ limits: { passivateAfterMs: 1000 } })
    for (let id = 0; id < 50; id++) plant.send('tally/a', 'break', { id })
    await plant.settle()
    expect(plant.rig.worker().counters.activations).toBe(50)

    for (let turn = 0; turn < 30; turn++) {
      plant.rig.clock.advance(100)
      plant.rig.stepWorker()
    }

    expect(plant.rig.worker().counters).toMatchObject({ liveEntities: 0, passivations: 1 })
  })
})
