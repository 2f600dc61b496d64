import { describe, expect, test } from 'vitest'
import { TallyRig } from './tally-rig.js'

test('entities that get rows in turns have their first snapshots at different versions, none later than asked for', async () => {
  const plant = await TallyRig.open({ limits: { snapshotEvery: 16 } })
  const taken: number[] = []

  for (let round = 1; round <= 16; round++) {
    for (let entity = 0; entity < 40; entity++) plant.add(`tally/t${entity}`, round)
    await plant.settle()
    taken.push(plant.rig.worker().counters.snapshots)
  }

  expect(taken.slice(0, 7)).toEqual([0, 0, 0, 0, 0, 0, 0])
  expect(taken.slice(7).filter((count, index) => count > (taken[index + 6] as number)).length).toBeGreaterThan(5)
  expect(taken.at(-1)).toBe(40)
})

describe('a worker with a bound on what its successor replays', () => {
  test('takes a snapshot of each entity that changed in each round of rows, of none that did not, and few at a time', async () => {
    const plant = await TallyRig.open({ limits: { snapshotEvery: 1_000_000, tailRowsMax: 100 } })
    const snapshots = () => plant.rig.worker().counters.snapshots
    for (let entity = 0; entity < 20; entity++) plant.add(`tally/t${entity}`, 1)
    const taken: number[] = []
    for (let row = 0; row < 300; row++) {
      plant.add(`tally/t${row % 5}`, 1)
      plant.rig.clock.advance(250)
      await plant.settle()
      taken.push(snapshots())
    }

    expect(taken[90]).toBeGreaterThanOrEqual(20)
    expect(Math.max(...taken.map((count, row) => count - (taken[row - 1] ?? 0)))).toBeLessThan(6)
    expect(taken.at(-1)).toBeGreaterThanOrEqual(20 + 2 * 5)
    expect(taken.at(-1)).toBeLessThanOrEqual(20 + 3 * 5)
  })

  test('takes one of each entity soon after it had to replay rows', async () => {
    const limits = { snapshotEvery: 1_000_000, tailRowsMax: 100 }
    const before = await TallyRig.open({ limits })
    for (let row = 0; row < 100; row++) before.add(`tally/t${row % 20}`, 1)
    await before.settle()
    const { stored } = before.rig.journal
    const plant = await TallyRig.open({ limits, stored })
    await plant.settle()
    plant.rig.clock.advance(250)
    plant.add('tally/t0', 1)
    await plant.settle()

    expect(before.rig.worker().counters.snapshots).toBeLessThan(20)
    expect(plant.rig.worker().counters.snapshots).toBeGreaterThanOrEqual(20)
  })

  test('takes none where there is no bound', async () => {
    const plant = await TallyRig.open({ limits: { snapshotEvery: 1_000_000 } })
    for (let row = 0; row < 500; row++) plant.add(`tally/t${row % 5}`, 1)
    plant.rig.clock.advance(250)
    await plant.settle()

    expect(plant.rig.worker().counters.snapshots).toBe(0)
  })
})
