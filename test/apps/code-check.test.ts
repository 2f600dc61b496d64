import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importPlant } from '#runtime/plant-module.js'
import { openPlant } from '#runtime/inline-plant.js'
import type { CodeReport } from '#runtime/code-check.js'
import { AMENDED, IMPURE } from './impure-plant.js'
import { PlantFolder } from './plant-folder.js'
import { run } from './program-under-test.js'

/** Version 2 is the first Odd event; what is shared shows when it is changed for the second time. */
const FIRST_ODD = 2

describe('code check of a plant with an entity type for each thing that a state must not depend on', () => {
  let folder: PlantFolder

  beforeAll(async () => {
    folder = new PlantFolder(IMPURE)
    const { entities } = await importPlant(folder.plantFile)
    const plant = await openPlant({ entities, data: folder.data })
    const count = async (n: number) => {
      for (const one of ['a', 'b']) await Promise.all(entities.map(({ name }) => plant.send(`${name}/${one}`, 'count', { n })))
    }
    for (const n of [2, 3, 4]) await count(n)
    // What comes from here on is in blocks that are not clustered.
    await plant.journal.seal()
    for (const n of [5, 6]) await count(n)
    await plant.close()
    folder.write('plant.js', AMENDED)
  })

  afterAll(() => {
    expect(folder.remove()).toEqual([])
  })

  test('names type, entity, version, event and condition of each, and passes the pure one', async () => {
    const { code, json } = await run(folder, ['code', 'check', folder.plantFile, '--json'])

    const report = json as unknown as CodeReport
    expect(code).toBe(1)
    expect(report).toMatchObject({ ok: false, entities: 28, conditions: expect.arrayContaining(['clock', 'locale']) })
    const found = report.problems.map(({ type, kind, entity, version, event, conditions }) => [
      type,
      kind,
      entity,
      version,
      event,
      conditions.join(),
    ])
    expect(found.sort(([one], [other]) => (String(one) < String(other) ? -1 : 1))).toEqual([
      ['amended', 'snapshot', 'amended/a', 3, null, ''],
      ['clock', 'differs', 'clock/a', FIRST_ODD, 'Odd', 'clock'],
      ['elapsed', 'differs', 'elapsed/a', FIRST_ODD, 'Odd', 'clock'],
      ['first', 'differs', 'first/a', 0, 'initial', 'clock'],
      ['locale', 'differs', 'locale/a', FIRST_ODD, 'Odd', 'locale'],
      ['order', 'differs', 'order/a', FIRST_ODD, 'Odd', 'property order'],
      ['outside', 'differs', 'outside/a', FIRST_ODD, 'Odd', 'repetition'],
      ['process', 'differs', 'process/a', FIRST_ODD, 'Odd', 'process'],
      ['random', 'differs', 'random/a', FIRST_ODD, 'Odd', 'random numbers'],
      ['shared', 'differs', 'shared/a', FIRST_ODD + 2, 'Odd', 'snapshot'],
      ['throws', 'throws', 'throws/a', FIRST_ODD, 'Odd', ''],
      ['uuid', 'differs', 'uuid/a', FIRST_ODD, 'Odd', 'random numbers'],
      ['zone', 'differs', 'zone/a', FIRST_ODD, 'Odd', 'time zone'],
    ])
  })

  test('passes one that is pure, without a word about the others', async () => {
    const { code, stdout } = await run(folder, ['code', 'check', folder.plantFile, '--entity', 'pure'])

    expect(code).toBe(0)
    expect(stdout).toMatch(/^10 events of 2 entities folded under 8 conditions: the same\n$/)
  })
})
