import { expect, test } from 'vitest'
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
