import { describe, expect, test } from 'vitest'
import type { Slot } from '#actors/slot.js'
import { answerOf, TallyRig } from './tally-rig.js'
import type { TallyState } from './tally.js'

describe('a command that was executed and is not durable yet', () => {
  test('is neither answered nor released before its rows are', async () => {
    const plant = await TallyRig.open()
    const sent = plant.add('tally/a', 1)
    plant.execute()

    plant.rig.exhaust('worker')
    plant.rig.exhaust('door')
    expect(answerOf(sent)).toBeUndefined()
    await plant.store()
    plant.rig.exhaust('worker')
    plant.rig.exhaust('door')
    // Durable, but the journal has not said so.
    expect(answerOf(sent)).toBeUndefined()
    plant.rig.stepJournal()
    plant.rig.stepWorker()
    plant.rig.stepDoor()

    expect(answerOf(sent)).toEqual({ kind: 'done', version: 1, reply: { chain: 0 } })
  })

  test('has its duplicates wait with it', async () => {
    const plant = await TallyRig.open({ gateways: 2 })
    const { command } = plant.add('tally/a', 1)
    plant.execute()
    const settlements: unknown[] = []
    plant.rig.door(1).offer(command, 'always', (settlement) => settlements.push(settlement))
    plant.rig.stepDoor(1)
    plant.rig.stepWorker()

    plant.rig.exhaust('worker')
    plant.rig.exhaust('door', 1)

    expect(plant.rig.worker().counters.duplicates).toBe(1)
    expect(settlements).toEqual([])
    await plant.rig.until(() => plant.rig.isIdle)
    expect(settlements).toEqual([{ kind: 'done', version: 1, reply: { chain: 0 } }])
  })

  test('has reads of its entity wait with it', async () => {
    const plant = await TallyRig.open()
    plant.add('tally/a', 1)
    plant.execute()
    let told: unknown
    const look = ({ version, state }: Slot) => ({ version, chain: (state as TallyState).chain })
    void plant.rig
      .worker()
      .read('tally/a', look)
      ?.then((value) => (told = value))
    await plant.rig.breathe()
    plant.rig.exhaust('worker')
    await plant.rig.breathe()
    expect(told).toBeUndefined()

    await plant.settle()
    await plant.rig.breathe()

    expect(told).toEqual({ version: 1, chain: 1 })
  })

  test('leaves all its events or none', async () => {
    const plant = await TallyRig.open()
    plant.send('tally/a', 'addTwice', { id: 1, by: 4 })
    plant.execute()
    plant.rig.stepJournal()
    plant.rig.killJournal()
    plant.rig.startJournal()
    expect(await plant.rig.rows()).toEqual([])

    await plant.settle()

    const rows = await plant.rig.rows()
    expect(rows.map(({ version, event, outcomeKind }) => [version, event, outcomeKind])).toEqual([
      [1, 'Added', 0],
      [2, 'Noted', 0],
      [3, 'Added', 1],
    ])
    expect(new Set(rows.map((row) => row.appendNumber)).size).toBe(1)
  })
})

describe('a worker whose answers channel is full', () => {
  test('releases nothing that is not answered, and goes on when the gateway has read', async () => {
    const plant = await TallyRig.open({ answerCapacityBytes: 256 })
    const sent = Array.from({ length: 16 }, (_, id) => plant.add('tally/a', id))
    plant.execute()
    await plant.store()
    plant.rig.stepJournal()

    plant.rig.exhaust('worker')

    const answered = 16 - plant.rig.worker().inFlightCount
    expect(answered).toBeGreaterThan(0)
    expect(answered).toBeLessThan(16)
    expect(plant.rig.worker().hasWork()).toBe(false)
    plant.rig.stepDoor()
    expect(sent.filter((one) => answerOf(one) !== undefined).length).toBe(answered)
    expect(plant.rig.worker().hasWork()).toBe(true)
    await plant.settle()
    expect(sent.map((one) => answerOf(one))).toEqual(
      sent.map((_, index) => ({ kind: 'done', version: index + 1, reply: { chain: expect.any(Number) } })),
    )
  })
})

describe('rows that say when they happened', () => {
  test('are flagged late when their entity had later ones, also after it was loaded again', async () => {
    const plant = await TallyRig.open()
    plant.add('tally/a', 1, { at: 2000 })
    plant.add('tally/a', 2, { at: 1999 })
    plant.add('tally/a', 3, { at: 2000 })
    await plant.settle()
    plant.rig.killWorker()
    plant.rig.startWorker()
    plant.add('tally/a', 4, { at: 1999 })
    plant.add('tally/a', 5, { at: 2001 })
    plant.add('tally/b', 6, { at: 1 })

    await plant.settle()

    const rows = await plant.rig.rows()
    expect(rows.filter((row) => row.isLate).map((row) => row.data['id'])).toEqual([2, 4])
    expect(plant.rig.worker().counters.late).toBe(1)
  })
})
