import { describe, expect, test } from 'vitest'
import { answerOf, TallyRig } from './tally-rig.js'

describe('a command that is sent again', () => {
  test('gets the first answer and changes nothing', async () => {
    const plant = await TallyRig.open()
    const first = plant.add('tally/a', 1)
    const refused = plant.send('tally/a', 'refuse', { id: 2 })
    const failed = plant.send('tally/a', 'fail', { id: 3 })
    plant.add('tally/a', 4)
    await plant.settle()
    const before = plant.rig.journal.endPosition

    for (const sent of [first, refused, failed]) plant.client.sendAgain(sent)
    await plant.settle()

    for (const sent of [first, refused, failed]) expect(sent.settlements[1]).toEqual(sent.settlements[0])
    expect(plant.rig.journal.endPosition).toBe(before)
  })

  test('gets the first answer from whoever the entity lives with by now', async () => {
    const plant = await TallyRig.open()
    const first = plant.add('tally/a', 1)
    await plant.settle()
    plant.rig.killWorker()
    plant.rig.startWorker()

    plant.client.sendAgain(first)
    await plant.settle()

    expect(first.settlements[1]).toEqual(first.settlements[0])
    expect(plant.rig.journal.endPosition).toBe(1)
  })

  test('gets the first answer from a passive entity, whose snapshot has it', async () => {
    const plant = await TallyRig.open({ limits: { liveEntitiesMax: 1 } })
    const first = plant.add('tally/a', 1)
    await plant.settle()
    plant.add('tally/b', 2)
    await plant.settle()
    expect(plant.rig.worker().counters.passivations).toBeGreaterThan(0)
    expect(plant.rig.journal.stored.snapshots.has('tally/a')).toBe(true)

    plant.client.sendAgain(first)
    await plant.settle()

    expect(first.settlements[1]).toEqual(first.settlements[0])
    expect(plant.rig.journal.endPosition).toBe(2)
  })

  test('is known to be done when its answer is forgotten', async () => {
    const plant = await TallyRig.open()
    const first = plant.add('tally/a', 0, { answer: 'refused' })
    for (let id = 1; id <= 16; id++) plant.add('tally/a', id)
    await plant.settle()

    plant.client.sendAgain(first)
    await plant.settle()

    expect(first.settlements).toEqual([{ kind: 'done', version: 0, reply: undefined }, { kind: 'forgotten' }])
    expect(plant.rig.journal.endPosition).toBe(17)
  })

  test('gets its answer after sixteen others were in flight with it', async () => {
    const plant = await TallyRig.open()
    const sent = Array.from({ length: 16 }, (_, id) => plant.add('tally/a', id))
    plant.execute()
    // The answers were written, and everybody who was to hear them died.
    await plant.store()
    plant.rig.stepJournal()
    plant.rig.stepWorker()
    plant.rig.killGateway()
    plant.rig.startGateway()
    plant.client.connect()
    plant.client.pump()

    await plant.settle()

    expect(sent.map((one) => answerOf(one))).toEqual(
      sent.map((_, index) => ({ kind: 'done', version: index + 1, reply: { chain: expect.any(Number) } })),
    )
  })
})

describe('a command without a source', () => {
  test('is executed once although worker and journal are replaced while it is on its way', async () => {
    const plant = await TallyRig.open()
    const anonymous = plant.clientOf('')
    const sent = anonymous.send({ entity: 'tally/a', command: 'add', data: { id: 1, by: 2 }, at: undefined, answer: 'always' })
    plant.execute()
    await plant.store()
    plant.rig.killWorker()
    plant.rig.killJournal()
    plant.rig.startJournal()
    plant.rig.startWorker()

    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1])
    expect(answerOf(sent)).toEqual({ kind: 'done', version: 1, reply: { chain: 0 } })
  })

  test('is another command when it is sent again, also through the next gateway', async () => {
    const plant = await TallyRig.open()
    const draft = { entity: 'tally/a', command: 'add', data: { id: 1, by: 2 }, at: undefined, answer: 'always' } as const
    plant.clientOf('').send(draft)
    await plant.settle()
    plant.rig.killGateway()
    plant.rig.startGateway()

    plant.clientOf('').send(draft)
    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1, 1])
  })
})

describe('a command whose code fails', () => {
  test('is told once and for all when decide throws', async () => {
    const plant = await TallyRig.open()
    const sent = plant.send('tally/a', 'fail', { id: 1 })
    plant.add('tally/a', 2)
    await plant.settle()

    plant.client.sendAgain(sent)
    await plant.settle()

    expect(sent.settlements).toEqual([
      { kind: 'failed', message: 'DECIDE_FAILED: failed at 0' },
      { kind: 'failed', message: 'DECIDE_FAILED: failed at 0' },
    ])
  })

  test('leaves the state before it when apply throws half-way, and those behind it go on in order', async () => {
    const plant = await TallyRig.open()
    plant.add('tally/a', 1)
    const broken = plant.send('tally/a', 'break', { id: 2 })
    plant.add('tally/a', 3)
    plant.send('tally/a', 'break', { id: 4 })
    const last = plant.add('tally/a', 5)

    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1, 3, 5])
    expect(answerOf(broken)).toMatchObject({ kind: 'failed', message: expect.stringMatching(/^APPLY_FAILED: .*broken on purpose/) })
    expect(answerOf(last)).toEqual({ kind: 'done', version: 5, reply: { chain: 31 + 3 } })
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('does not mistake an entity that refuses with the name of a fault for one', async () => {
    const plant = await TallyRig.open()
    const refused = plant.send('tally/a', 'refuseWith', { code: 'TOO_LARGE' })

    await plant.settle()

    expect(answerOf(refused)).toEqual({ kind: 'refused', version: 1, code: 'TOO_LARGE', detail: { chain: 0 } })
  })
})
