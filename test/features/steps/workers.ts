import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import type { ChildRole } from '#processes/process-role.js'
import type { CountStep } from '#recovery/worker-count.js'
import type { OperatorWorld } from '../operator-world.js'

const SHARDS = 64

Given('a plant of one worker, with room for another, that {int} machines report to', (world: OperatorWorld, machines: number) =>
  world.open(machines, { workers: 1 }),
)

When(
  'the operator changes it to {int} worker(s), and the {word} and a worker die meanwhile',
  async (world: OperatorWorld, count: number, role: ChildRole) => {
    const { atWork } = world
    const changed = changeTo(world, count)
    await moved(world, 5)
    await atWork.plant.kill({ role, slot: 0 })
    await moved(world, 20)
    await atWork.plant.kill({ role: 'worker', slot: 0 })
    const { code, lines } = await atWork.during('the command ends', changed)
    const steps = lines as unknown as readonly CountStep[]
    expect(steps.at(-1)).toMatchObject({ kind: 'ended', report: { ok: true, to: count, workers: count, moves: SHARDS / 2, failed: 0 } })
    expect(steps.filter(({ kind }) => kind === 'moved').length).toBe(SHARDS / 2)
    expect(code).toBe(0)
  },
)

Then('it has {int} worker(s), which share/has (the )(all )shards', async (world: OperatorWorld, count: number) => {
  const { lines } = await world.atWork.during('its workers are told', world.running.run('workers', '--json'))
  const [{ workers } = { workers: [] }] = lines as unknown as readonly { readonly workers: readonly { readonly shards: number }[] }[]
  expect(workers.map(({ shards }) => shards)).toEqual(Array.from({ length: count }, () => SHARDS / count))
})

Then('the operator is told that it has no room for {int}', async (world: OperatorWorld, count: number) => {
  const { code, stderr } = await world.atWork.during('the command ends', changeTo(world, count))
  expect({ code, isToldWhatToSet: stderr.includes(`set workers.max to ${count}`) }).toEqual({ code: 1, isToldWhatToSet: true })
})

function changeTo({ running }: OperatorWorld, count: number) {
  return running.run('workers', '--count', String(count), '--json')
}

/** Shards of the change that goes on. */
async function moved({ atWork, running }: OperatorWorld, count: number): Promise<void> {
  await atWork.until(`${count} shards have moved`, async () => {
    const { workers } = await running.session.status()
    return (workers?.change?.moved ?? 0) >= count
  })
}
