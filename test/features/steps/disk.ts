import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import type { OperatorWorld } from '../operator-world.js'

const WAITING = 200

Given('a plant on a small disk that {int} machines report to', (world: OperatorWorld, machines: number) =>
  world.open(machines, { canDiskFill: true }),
)

/** Where there is too little room to play with, nobody's disk is filled, and the scenario is skipped with the reason. */
When('the disk fills up', async ({ atWork, context }: OperatorWorld) => {
  const whyNot = await atWork.during('the disk is full', atWork.plant.fillDisk())
  if (whyNot !== undefined) context.skip(whyNot)
})

When('room is made on the disk', ({ atWork }: OperatorWorld) => atWork.plant.emptyDisk())

Then('the plant says that its disk is full', async ({ atWork }: OperatorWorld) => {
  await atWork.until('it complains of something', async () => (await atWork.complaint()) !== '')
  expect(await atWork.complaint()).toMatch(/^the disk of the plant is full/)
})

Then('the plant says nothing of its disk any more', ({ atWork }: OperatorWorld) =>
  atWork.until('it complains of nothing', async () => (await atWork.complaint()) === ''),
)

Then('nothing more is acknowledged, while the machines wait', async ({ atWork }: OperatorWorld) => {
  const { ledger } = atWork
  const acked = ledger.acked
  const open = ledger.openCount
  await atWork.until('the machines wait for more acknowledgements', () => ledger.openCount >= open + WAITING)
  expect(ledger.acked).toBe(acked)
})

Then('what a machine reported before can be read', async ({ atWork }: OperatorWorld) => {
  expect(await atWork.during('the log is read', atWork.readReports(0))).toBeGreaterThan(0)
})
