import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import { ProgramUnderTest, until } from '../../apps/program-under-test.js'
import type { OperatorWorld } from '../operator-world.js'

interface Capture {
  readonly path: string
  readonly tap: ProgramUnderTest
}

interface CapturingWorld extends OperatorWorld {
  captures?: readonly Capture[]
  capturedFrames?: number
}

Given(
  'a plant that is captured from its first command on, and {int} machines that report to it',
  async (world: CapturingWorld, machines: number) => {
    await world.open(machines, {})
    world.captures = await Promise.all(['commands-g0-w0', 'commands-g0-w1'].map((channel) => startCapture(world, channel)))
  },
)

When('the machines fall silent, and the captures end', async (world: CapturingWorld) => {
  await world.verdict()
  let frames = 0
  for (const { tap } of world.captures ?? []) {
    tap.kill('SIGINT')
    expect(await tap.ended).toBe(0)
    expect(tap.json).toMatchObject([{ gaps: 0, endedBy: 'signal' }])
    frames += (tap.json[0] as { frames: number }).frames
  }
  world.capturedFrames = frames
})

Then('the captures together lead to the state of the plant', async (world: CapturingWorld) => {
  const { code, json, stderr } = await replay(world, world.captures ?? [])
  expect(code, stderr).toBe(0)
  expect(json).toMatchObject({ equal: true, gaps: 0, truncated: [], commands: world.capturedFrames })
  expect(json['stateHash']).toBe(json['log'])
  expect(json['rows']).toBe((await world.verdict()).durable)
})

Then('the first of them alone leads to another state', async (world: CapturingWorld) => {
  const { code, json } = await replay(world, (world.captures ?? []).slice(0, 1))
  expect(code).toBe(1)
  expect(json).toMatchObject({ equal: false })
})

/** Resolves once everything that goes through the channel is captured. */
async function startCapture(world: CapturingWorld, channel: string): Promise<Capture> {
  const { folder } = world.running
  const path = join(folder.path, `${channel}.cap`)
  const words = ['bus', 'tap', channel, '-o', path, '--lease', '20000', '--data', folder.data, '--json']
  const tap = new ProgramUnderTest(words, { cwd: folder.path })
  world.onEnd(() => tap.kill('SIGKILL'))
  await until('the capture is begun', () => existsSync(path) || tap.isOver)
  expect(tap.stderr).toBe('')
  return { path, tap }
}

function replay({ running }: CapturingWorld, captures: readonly Capture[]) {
  return running.run('bus', 'replay', ...captures.map(({ path }) => path), '--compare', '--json')
}
