import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPlant } from '#runtime/inline-plant.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { run, startPlant } from '../apps/program-under-test.js'
import { Counter } from './counter.js'
import { damageBlockAt } from './damage-block.js'

describe('a plant that starts on a log with a damaged block', () => {
  let folder: PlantFolder

  beforeAll(async () => {
    folder = new PlantFolder()
    const plant = await openPlant({ entities: [Counter], data: folder.data })
    for (const name of ['a', 'b', 'a', 'b']) await plant.entity(Counter, name).count({ n: 1 })
    await plant.close()
    damageBlockAt(folder.data, 2)
  })

  afterAll(() => {
    folder.remove()
  })

  test('runs, fences exactly the entity that the block hit, lists it, and says so', async () => {
    const { up } = await startPlant(folder, { env: { MILLRACE_WORKERS__COUNT: '1' } })
    const [refused, taken, fenced, listed, plain] = await Promise.all([
      run(folder, ['send', 'counter/a', 'count', '{"n":3}', '--json']),
      run(folder, ['send', 'counter/b', 'count', '{"n":3}', '--json']),
      run(folder, ['status', '--fenced', '--json']),
      run(folder, ['status', '--fenced']),
      run(folder, ['status']),
    ])
    up.kill('SIGTERM')
    await up.ended

    expect(refused).toMatchObject({ code: 1 })
    expect(JSON.stringify(refused.json)).toMatch(/ROWS_FENCED.*millrace log repair/)
    expect(taken).toMatchObject({ code: 0, json: { ok: true, version: 3, reply: { count: 3 } } })
    expect(fenced).toMatchObject({
      code: 0,
      json: { fenced: [{ entity: 'counter/a', version: 2, code: 'ROWS_FENCED', worker: 0 }], silent: [] },
    })
    expect(listed.stdout).toMatch(/counter\/a +worker\/0 +2 +ROWS_FENCED\n[^]*millrace log repair/)
    expect(plain.stdout).toMatch(/1 of the entities take no commands.*status --fenced/)
    const said = readFileSync(join(folder.data, 'logs', 'supervisor.log'), 'utf8')
    expect(said).toMatch(/an entity cannot be rebuilt and is fenced, all others work: counter\/a \(.*damaged/)
    expect(said).not.toMatch(/"kind":"(exit","code":[1-9]|signal)/)
  })
})
