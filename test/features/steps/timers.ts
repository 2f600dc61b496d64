import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import { until } from '../../apps/program-under-test.js'
import type { OperatorWorld } from '../operator-world.js'

const WHISTLES_AFTER_MS = 1000

const KETTLES = `import { defineEntity, definePlant, i64 } from 'millrace'

const Kettle = defineEntity({
  name: 'kettle',
  events: { PutOn: { at: i64() }, Whistled: { at: i64() } },
  commands: { putOn: {}, takeOff: {}, boil: {} },
  initial: () => ({ putOn: 0, whistled: 0, count: 0 }),
  decide: {
    putOn(_, __, { emit, after, at }) {
      emit.PutOn({ at })
      after(${WHISTLES_AFTER_MS}, 'boil', {}, { key: 'boil' })
    },
    takeOff: (_, __, { cancel }) => void cancel('boil'),
    boil: (_, __, { emit, at }) => emit.Whistled({ at }),
  },
  apply: {
    PutOn: (state, { at }) => void (state.putOn = at),
    Whistled(state, { at }) {
      state.whistled = at
      state.count++
    },
  },
})

export default definePlant({ entities: [Kettle] })
`

interface Kettle {
  readonly putOn: number
  readonly whistled: number
  readonly count: number
}

Given('a plant of kettles that whistle a second after they are put on', (world: OperatorWorld) =>
  world.share({ plantText: KETTLES, workers: 1 }),
)

When('kettle {word} is put on', (world: OperatorWorld, kettle: string) => command(world, kettle, 'putOn'))

When('kettle {word} is put on, and off again', async (world: OperatorWorld, kettle: string) => {
  await command(world, kettle, 'putOn')
  await command(world, kettle, 'takeOff')
})

When('the worker of the kettles is killed', ({ running }: OperatorWorld) => running.session.kill('worker', 0))

Then('kettle {word} whistles once, a second after it was put on', async (world: OperatorWorld, kettle: string) => {
  await until(`kettle ${kettle} whistles`, async () => ((await stateOf(world, kettle))?.count ?? 0) > 0)
  const { putOn, whistled, count } = (await stateOf(world, kettle)) as Kettle
  expect(whistled - putOn).toBe(WHISTLES_AFTER_MS * 1000)
  expect(count).toBe(1)
})

Then('kettle {word} has not whistled', async (world: OperatorWorld, kettle: string) => {
  expect((await stateOf(world, kettle))?.count).toBe(0)
})

async function command({ running }: OperatorWorld, kettle: string, name: string): Promise<void> {
  expect(await running.run('send', `kettle/${kettle}`, name, '{}', '--json')).toMatchObject({ code: 0 })
}

async function stateOf({ running }: OperatorWorld, kettle: string): Promise<Kettle | undefined> {
  return (await running.run('get', `kettle/${kettle}`, '--json')).json['state'] as Kettle | undefined
}
