import { describe, expect, test } from 'vitest'
import { defineEntity, f64, i64, text } from '#entity/index.js'
import { ForeignWriter } from './foreign-writer.js'
import { PlantRig } from './plant-rig.js'
import { Tally } from './tally.js'
import { answerOf, TallyRig } from './tally-rig.js'

const Other = defineEntity({
  name: 'other',
  events: { Done: { id: i64() } },
  commands: { act: { id: i64() } },
  initial: () => ({ count: 0 }),
  decide: {
    act(_, { id }, { emit }) {
      emit.Done({ id })
    },
  },
  apply: {
    Done(state) {
      state.count++
    },
  },
})

/** Tally with one more field in an event: snapshots made before cannot be used. */
const LaterTally = defineEntity({
  name: 'tally',
  events: { Added: { id: i64(), by: i64() }, Noted: { id: i64(), note: text() }, Broke: { id: i64() }, Weighed: { weight: f64() } },
  commands: { weigh: { weight: f64() } },
  initial: () => ({ count: 0, weight: 0 }),
  decide: {
    weigh(state, command, { emit }) {
      emit.Weighed(command)
      return { count: state.count }
    },
  },
  apply: {
    Added(state) {
      state.count++
    },
    Noted(state) {
      state.count++
    },
    Broke() {},
    Weighed(state, { weight }) {
      state.weight = weight
    },
  },
})

/** Holds what is not plain data as soon as it has an event. */
const Odd = defineEntity({
  name: 'odd',
  events: { Done: { id: i64() } },
  commands: { act: { id: i64() } },
  initial: (): { count: number; thing: unknown } => ({ count: 0, thing: undefined }),
  decide: {
    act(_, { id }, { emit }) {
      emit.Done({ id })
    },
  },
  apply: {
    Done(state) {
      state.count++
      state.thing = new URL('http://localhost')
    },
  },
})

async function damaged(): Promise<TallyRig> {
  const plant = await TallyRig.open({ limits: { liveEntitiesMax: 1 } })
  plant.add('tally/a', 1)
  plant.add('tally/b', 2)
  await plant.settle()
  plant.rig.journal.stored.snapshots.clear()
  plant.rig.journal.isDamaged = true
  return plant
}

describe('a load that fails', () => {
  test('ends the worker with the reason when it is of shards', async () => {
    const plant = await damaged()
    plant.rig.killWorker()
    plant.rig.startWorker()

    await expect(plant.settle()).rejects.toThrow(
      /the journal could not read what a worker needs message="a block is damaged segment=memory block=0": run millrace log verify/,
    )

    expect(plant.rig.worker().isLoaded).toBe(false)
    expect(plant.rig.worker().doWork()).toBe(0)
  })

  test('ends the worker with the reason when it is of one entity', async () => {
    const plant = await damaged()
    plant.add('tally/a', 3)
    plant.add('tally/b', 4)

    await expect(plant.settle()).rejects.toThrow(/could not read what a worker needs/)

    expect(plant.rig.failures.length).toBe(1)
  })
})

describe('an event that the code cannot apply any more', () => {
  /** Tally, but for events of one id, or of all of them. */
  const strict = (isWrong: (id: number) => boolean) => ({
    ...Tally,
    apply: {
      ...Tally.apply,
      Added(state: never, event: { id: number; by: number }) {
        if (isWrong(event.id)) throw new Error('no longer')
        ;(Tally.apply as { Added: (state: never, event: object) => void }).Added(state, event)
      },
    },
  })

  /** From a source of its own, which sends nothing else to the entity. */
  const late = (plant: TallyRig, entity: 'tally/a' | 'tally/b', id: number) =>
    plant.clientOf(`late-${id}`).send({ entity, command: 'add', data: { id, by: 2 }, at: undefined, answer: 'always' })

  test('fences its entity, for which nothing is stored until better code comes, and no other', async () => {
    const before = await TallyRig.open()
    for (const [entity, id] of [
      ['tally/a', 1],
      ['tally/b', 2],
      ['tally/a', 3],
    ] as const)
      before.add(entity, id)
    await before.settle()
    const plant = await TallyRig.open({ entities: [strict((id) => id === 1)], stored: before.rig.journal.stored })
    const [refused, done] = [late(plant, 'tally/a', 10), late(plant, 'tally/b', 11)]
    await plant.settle()

    expect(plant.rig.worker().fenced).toEqual([{ entity: 'tally/a', version: 1, code: 'APPLY_FAILED' }])
    expect(answerOf(refused)).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/^APPLY_FAILED: a stored event could not be applied, .*no longer.* entity=tally\/a version=1/),
    })
    expect(answerOf(done)).toMatchObject({ kind: 'done', version: 2 })
    await expect(plant.rig.worker().read('tally/a', ({ state }) => state)).rejects.toThrow(/could not be applied/)
    expect(plant.rig.journal.head('tally/a')?.version).toBe(2)
    const mended = await TallyRig.open({ stored: plant.rig.journal.stored })
    const again = late(mended, 'tally/a', 10)
    await mended.settle()
    expect(answerOf(again)).toMatchObject({ kind: 'done', version: 3 })
  })

  test('of more than a hundred entities ends the worker, and their commands wait for better code', async () => {
    const before = await TallyRig.open()
    for (let id = 0; id < 101; id++) before.add(`tally/${id}`, id)
    await before.settle()

    const opened = TallyRig.open({ entities: [strict(() => true)], stored: before.rig.journal.stored })

    await expect(opened).rejects.toThrow(/a stored event could not be applied, .*no longer/)
  })
})

