import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import { streamControl } from '#processes/control-client.js'
import type { UpgradeReport, UpgradeStep } from '#recovery/code-upgrade.js'
import { dataPaths } from '#runtime/data-directory.js'
import { COUNTER } from '../../apps/plant-folder.js'
import type { OperatorWorld } from '../operator-world.js'

/** Of a worker with new code. */
const PROBATION_MS = 30

/** What the last upgrade of a scenario came to. */
const REPORTS = new WeakMap<OperatorWorld, UpgradeReport>()

Given('a plant of version {word} that {int} machines report to', (world: OperatorWorld, version: string, machines: number) =>
  world.open(machines, { plantText: plantOf(version), workers: 1 }),
)

When('the plant is upgraded to version {word}', async (world: OperatorWorld, version: string) => {
  const plantFile = world.running.folder.write(`plant-${version}.js`, plantOf(version))
  const report = await world.atWork.during('the upgrade has ended', upgrade(world, plantFile))
  expect(report).toMatchObject({ ok: true, runs: version, failure: null })
  expect(report?.seats.map(({ seat, code }) => `${seat} ${code}`)).toEqual(['worker/0 new', 'gateway/0 new'])
})

When('the operator upgrades it to version {word}, which fails over every report', async (world: OperatorWorld, version: string) => {
  const { running, atWork } = world
  const broken = plantOf(version).replace('if (command.n < 0)', "throw new Error('broken')\n      if (command.n < 0)")
  const file = running.folder.write(`plant-${version}.js`, broken)
  const { code, lines } = await atWork.during('the command ends', running.run('code', 'upgrade', file, '--json'))
  expect(code).toBe(1)
  for (const step of lines as unknown as readonly UpgradeStep[]) if (step.kind === 'ended') REPORTS.set(world, step.report)
})

When('the supervisor dies while the plant is upgraded to version {word}', async (world: OperatorWorld, version: string) => {
  const { atWork, restarts, running } = world
  const upgraded = upgrade(world, running.folder.write(`plant-${version}.js`, plantOf(version))).catch(() => undefined)
  const before = atWork.said.length
  await atWork.until('a worker has the new code', () => atWork.said.slice(before).some(({ kind }) => kind === 'handed-over'))
  restarts.push(await atWork.during('the supervisor is started again', atWork.plant.crash('supervisor')))
  expect(await upgraded).toBeUndefined()
})

Then('all of its processes run version {word}', async ({ atWork, running }: OperatorWorld, version: string) => {
  const { code, processes } = await atWork.during('its state is told', running.session.status())
  const seats = processes.filter(({ role, slot }) => slot !== null && (role === 'worker' || role === 'gateway'))
  expect(code).toMatchObject({ version, upgrade: null })
  expect(seats.map((one) => `${one.role} ${one.state} ${one.version}`)).toEqual([`worker ready ${version}`, `gateway ready ${version}`])
})

Then('the operator is told that the plant has returned from it, and why', (world: OperatorWorld) => {
  const { ok, from, runs, failure } = REPORTS.get(world) as UpgradeReport
  expect({ ok, isBack: from === runs, code: failure?.code }).toEqual({ ok: false, isBack: true, code: 'ERR_CODE_FAULT' })
  expect(failure?.message).toContain('broken')
})

function plantOf(version: string): string {
  return COUNTER.replace('definePlant({', `definePlant({ version: '${version}',`)
}

/** As the command does, without a process of its own. */
async function upgrade({ running }: OperatorWorld, plantFile: string): Promise<UpgradeReport | undefined> {
  const { supervisorSocket } = dataPaths(running.folder.data)
  let report: UpgradeReport | undefined
  for await (const step of streamControl(supervisorSocket, 'upgrade', { plantFile, probationMs: PROBATION_MS, warmUpMs: 0 }))
    if ((step as UpgradeStep).kind === 'ended') report = (step as UpgradeStep & { kind: 'ended' }).report
  return report
}
