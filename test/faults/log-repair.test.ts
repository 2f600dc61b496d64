import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PlantFolder } from '../apps/plant-folder.js'
import { run, startPlant } from '../apps/program-under-test.js'
import { damageBlockAt } from './damage-block.js'

describe('log repair of a plant in which the block of one event is damaged', () => {
  let folder: PlantFolder

  beforeAll(async () => {
    folder = new PlantFolder()
    const { up } = await startPlant(folder)
    for (const [entity, n] of [
      ['counter/a', 1],
      ['counter/b', 1],
      ['counter/a', 2],
      ['counter/b', 2],
    ] as const)
      await run(folder, ['send', entity, 'count', `{"n":${n}}`, '--json'])
    const whilePlantRuns = await run(folder, ['log', 'repair', '--dry-run', '--json'])
    expect(whilePlantRuns).toMatchObject({ code: 1, json: { error: { code: 'ERR_PLANT_RUNNING' } } })
    up.kill('SIGTERM')
    await up.ended
    damageBlockAt(folder.data, 2)
  })

  afterAll(() => {
    folder.remove()
  })

  test('tells what is gone before it does anything, and wants a yes', async () => {
    const dry = await run(folder, ['log', 'repair', '--dry-run', '--json'])
    const asked = await run(folder, ['log', 'repair'])
    const verified = await run(folder, ['log', 'verify', '--json'])

    expect(dry).toMatchObject({
      code: 1,
      json: {
        ok: false,
        repaired: false,
        gone: [{ segment: '000000000000.active', firstPosition: 2, endPosition: 3, entities: [{ entity: 'counter/a', from: 2, to: 2 }] }],
        beyond: [],
      },
    })
    expect(asked).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') })
    expect(asked.stdout).toContain('counter/a: version 2')
    expect(verified).toMatchObject({ code: 1, json: { ok: false } })
  })

  test('fences it, so that others are read and work, and the one that it hit says why it does not', async () => {
    const repaired = await run(folder, ['log', 'repair', '--yes', '--json'])
    const verified = await run(folder, ['log', 'verify', '--json'])
    const hit = await run(folder, ['get', 'counter/a', '--json'])
    const before = await run(folder, ['get', 'counter/a', '--version', '1', '--json'])
    const other = await run(folder, ['get', 'counter/b', '--json'])
    const rows = await run(folder, ['query', '--json'])
    const { up } = await startPlant(folder)
    const refused = await run(folder, ['send', 'counter/a', 'count', '{"n":3}', '--json'])
    const taken = await run(folder, ['send', 'counter/b', 'count', '{"n":3}', '--json'])
    up.kill('SIGTERM')
    await up.ended
    const again = await run(folder, ['log', 'repair', '--json'])

    expect(repaired).toMatchObject({
      code: 0,
      json: { ok: true, repaired: true, gone: [{ entities: [{ entity: 'counter/a', from: 2, to: 2 }] }] },
    })
    expect(verified).toMatchObject({ code: 0, json: { ok: true, findings: [{ severity: 'note', block: 2, entities: ['counter/a'] }] } })
    expect(hit).toMatchObject({ code: 1, json: { error: { code: 'ERR_ROWS_FENCED' } } })
    expect(before).toMatchObject({ code: 0, json: { version: 1, state: { count: 1, last: 1 } } })
    expect(other).toMatchObject({ code: 0, json: { version: 2, state: { count: 2, last: 2 } } })
    expect(rows.lines.map(({ entity, event, version }) => [entity, event, version])).toEqual([
      ['counter/a', 'Counted', 1],
      ['counter/b', 'Counted', 1],
      ['counter/a', '#fenced', 2],
      ['counter/b', 'Counted', 2],
    ])
    expect(JSON.stringify(refused.json)).toContain('ROWS_FENCED')
    expect(taken).toMatchObject({ code: 0, json: { ok: true, version: 3, reply: { count: 3 } } })
    expect(again).toMatchObject({ code: 0, json: { ok: true, gone: [] } })
  })
})
