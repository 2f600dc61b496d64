import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import { until } from '../../apps/program-under-test.js'
import { type Answer, PostBox } from '../../effects/post-box.js'
import { effectPlantConfig, effectPlantText } from '../../faults/effect-plant.js'
import type { OperatorWorld } from '../operator-world.js'
import { type Count, expectCount } from './words.js'

const MENDED: Answer = (_, response) => void response.writeHead(200).end()

/** Of all scenarios of the feature, as their plant is. */
let pager: Promise<PostBox> | undefined

let lit = 0

/** How often the one lamp of a scenario has heard of its page already. */
const HEARD = new WeakMap<OperatorWorld, number>()

Given('a plant of lamps that page somebody when they are lit', async (world: OperatorWorld) => {
  pager ??= PostBox.open()
  const { url } = await pager
  await world.share({
    plantText: effectPlantText(),
    workers: 1,
    env: { PAGER_TOKEN: 's3cret' },
    prepare: async (folder) => void folder.write('millrace.yaml', effectPlantConfig(url)),
  })
  await mend()
})

Given('a pager that fails at first', async () => {
  let failures = 2
  await mend((posted, response) => (failures-- > 0 ? void response.writeHead(503).end() : MENDED(posted, response)))
})

Given('a pager that knows nobody', () => mend((_, response) => void response.writeHead(404).end()))

When('the pager is mended', async () => {
  ;(await boxOf()).answer = MENDED
})

When('lamp {word} is lit', async ({ running }: OperatorWorld, lamp: string) => {
  expect(await running.run('send', `lamp/${lamp}`, 'light', JSON.stringify({ id: ++lit }), '--json')).toMatchObject({ code: 0 })
})

Then('lamp {word} hears that its page was done', (world: OperatorWorld, lamp: string) => hears(world, lamp, 'done'))

Then('lamp {word} hears that its page failed', (world: OperatorWorld, lamp: string) => hears(world, lamp, 'failed'))

Then('the pager has got it {int} times under one key', async (_world: OperatorWorld, times: number) => {
  const { keys } = await boxOf()
  expect(keys).toHaveLength(times)
  expect(new Set(keys).size).toBe(1)
})

Then('{count} effect(s) is/are parked', async (world: OperatorWorld, count: Count) =>
  expectCount((await parkedIn(world)).length, count, 'effects parked'),
)

Then('{count} effect(s) is/are parked, since the pager answered {int}', async (world: OperatorWorld, count: Count, status: number) => {
  const parked = await parkedIn(world)
  expectCount(parked.length, count, 'effects parked')
  expect(parked[0]).toMatchObject({ command: 'page', effect: { code: `HTTP_${status}`, key: (await boxOf()).keys[0] } })
})

Then(
  "the operator sees that {int} effects were done, one of them behind the plant's back",
  async ({ running }: OperatorWorld, all: number) => {
    const messages = (await running.run('status', '--json')).json['messages']
    expect(messages).toMatchObject({ told: all, effectsTaken: all, effectsDone: all - 1, effectsParked: 1, effectRetries: 2 })
    expect((await running.run('status')).stdout).toContain(`Entities told ${all} messages and timers.`)
  },
)

function boxOf(): Promise<PostBox> {
  return pager as Promise<PostBox>
}

/** Nothing has been posted to it yet. */
async function mend(answer: Answer = MENDED): Promise<void> {
  const box = await boxOf()
  box.posted.length = 0
  box.answer = answer
}

/** It is the next thing that the lamp hears, whatever it has heard before. */
async function hears(world: OperatorWorld, lamp: string, outcome: string): Promise<void> {
  const before = HEARD.get(world) ?? 0
  let heard: readonly string[] = []
  await until(`lamp ${lamp} hears of its page`, async () => {
    const { json } = await world.running.run('get', `lamp/${lamp}`, '--json')
    heard = (json['state'] as { heard: readonly string[] } | undefined)?.heard ?? []
    return heard.length > before
  })
  HEARD.set(world, heard.length)
  expect(heard.slice(before)).toEqual([outcome])
}

async function parkedIn({ running }: OperatorWorld): Promise<readonly Record<string, unknown>[]> {
  return (await running.run('status', '--parked', '--json')).json['parked'] as readonly Record<string, unknown>[]
}
