import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import { damagedInline, damagedProcesses, damageLogIn, type DamagedPlant } from '../damaged-plants.js'
import type { OperatorWorld } from '../operator-world.js'
import { type Count, expectCount } from './words.js'

interface DamagedWorld extends OperatorWorld {
  start?: () => Promise<void>
  damaged?: DamagedPlant
}

Given('a log of two reports of each of the machines a and b, of which the second one of a is damaged', (world: DamagedWorld) => {
  world.start = async () => {
    if (world.isOfProcesses) await world.startOwn({ workers: 1, prepare: damageLogIn })
    world.damaged = world.isOfProcesses ? damagedProcesses(world.running) : await damagedInline()
  }
})

When('the plant starts on it', (world: DamagedWorld) => world.start?.())

Then('a report of machine {word} is taken', async ({ damaged }: DamagedWorld, machine: string) => {
  expect(await damaged?.report(machine)).toMatchObject({ isTaken: true })
})

Then('a report of machine {word} is refused, and the way to repair the log is told', async ({ damaged }: DamagedWorld, machine: string) => {
  const answer = await damaged?.report(machine)
  expect(answer).toMatchObject({ isTaken: false })
  expect(answer?.said).toMatch(/ROWS_FENCED.*millrace log repair/)
})

Then(
  'the plant lists machine {word}, and nobody else, as fenced up to its report {int}',
  async ({ damaged }: DamagedWorld, machine: string, upTo: number) => {
    expect(await damaged?.fenced()).toEqual([{ machine, upTo }])
  },
)

Then('the plant has warned of machine {word} by itself', ({ damaged }: DamagedWorld, machine: string) => {
  expect(damaged?.warnings()).toMatch(new RegExp(`fenced, all others work: counter/${machine} \\(.*damaged`))
})

Then('{count} of its processes has/have failed', ({ damaged }: DamagedWorld, count: Count) => {
  expectCount(damaged?.failures() ?? Number.NaN, count, 'processes failed')
})

Then('the log is whole', async ({ running }: OperatorWorld) => {
  expect(await running.run('log', 'verify', '--json')).toMatchObject({ code: 0, json: { ok: true, findings: [] } })
})
