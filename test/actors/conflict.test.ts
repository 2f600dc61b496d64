import { describe, expect, test } from 'vitest'
import { batchOf, TestWriter } from '../journal/writer.js'
import { ForeignWriter } from './foreign-writer.js'
import { answerOf, TallyRig } from './tally-rig.js'

describe('a worker whose append builds on a row that is not the newest', () => {
  test('drops the shard, loads it again and takes its unreleased commands again in order', async () => {
    const plant = await TallyRig.open()
    const foreign = new ForeignWriter(plant.rig)
    const first = plant.add('tally/a', 1)
    const second = plant.add('tally/a', 2)
    const third = plant.add('tally/a', 3)
    foreign.interfere('tally/a')

    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([5000, 1, 2, 3])
    expect(answerOf(first)).toEqual({ kind: 'done', version: 2, reply: { chain: 5000 } })
    expect(answerOf(second)).toEqual({ kind: 'done', version: 3, reply: { chain: 5000 * 31 + 1 } })
    expect(answerOf(third)).toEqual({ kind: 'done', version: 4, reply: { chain: (5000 * 31 + 1) * 31 + 2 } })
    expect(plant.rig.reloads.length).toBe(1)
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('has the appends rejected that were built on the rejected one, although their versions fit', async () => {
    const plant = await TallyRig.open()
    const foreign = new ForeignWriter(plant.rig)
    plant.add('tally/a', 1)
    plant.add('tally/a', 2)
    plant.execute()
    foreign.interfere('tally/a')
    await plant.store()

    plant.rig.stepJournal()
    plant.rig.stepWorker()

    // The second expects version 1, which is stored: by somebody else.
    expect(plant.rig.worker().counters.rejections).toBe(2)
    expect(await plant.ids('tally/a')).toEqual([5000])
  })

  test('does not take an append for durable whose rejection and release come after it looked for rejections', async () => {
    const plant = await TallyRig.open()
    const foreign = new ForeignWriter(plant.rig)
    const sent = plant.add('tally/a', 1)
    plant.execute()
    foreign.interfere('tally/a')
    await plant.store()

    plant.rig.meanwhile = () => plant.rig.stepJournal()
    plant.rig.stepWorker()

    expect(plant.rig.meanwhile).toBeUndefined()
    plant.rig.stepDoor()
    expect(answerOf(sent)).toBeUndefined()
    await plant.settle()
    expect(answerOf(sent)).toEqual({ kind: 'done', version: 2, reply: { chain: 5000 } })
  })

  test('has other shards go on meanwhile', async () => {
    const plant = await TallyRig.open({ shardCount: 64 })
    const foreign = new ForeignWriter(plant.rig)
    const hit = plant.add('tally/a', 1)
    plant.execute()
    foreign.interfere('tally/a')
    await plant.store()
    plant.rig.stepJournal()
    plant.rig.stepWorker()

    const other = plant
      .clientOf('other')
      .send({ entity: 'tally/b', command: 'add', data: { id: 7, by: 2 }, at: undefined, answer: 'always' })
    plant.execute()

    expect(plant.rig.worker().isLoaded).toBe(false)
    expect(plant.rig.worker().counters.commands).toBe(2)
    expect(answerOf(hit)).toBeUndefined()
    await plant.settle()
    expect(answerOf(other)).toEqual({ kind: 'done', version: 1, reply: { chain: 0 } })
  })

  test('answers a duplicate from what the command came to in the end, not from the rejected try', async () => {
    const plant = await TallyRig.open({ gateways: 2 })
    const foreign = new ForeignWriter(plant.rig)
    const first = plant.add('tally/a', 1)
    plant.execute()
    // The source connects to the other gateway and sends the same command there.
    const settlements: unknown[] = []
    plant.rig.door(1).offer(first.command, 'always', (settlement) => settlements.push(settlement))
    plant.rig.stepDoor(1)
    plant.rig.stepWorker()
    expect(plant.rig.worker().counters.duplicates).toBe(1)

    foreign.interfere('tally/a')
    await plant.rig.until(() => plant.rig.isIdle)

    expect(await plant.ids('tally/a')).toEqual([5000, 1])
    expect(answerOf(first)).toEqual({ kind: 'done', version: 2, reply: { chain: 5000 } })
    expect(settlements).toEqual([answerOf(first)])
  })

  test('gives the answer of the second try, also where the first one had another kind of answer', async () => {
    const plant = await TallyRig.open()
    const foreign = new ForeignWriter(plant.rig)
    for (let id = 0; id < 4; id++) plant.add('tally/a', id)
    await plant.settle()
    // Four events so far: at five an odd number is refused, at six it is not.
    plant.add('tally/a', 10)
    const odd = plant.send('tally/a', 'add', { id: 11, by: 1 }, { answer: 'refused' })
    plant.execute()
    expect(plant.rig.worker().counters.refusals).toBe(1)

    foreign.interfere('tally/a')
    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([0, 1, 2, 3, 5000, 10, 11])
    expect(answerOf(odd)).toEqual({ kind: 'done', version: 0, reply: undefined })
  })

  test('keeps no snapshot of the state that never was', async () => {
    const plant = await TallyRig.open({ limits: { snapshotEvery: 1 } })
    const foreign = new ForeignWriter(plant.rig)
    plant.add('tally/a', 1)
    plant.add('tally/a', 2)
    foreign.interfere('tally/a')

    await plant.settle()

    const versions = plant.rig.journal.stored.snapshots.get('tally/a')?.map(({ version }) => version)
    expect(versions).toEqual([3, 2])
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('ignores rejections that the next journal repeats', async () => {
    const plant = await TallyRig.open({ answerCapacityBytes: 256 })
    const foreign = new ForeignWriter(plant.rig)
    const sent = Array.from({ length: 16 }, (_, id) => plant.add('tally/a', id, { answer: 'refused' }))
    plant.execute()
    foreign.interfere('tally/a')
    await plant.store()
    // Its channel has no room for all rejections, so nothing is released; the worker takes those that are there.
    plant.rig.stepJournal()
    plant.rig.stepWorker()
    const taken = plant.rig.worker().counters.rejections
    expect(taken).toBeGreaterThan(0)
    expect(taken).toBeLessThan(16)

    plant.rig.killJournal()
    plant.rig.startJournal()
    await plant.settle()

    expect(plant.rig.worker().counters.rejections).toBe(16)
    expect(await plant.ids('tally/a')).toEqual([5000, ...sent.keys()])
    expect(sent.every((one) => answerOf(one)?.kind === 'done')).toBe(true)
  })

  test('settles although rejections find no room for a while', async () => {
    const plant = await TallyRig.open({ answerCapacityBytes: 256 })
    const foreign = new ForeignWriter(plant.rig)
    const sent = Array.from({ length: 16 }, (_, id) => plant.add('tally/a', id, { answer: 'refused' }))
    plant.execute()
    foreign.interfere('tally/a')
    await plant.store()

    plant.rig.exhaust('journal')

    expect(plant.rig.server.isIdle).toBe(false)
    await plant.settle()
    expect((await plant.ids('tally/a')).length).toBe(17)
    expect(sent.every((one) => answerOf(one)?.kind === 'done')).toBe(true)
  })
})

describe('a worker that the journal fences', () => {
  test('gives up, since its successor has taken over', async () => {
    const plant = await TallyRig.open()
    plant.add('tally/a', 1)
    plant.execute()
    // A later term of this slot is in the log.
    const later = new TestWriter(plant.rig.journal.eventTypes, { term: 1000, shardCount: plant.rig.journal.shardCount })
    const frame = later.append({ entity: 'tally/b', rows: [{ event: 'Added', data: { id: 1, by: 1 } }] })
    plant.rig.journal.foreign.push(() => batchOf([frame], 0))

    await expect(plant.settle()).rejects.toThrow(/later term of this worker slot term=/)

    expect(await plant.ids('tally/a')).toEqual([])
    expect(plant.rig.worker().hasWork()).toBe(false)
    expect(plant.rig.worker().doWork()).toBe(0)
    expect(plant.rig.failures.length).toBe(1)
  })
})
