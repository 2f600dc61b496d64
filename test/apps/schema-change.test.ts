import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { COUNTER, PlantFolder } from './plant-folder.js'
import { run } from './program-under-test.js'

let folder: PlantFolder

beforeEach(() => {
  folder = new PlantFolder()
})

afterEach(() => {
  expect(folder.remove()).toEqual([])
})

const CHANGED = COUNTER.replace('Counted: { n: i32() } }', 'Counted: { amount: i32() } }')
  .replace('emit.Counted(command)', 'emit.Counted({ amount: command.n })')
  .replace('state.last = event.n', 'state.last = event.amount')
const DECLARED = CHANGED.replace(
  'apply: {',
  'upcast: { Counted: [{ from: { n: i32() }, to: (old) => ({ amount: old.n * 10 }) }] },\n  apply: {',
)

describe('a plant that is started with other events than its log has', () => {
  test('is refused by name when nothing is declared, and reads old events through what is declared', async () => {
    const send = (n: number) => run(folder, ['send', 'counter/a', 'count', JSON.stringify({ n }), '--plant', folder.plantFile, '--json'])
    await send(1)

    folder.write('plant.js', CHANGED)
    const refused = await send(2)
    folder.write('plant.js', DECLARED)
    const taken = await send(3)
    const { json } = await run(folder, ['get', 'counter/a', '--json'])
    const { lines } = await run(folder, ['query', '--json'])

    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(
      /an event with stored rows came with other fields type=counter\.Counted field=n .*upcast: \{ Counted: \[\{ from: \{ n: i32/,
    )
    expect(taken.json).toMatchObject({ ok: true, reply: { count: 2 } })
    expect(json).toMatchObject({ version: 2, state: { count: 2, last: 3 } })
    expect(lines.map(({ data }) => data)).toEqual([{ n: 1 }, { amount: 3 }])
  })
})
