import { expect, describe, test } from 'vitest'
import { defineEntity, i64 } from '#entity/index.js'
import type { Settlement } from '#ingest/door.js'
import { batchOf, TestWriter } from '../journal/writer.js'
import { ForeignWriter } from './foreign-writer.js'
import { PlantRig } from './plant-rig.js'
import { Tally } from './tally.js'
import { answerOf, TallyRig } from './tally-rig.js'

const Urgent = defineEntity({
  name: 'urgent',
  class: 'critical',
  events: { Done: { id: i64() } },
  commands: { act: { id: i64() } },
  initial: () => ({ count: 0 }),
  decide: {
    act(state, { id }, { emit }) {
      emit.Done({ id })
      return { count: state.count }
    },
  },
  apply: {
    Done(state) {
      state.count++
    },
  },
})

/** One shard with an entity of which there is a snapshot of the newest row and one of which there is none, and a worker that waits for the disk to give rows. */
async function halfRecovered(): Promise<TallyRig> {
  const plant = await TallyRig.open({ shardCount: 1, limits: { snapshotEvery: 1 } })
  for (const id of [1, 2]) for (const entity of ['tally/a', 'tally/b'] as const) plant.add(entity, id)
  await plant.settle()
  plant.rig.journal.stored.snapshots.delete('tally/b')
  plant.rig.journal.scansLeft = 0
  plant.rig.killWorker()
  plant.rig.startWorker()
  await plant.rig.until(() => plant.rig.worker().counters.activations === 1)
  return plant
}

describe('a worker whose load is under way', () => {
  test('executes commands to the entities that have caught up, and has the others wait', async () => {
    const plant = await halfRecovered()
    const early = plant.add('tally/a', 3)
    const late = plant.add('tally/b', 3)
    const later = plant.add('tally/b', 4)
    const unknown = plant.add('tally/c', 5)

    await plant.rig.until(() => answerOf(early) !== undefined)

    expect(answerOf(early)).toEqual({ kind: 'done', version: 3, reply: { chain: 31 + 2 } })
    expect(plant.rig.worker().isLoaded).toBe(false)
    expect(plant.rig.worker().loadingCount).toBe(1)
    for (const sent of [late, later, unknown]) expect(answerOf(sent)).toBeUndefined()
    plant.rig.journal.scansLeft = Number.POSITIVE_INFINITY
    await plant.settle()
    expect(await plant.ids('tally/b')).toEqual([1, 2, 3, 4])
    expect(await plant.ids('tally/c')).toEqual([5])
    expect(plant.rig.worker().loadingCount).toBe(0)
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('begins anew when an append of an entity that had caught up is not taken', async () => {
    const plant = await halfRecovered()
    const foreign = new ForeignWriter(plant.rig)
    foreign.interfere('tally/a')
    const early = plant.add('tally/a', 3)
    const late = plant.add('tally/b', 3)

    await plant.rig.until(() => plant.rig.worker().counters.rejections === 1)
    plant.rig.journal.scansLeft = Number.POSITIVE_INFINITY
    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1, 2, 5000, 3])
    expect(answerOf(early)).toMatchObject({ kind: 'done', version: 4 })
    expect(answerOf(late)).toMatchObject({ kind: 'done', version: 3 })
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('goes on with what it had when the journal is replaced', async () => {
    const plant = await halfRecovered()
    const early = plant.add('tally/a', 3)
    await plant.rig.until(() => answerOf(early) !== undefined)
    const late = plant.add('tally/b', 3)
    plant.rig.stepDoor()
    plant.rig.stepWorker()

    plant.rig.killJournal()
    plant.rig.startJournal()
    const again = plant.add('tally/a', 4)
    await plant.settle()

    expect(answerOf(late)).toMatchObject({ kind: 'done', version: 3 })
    expect(answerOf(again)).toMatchObject({ kind: 'done', version: 4 })
    // The one was live all the time.
    expect(plant.rig.worker().counters.activations).toBe(2)
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })
})

/** Rows of one more entity, as a worker before had stored them. */
async function fill(plant: TallyRig, rowCount: number): Promise<void> {
  const { journal } = plant.rig
  const writer = new TestWriter(journal.eventTypes, { term: plant.rig.nextTerm(), shardCount: journal.shardCount })
  for (let left = rowCount; left > 0; left -= 1000) {
    const frames = Array.from({ length: Math.min(left, 1000) }, (_, id) =>
      writer.append({ entity: 'tally/long', rows: [{ event: 'Added', data: { id, by: 1 } }] }),
    )
    await journal.append(batchOf(frames))
  }
}

describe('a worker that starts', () => {
  test('loads the entities first that commands wait for, where the scan is long', async () => {
    const plant = await TallyRig.open({ shardCount: 1 })
    for (const entity of ['tally/a', 'tally/b', 'tally/c'] as const) plant.add(entity, 1)
    await plant.settle()
    plant.rig.killWorker()
    await fill(plant, 100_000)
    const known = plant.add('tally/c', 2)
    const unknown = plant.add('tally/d', 2)
    plant.rig.stepDoor()
    plant.rig.journal.scansLeft = 1

    plant.rig.startWorker()
    await plant.rig.until(() => answerOf(known) !== undefined)

    // The second one waits for the disk.
    await plant.rig.until(() => plant.rig.journal.scans.length === 2)
    expect(plant.rig.journal.scans).toEqual(['tally/c', undefined])
    expect(answerOf(known)).toMatchObject({ kind: 'done', version: 2 })
    expect(plant.rig.worker().isLoaded).toBe(false)
    plant.rig.journal.scansLeft = Number.POSITIVE_INFINITY
    await plant.settle()
    expect(answerOf(unknown)).toMatchObject({ kind: 'done', version: 1 })
    expect(plant.rig.reloads.map(({ entities, events }) => ({ entities, events }))).toEqual([{ entities: 4, events: 100_003 }])
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('loads entities of critical types before the others', async () => {
    const rig = await PlantRig.open({ entities: [Tally, Urgent] })
    const settlements: Settlement[] = []
    const send = (entity: 'urgent/u' | 'tally/t', command: string, sequence: number) => {
      const data = command === 'add' ? { id: sequence, by: 2 } : { id: sequence }
      rig.door().offer({ source: 's', sequence, entity, command, data, at: undefined }, 'always', (one) => settlements.push(one))
    }
    send('urgent/u', 'act', 1)
    send('tally/t', 'add', 1)
    await rig.until(() => rig.isIdle)
    rig.journal.scansLeft = 1
    rig.killWorker()
    rig.startWorker()
    rig.stepWorker()
    settlements.length = 0

    send('urgent/u', 'act', 2)
    send('tally/t', 'add', 2)
    await rig.until(() => settlements.length > 0)

    expect(settlements).toEqual([{ kind: 'done', version: 2, reply: { count: 1 } }])
    rig.journal.scansLeft = Number.POSITIVE_INFINITY
    await rig.until(() => rig.isIdle)
    expect(settlements.length).toBe(2)
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })
})
