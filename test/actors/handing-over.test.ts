import { describe, expect, test } from 'vitest'
import type { CommandFault } from '#actors/worker.js'
import { Relay, type RelayState } from './relay.js'
import { openTalk } from './rig-talk.js'
import { TallyRig } from './tally-rig.js'

describe('a worker that leaves', () => {
  test('finishes what it has read, reads no more, and its successor goes on there', async () => {
    const plant = await TallyRig.open()
    plant.add('tally/a', 1)
    plant.rig.stepDoor()
    plant.rig.stepWorker()
    const leaving = plant.rig.worker()

    leaving.leave()
    const later = plant.add('tally/a', 2)
    await plant.rig.until(() => leaving.inFlightCount === 0)
    plant.rig.stepAll()

    expect(leaving.counters.commands).toBe(1)
    expect(leaving.hasWork()).toBe(false)
    expect(leaving.isIdle).toBe(false)
    plant.rig.killWorker()
    plant.rig.startWorker()
    await plant.settle()
    expect(later.settlements).toMatchObject([{ kind: 'done' }])
    expect((await plant.rig.rows()).map(({ version }) => version)).toEqual([1, 2])
  })

  test('takes snapshots of all that have changed before, so that its successor replays nothing', async () => {
    const plant = await TallyRig.open({ limits: { snapshotEvery: 1_000_000 } })
    for (let entity = 0; entity < 600; entity++) plant.add(`tally/t${entity}`, 1)
    await plant.settle()
    const leaving = plant.rig.worker()

    leaving.hurrySnapshots()
    expect(leaving.isHurryingSnapshots).toBe(true)
    await plant.rig.until(() => !leaving.isHurryingSnapshots)
    await plant.settle()

    expect(leaving.counters.snapshots).toBe(600)
    plant.rig.killWorker()
    plant.rig.startWorker()
    await plant.settle()
    expect(plant.rig.reloads.at(-1)).toMatchObject({ entities: 600, events: 0 })
  })
})

describe('code that fails over a command while it is on probation', () => {
  test('ends its worker before anything is stored of the command, which the next worker executes', async () => {
    const { rig, client, send } = await openTalk({ entities: [Relay] })
    const faults: CommandFault[] = []
    const onFault = (fault: CommandFault): void => {
      faults.push(fault)
      throw new Error('it is on probation')
    }
    rig.killWorker()
    rig.startWorker(0, { onFault })
    await rig.until(() => rig.isIdle)
    const before = (await rig.rows()).length

    const sent = send('relay/a', 'fail', { id: 7 })
    rig.stepDoor()
    expect(() => rig.stepWorker()).toThrow('it is on probation')
    rig.stepJournal()

    expect(faults).toEqual([{ entity: 'relay/a', code: 'DECIDE_FAILED', message: 'failed on 7' }])
    expect((await rig.rows()).length).toBe(before)
    rig.killWorker()
    rig.startWorker()
    await rig.until(() => rig.isIdle && client.isSettled)
    expect(sent.settlements).toMatchObject([{ kind: 'failed' }])
  })
})

describe('a command that workers with earlier code do not know', () => {
  test('waits until all know it, and then goes in order', async () => {
    const { rig, client, send, state } = await openTalk({ entities: [Relay], workers: 2, commandsKnown: 0 })
    const names = Array.from({ length: 8 }, (_, index) => `r${index}`)
    const takenBy = async (name: string) => (await state<RelayState>(`relay/${name}`))?.taken ?? []

    for (const id of [1, 2]) send('relay/a', 'spread', { id, to: names })
    await rig.until(() => client.isSettled)
    for (let step = 0; step < 50; step++) rig.stepAll()
    await rig.breathe()
    const taken = await Promise.all(names.map(takenBy))

    // Those of the same worker know it.
    expect(new Set(taken.map((ids) => ids.join(' ')))).toEqual(new Set(['', '1 2']))
    for (const slot of [0, 1]) rig.worker(slot).knowAllCommands()
    await rig.until(() => rig.isIdle)
    for (const name of names) expect(await takenBy(name)).toEqual([1, 2])
  })
})