describe('a plant that changed since the log was written', () => {
  test('leaves entities of types that it does not have alone', async () => {
    const before = await PlantRig.open({ entities: [Tally, Other] })
    const settlements: unknown[] = []
    const command = { source: 's', sequence: 1, command: 'act', data: { id: 1 }, at: undefined }
    before.door().offer({ ...command, entity: 'other/o' }, 'always', (settlement) => settlements.push(settlement))
    before.door().offer({ ...command, entity: 'tally/a', command: 'look' }, 'always', (settlement) => settlements.push(settlement))
    await before.until(() => before.isIdle)

    const plant = await TallyRig.open({ stored: before.journal.stored })
    plant.add('tally/a', 2)
    await plant.settle()

    expect(plant.rig.worker().counters.knownEntities).toBe(1)
    expect(plant.rig.door().offer({ ...command, entity: 'other/o' }, 'always', () => {})).toEqual({
      rejected: 'there is no entity type other; there are tally',
    })
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('folds from the first row what it has no usable snapshot of', async () => {
    const before = await TallyRig.open({ limits: { snapshotEvery: 1 } })
    for (const id of [1, 2, 3]) before.add('tally/a', id)
    await before.settle()
    expect(before.rig.journal.stored.snapshots.get('tally/a')?.length).toBeGreaterThan(0)

    const rig = await PlantRig.open({ entities: [LaterTally], stored: before.rig.journal.stored })
    await rig.until(() => rig.isIdle)
    const settlements: unknown[] = []
    const command = { source: 's', sequence: 1, entity: 'tally/a', command: 'weigh', data: { weight: 4 }, at: undefined } as const
    rig.door().offer(command, 'always', (settlement) => settlements.push(settlement))
    await rig.until(() => rig.isIdle)

    expect(settlements).toEqual([{ kind: 'done', version: 4, reply: { count: 3 } }])
    expect(rig.reloads.map(({ events, snapshots }) => ({ events, snapshots }))).toEqual([{ events: 3, snapshots: 0 }])
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })
})

describe('a shard that is loading', () => {
  test('has commands and readers wait, also for entities that it turns out to leave passive', async () => {
    const plant = await TallyRig.open({ limits: { liveEntitiesMax: 1 }, shardCount: 1 })
    const foreign = new ForeignWriter(plant.rig)
    for (const id of [1, 2, 3]) plant.add(`tally/t${id}`, id)
    await plant.settle()
    foreign.interfere('tally/t1')
    plant.add('tally/t1', 4)
    await plant.rig.until(() => !plant.rig.worker().isLoaded)

    const told: number[] = []
    for (const id of [1, 2, 3]) void plant.rig.worker().read(`tally/t${id}`, ({ version }) => told.push(version))
    const sent = plant.add('tally/t2', 5)
    await plant.settle()
    await plant.rig.until(() => told.length === 3)

    expect(answerOf(sent)).toMatchObject({ kind: 'done', version: 2 })
    expect(await plant.ids('tally/t1')).toEqual([1, 5000, 4])
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })
})

describe('an entity whose state is not plain data', () => {
  test('has no snapshots, and neither it nor its plant stops for that', async () => {
    const rig = await PlantRig.open({ entities: [Odd], limits: { snapshotEvery: 2, liveEntitiesMax: 1 } })
    const settlements: { kind: string }[] = []
    for (let sequence = 1; sequence <= 8; sequence++) {
      const entity = `odd/${sequence % 2}` as const
      rig
        .door()
        .offer({ source: 's', sequence, entity, command: 'act', data: { id: 1 }, at: undefined }, 'always', (settlement) =>
          settlements.push(settlement),
        )
    }

    await rig.until(() => rig.isIdle)

    expect(settlements.map(({ kind }) => kind)).toEqual(Array.from({ length: 8 }, () => 'done'))
    expect(rig.worker().counters.snapshots).toBe(0)
    expect(rig.worker().counters.snapshotsFailed).toBeGreaterThan(0)
    await expect(rig.liveHash()).rejects.toThrow(/state holds an instance of URL/)
  })
})
