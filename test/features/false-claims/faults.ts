import { When } from 'quickpickle'
import type { InlinePlantAtWork } from '../inline-plant.js'
import type { OperatorWorld } from '../operator-world.js'

When('a row is torn out of the log', async ({ atWork }: OperatorWorld) => {
  await (atWork as InlinePlantAtWork).tearLastBlock()
})

When('a worker is frozen for a moment', async (world: OperatorWorld) => {
  const frozen = await world.atWork.plant.stop({ role: 'worker', slot: 0 })
  frozen.wake()
  world.frozen = frozen
})
