import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import type { Sabotage } from '#drills/sabotage.js'
import type { OperatorWorld } from '../operator-world.js'
import { type Count, expectCount } from './words.js'

const MORE = 100

Given('a network that {sabotage}', (world: OperatorWorld, sabotage: Sabotage) => {
  world.sabotage = sabotage
})

Given('a plant that {int} machines report to', (world: OperatorWorld, machines: number) => world.open(machines))

When('{int} (more )reports are acknowledged', ({ atWork }: OperatorWorld, reports: number) => atWork.untilAcked(reports))

Then('the machines go on reporting', ({ atWork }: OperatorWorld) => atWork.untilAcked(MORE))

Then('{count} acknowledged report(s) is/are missing', async (world: OperatorWorld, count: Count) => {
  const { ackedMissing, examples } = await world.verdict()
  expectCount(ackedMissing, count, examples.join(', '))
})

Then('every report is stored once, in order and as it was sent', async (world: OperatorWorld) => {
  const { sent, durable, duplicated, outOfOrder, torn, invented, examples } = await world.verdict()
  const nothing = { duplicated: 0, outOfOrder: 0, torn: 0, invented: 0 }
  expect({ durable, duplicated, outOfOrder, torn, invented }, examples.join(', ')).toEqual({ durable: sent, ...nothing })
})

Then('the state of the plant is what its log says', async ({ atWork }: OperatorWorld) => {
  const { live, replayed } = await atWork.during('the states are read', atWork.plant.stateHashes())
  expect(live).toMatch(/^[0-9a-f]{64}$/)
  expect(replayed).toBe(live)
})
