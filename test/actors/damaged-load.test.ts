import { describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { readHeader } from '#journal/block-format.js'
import { answerOf, TallyRig } from './tally-rig.js'

/** One block each, in this order, from position 0 on. */
async function plantOf(entities: readonly EntityId[], options: Parameters<typeof TallyRig.open>[0] = {}): Promise<TallyRig> {
  const plant = await TallyRig.open(options)
  for (const [index, entity] of entities.entries()) {
    plant.add(entity, index + 1)
    await plant.settle()
  }
  return plant
}

/** Turns a bit over, in what the block says of its rows or in its header. */
function damage(plant: TallyRig, block: number, where: 'body' | 'header' = 'body'): void {
  const bytes = plant.rig.journal.stored.blocks[block] as Uint8Array
  const { headerBytes } = readHeader(bytes)
  const at = where === 'header' ? headerBytes - 1 : bytes.length - 1
  bytes[at] = (bytes[at] as number) ^ 4
}

async function restartWorker(plant: TallyRig): Promise<void> {
  plant.rig.killWorker()
  plant.rig.reloads.length = 0
  plant.rig.startWorker()
  await plant.settle()
}

describe('a load that meets a damaged block', () => {
  test.each(['body', 'header'] as const)('fences the entity that has rows in it, lists it, and all others run: %s', async (where) => {
    const plant = await plantOf(['tally/a', 'tally/b', 'tally/a', 'tally/b'])
    damage(plant, 2, where)

    await restartWorker(plant)
    const refused = plant.add('tally/a', 10)
    const done = plant.add('tally/b', 11)
    const isNew = plant.add('tally/c', 12)
    await plant.settle()

    expect(plant.rig.failures).toEqual([])
    expect(plant.rig.worker().fenced).toEqual([{ entity: 'tally/a', version: 2, code: 'ROWS_FENCED' }])
    expect(answerOf(refused)).toMatchObject({ kind: 'failed', message: expect.stringMatching(/ROWS_FENCED.*millrace log repair/) })
    expect([answerOf(done), answerOf(isNew)]).toMatchObject([
      { kind: 'done', version: 3 },
      { kind: 'done', version: 1 },
    ])
    await expect(plant.rig.worker().read('tally/a', ({ state }) => state)).rejects.toThrow(/what they said is gone/)
  })

  test('goes on behind a gap in the middle, and stays as it was for the next worker', async () => {
    const plant = await plantOf(['tally/a', 'tally/a', 'tally/a', 'tally/b'])
    damage(plant, 1)

    await restartWorker(plant)
    const first = plant.add('tally/a', 10)
    await plant.settle()
    await restartWorker(plant)
    const second = plant.add('tally/a', 11)
    await plant.settle()

    expect([answerOf(first), answerOf(second)]).toMatchObject([{ kind: 'failed' }, { kind: 'failed' }])
    expect(plant.rig.worker().fenced).toEqual([{ entity: 'tally/a', version: 2, code: 'ROWS_FENCED' }])
    expect(plant.rig.journal.head('tally/a')?.version).toBe(5)
  })

  test('is told once, with the entities and the damage', async () => {
    const plant = await plantOf(['tally/a', 'tally/b', 'tally/a'])
    damage(plant, 2)
    const told: unknown[] = []

    plant.rig.killWorker()
    plant.rig.startWorker(0, { onFenced: (found) => told.push(found) })
    await plant.settle()

    expect(told).toEqual([
      {
        entities: [{ entity: 'tally/a', version: 2, code: 'ROWS_FENCED' }],
        damages: [expect.stringMatching(/a block of the log is damaged.*segment=memory block=2/)],
      },
    ])
  })

  test('fences nobody whose snapshot covers it', async () => {
    const plant = await plantOf(['tally/a', 'tally/a', 'tally/b'], { limits: { snapshotEvery: 2 } })
    damage(plant, 0)

    await restartWorker(plant)
    const more = plant.add('tally/a', 10)
    await plant.settle()

    expect(plant.rig.worker().fenced).toEqual([])
    expect(answerOf(more)).toMatchObject({ kind: 'done', version: 3 })
  })

  test('of one passive entity fences that one alone', async () => {
    const plant = await plantOf(['tally/a', 'tally/b', 'tally/a', 'tally/b'], { limits: { liveEntitiesMax: 1 }, shardCount: 1 })
    plant.rig.journal.stored.snapshots.clear()
    damage(plant, 0)

    const refused = plant.add('tally/a', 10)
    const done = plant.add('tally/b', 11)
    await plant.settle()

    expect(answerOf(refused)).toMatchObject({ kind: 'failed' })
    expect(answerOf(done)).toMatchObject({ kind: 'done', version: 3 })
    expect(plant.rig.worker().fenced).toEqual([{ entity: 'tally/a', version: 1, code: 'ROWS_FENCED' }])
  })
})

describe('a snapshot that is not what was written', () => {
  test('gives way to the one before it, and no other entity is loaded again for that', async () => {
    const plant = await plantOf(['tally/a', 'tally/a', 'tally/a', 'tally/b'], { limits: { snapshotEvery: 1 } })
    expect(spoil(plant, 'tally/a', 1)).toEqual([3, 2])

    await restartWorker(plant)
    const more = plant.add('tally/a', 10)
    await plant.settle()

    expect(answerOf(more)).toMatchObject({ kind: 'done', version: 4 })
    expect(plant.rig.worker().counters.knownEntities).toBe(2)
    expect(plant.rig.reloads).toMatchObject([{ snapshots: 1, events: 0 }])
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })

  test('gives way to a replay of all rows when there is none before it', async () => {
    const plant = await plantOf(['tally/a', 'tally/a', 'tally/a', 'tally/b'], { limits: { snapshotEvery: 1 } })
    spoil(plant, 'tally/a', 2)

    await restartWorker(plant)
    const more = plant.add('tally/a', 10)
    await plant.settle()

    expect(answerOf(more)).toMatchObject({ kind: 'done', version: 4 })
    expect(plant.rig.worker().fenced).toEqual([])
    expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
  })
})

describe('a base snapshot that is not what was written', () => {
  test('fences the entity whose rows before it are gone, and nobody whose rows are there', async () => {
    const plant = await plantOf(['tally/a', 'tally/b', 'tally/a', 'tally/b'], { limits: { snapshotEvery: 1 } })
    const { stored } = plant.rig.journal
    for (const entity of ['tally/a', 'tally/b'] as const) {
      spoil(plant, entity, 2)
      stored.bases.set(entity, stored.snapshots.get(entity)?.[0] as NonNullable<ReturnType<typeof stored.bases.get>>)
    }
    stored.snapshots.clear()
    damage(plant, 0)

    await restartWorker(plant)
    const sent = [plant.add('tally/a', 10), plant.add('tally/b', 11)]
    await plant.settle()

    expect(sent.map((one) => answerOf(one))).toMatchObject([{ kind: 'failed' }, { kind: 'done', version: 3 }])
    expect(plant.rig.worker().fenced).toEqual([{ entity: 'tally/a', version: 1, code: 'ROWS_FENCED' }])
  })
})

/** Cuts the newest snapshots of an entity short; answers the versions of all, newest first. */
function spoil(plant: TallyRig, entity: EntityId, count: number): number[] {
  const snapshots = plant.rig.journal.stored.snapshots.get(entity) ?? []
  for (let index = 0; index < count; index++) {
    const snapshot = snapshots[index]
    if (snapshot !== undefined) snapshots[index] = { ...snapshot, bytes: snapshot.bytes.slice(0, -3) }
  }
  return snapshots.map(({ version }) => version)
}
