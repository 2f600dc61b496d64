import { Given, When } from 'quickpickle'
import type { InlinePlantAtWork } from '../inline-plant.js'
import type { OperatorWorld } from '../operator-world.js'
import type { PressWorld } from '../steps/fatal-commands.js'

When('a row is torn out of the log', async ({ atWork }: OperatorWorld) => {
  await (atWork as InlinePlantAtWork).tearLastBlock()
})

When('a worker is frozen for a moment', async (world: OperatorWorld) => {
  const frozen = await world.atWork.plant.stop({ role: 'worker', slot: 0 })
  frozen.wake()
  world.frozen = frozen
})

Given('an operator who was told that a report is done', (world: PressWorld) => {
  world.answer = { code: 0, stdout: '{"ok":true}', stderr: '', json: { ok: true }, lines: [{ ok: true }] }
})

Given('an operator who was told {string}', (world: PressWorld, error: string) => {
  world.answer = { code: 1, stdout: '', stderr: error, json: { error }, lines: [{ error }] }
})
