import { describe, expect, test } from 'vitest'
import { ForeignWriter } from './foreign-writer.js'
import { answerOf, TallyRig } from './tally-rig.js'

describe('a successor of a worker', () => {
  test('reads on from what was released, not from what was read', async () => {
    const plant = await TallyRig.open()
    const sent = [1, 2, 3].map((id) => plant.add('tally/a', id))
    plant.execute()
    plant.rig.killWorker()
    // Its appends were published, and nothing of them is stored.
    plant.rig.startWorker()

    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1, 2, 3])
    expect(sent.map((one) => answerOf(one)?.kind)).toEqual(['done', 'done', 'done'])
  })

  test('loads its shards behind what its predecessor had published', async () => {
    const plant = await TallyRig.open()
    plant.add('tally/a', 1)
    plant.execute()
    plant.rig.killWorker()
    plant.rig.startWorker()
    plant.rig.stepWorker()
    await plant.rig.until(() => plant.rig.worker().isLoaded)

    expect(await plant.ids('tally/a')).toEqual([1])
    expect(plant.rig.reloads[0]).toMatchObject({ entities: 1, events: 1 })
    await plant.settle()
    expect(plant.rig.worker().counters).toMatchObject({ duplicates: 1, commands: 0 })
  })

  test('executes what its predecessor had not published', async () => {
    const plant = await TallyRig.open()
    plant.add('tally/a', 1)
    plant.rig.stepDoor()
    plant.rig.killWorker()
    plant.rig.startWorker()

    await plant.settle()

    expect(plant.rig.worker().counters).toMatchObject({ duplicates: 0, commands: 1 })
  })

  test('does not take the end of a load that its predecessor had asked for as its own', async () => {
    const plant = await TallyRig.open()
    for (let id = 0; id < 20; id++) {
      plant.add(`tally/t${id}`, id)
      await plant.settle()
    }
    plant.rig.killWorker()
    plant.rig.startWorker()
    plant.rig.stepWorker()
    // All of the load lies in the bulk channel; the predecessor takes its beginning and dies.
    for (let round = 0; round < 60; round++) {
      plant.rig.stepJournal()
      await plant.rig.breathe()
    }
    expect(plant.rig.server.isIdle).toBe(true)
    plant.rig.stepWorker()
    expect(plant.rig.worker().isLoaded).toBe(false)
    plant.rig.killWorker()
    plant.rig.startWorker()

    plant.rig.exhaust('worker')
    expect(plant.rig.worker().isLoaded).toBe(false)
    await plant.rig.until(() => plant.rig.worker().isLoaded)

    expect(plant.rig.reloads).toMatchObject([{ entities: 20, events: 20 }])
  })

  test('ignores the rejections that its predecessor had coming', async () => {
    const plant = await TallyRig.open()
    const foreign = new ForeignWriter(plant.rig)
    plant.add('tally/a', 1)
    plant.execute()
    foreign.interfere('tally/a')
    await plant.store()
    plant.rig.stepJournal()
    plant.rig.killWorker()
    plant.rig.startWorker()

    await plant.settle()

    expect(plant.rig.worker().counters.rejections).toBe(0)
    expect(await plant.ids('tally/a')).toEqual([5000, 1])
  })
})

describe('a successor of a journal', () => {
  test('stores nothing twice that was durable and not released', async () => {
    const plant = await TallyRig.open()
    const sent = [1, 2, 3].map((id) => plant.add('tally/a', id))
    plant.execute()
    await plant.store()
    plant.rig.killJournal()
    plant.rig.startJournal()

    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1, 2, 3])
    expect(plant.rig.worker().counters.rejections).toBe(0)
    expect(sent.map((one) => answerOf(one)?.kind)).toEqual(['done', 'done', 'done'])
  })

  test('keeps no snapshot that would hide rows stored before it came', async () => {
    const plant = await TallyRig.open({ limits: { snapshotEvery: 1 } })
    for (const id of [1, 2, 3]) plant.add('tally/a', id)
    plant.execute()
    // The rows are durable; the snapshots that stood between them are not kept yet.
    await plant.store()
    plant.rig.killJournal()
    plant.rig.startJournal()
    await plant.settle()

    const snapshots = plant.rig.journal.stored.snapshots.get('tally/a')
    expect(snapshots?.map(({ version }) => version)).toEqual([3])
    plant.rig.killWorker()
    plant.rig.startWorker()
    await plant.settle()
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('is asked again for the load that died with its predecessor', async () => {
    const plant = await TallyRig.open()
    for (let id = 0; id < 10; id++) plant.add(`tally/t${id}`, id)
    await plant.settle()
    plant.rig.killWorker()
    plant.rig.startWorker()
    plant.rig.journal.scansLeft = 0
    await plant.rig.until(() => plant.rig.worker().loadingCount === 10)
    expect(plant.rig.worker().isLoaded).toBe(false)
    plant.rig.killJournal()
    plant.rig.startJournal()

    await plant.rig.until(() => plant.rig.worker().isLoaded)

    expect(plant.rig.reloads.at(-1)).toMatchObject({ entities: 10, events: 10 })
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('answers a load that its predecessor had not taken without being asked again', async () => {
    const plant = await TallyRig.open()
    plant.add('tally/a', 1)
    await plant.settle()
    plant.rig.killWorker()
    plant.rig.startWorker()
    plant.rig.killJournal()
    plant.rig.stepWorker()
    plant.rig.startJournal()
    plant.rig.stepWorker()

    await plant.rig.until(() => plant.rig.worker().isLoaded)

    expect(plant.rig.reloads.length).toBe(1)
    await plant.rig.until(() => plant.rig.isIdle)
  })
})
