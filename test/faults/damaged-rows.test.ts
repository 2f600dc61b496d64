import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rowsOf } from '#journal/block-rows.js'
import { repairLog, verifyFiles } from '#journal/lmdb/index.js'
import { openSegmentFile } from '#journal/segments/segment-file.js'
import { dataPaths } from '#runtime/data-directory.js'
import { openPlant } from '#runtime/inline-plant.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { Counter } from './counter.js'
import { damageBlockAt } from './damage-block.js'

const SEGMENT = '000000000000.segment'
const ENTITIES = 40
const TIMES = 60

describe('an inline plant that opens a damaged log', () => {
  let folder: PlantFolder

  beforeEach(() => {
    folder = new PlantFolder()
  })

  afterEach(() => {
    folder.remove()
  })

  const open = () => openPlant({ entities: [Counter], data: folder.data })

  /** Which of the entities take no command, and how far the others have counted. */
  async function ask(names: readonly string[]): Promise<{ fenced: string[]; counts: number[] }> {
    const plant = await open()
    const asked = names.map(async (name) => plant.entity(Counter, name).count({ n: 0 }))
    const settled = await Promise.allSettled(asked)
    await plant.close()
    const fenced = names.filter((_, index) => JSON.stringify(reasonOf(settled[index])).includes('ROWS_FENCED'))
    const counts = settled.flatMap((one) => (one.status === 'fulfilled' && one.value.ok ? [one.value.reply.count] : []))
    return { fenced, counts }
  }

  test('in a group of a sealed block fences those who have rows in it, and nobody else', async () => {
    const names = Array.from({ length: ENTITIES }, (_, index) => `c${index}`)
    const plant = await open()
    await Promise.all(Array.from({ length: ENTITIES * TIMES }, (_, n) => plant.entity(Counter, names[n % ENTITIES] as string).count({ n })))
    await plant.journal.seal()
    const path = join(folder.data, 'journal', 'log', SEGMENT)
    const file = openSegmentFile(path, SEGMENT)
    const block = file.block(0)
    const group = block.header.groups.at(-1) as (typeof block.header.groups)[number]
    const rows = rowsOf(block.bytes, plant.journal, { rankMin: group.rank, rankMax: group.rank + group.rowCount - 1 })
    const at = (file.footer.blocks[0] as { offset: number }).offset + group.offset + (group.bytes >> 1)
    file.close()
    await plant.close()
    const hit = [...new Set(rows.map(({ entity }) => entity.slice('counter/'.length)))].sort()
    const bytes = readFileSync(path)
    bytes[at] = (bytes[at] as number) ^ 1
    writeFileSync(path, bytes)

    const { fenced, counts } = await ask(names)

    expect(hit.length).toBeGreaterThan(0)
    expect(hit.length).toBeLessThan(ENTITIES)
    expect(fenced.sort()).toEqual(hit)
    expect(counts).toEqual(Array.from({ length: ENTITIES - hit.length }, () => TIMES + 1))
  })

  test.each(['rows', 'header'] as const)('in the %s of a block that is not sealed fences whom it belongs to', async (where) => {
    const plant = await open()
    for (const name of ['a', 'b', 'a', 'b', 'b']) await plant.entity(Counter, name).count({ n: 1 })
    await plant.close()
    damageBlockAt(folder.data, 2, where)

    const answered = await ask(['a', 'b'])

    expect(answered).toEqual({ fenced: ['a'], counts: [4] })
  })
})

describe('an inline plant on the log of one that was killed, damaged behind what that had saved', () => {
  let folder: PlantFolder

  beforeAll(async () => {
    folder = new PlantFolder()
    const plant = await openPlant({ entities: [Counter], data: folder.data })
    for (const name of ['a', 'b', 'c', 'a', 'b', 'b']) await plant.entity(Counter, name).count({ n: 1 })
    cpSync(folder.data, join(folder.path, 'killed'), { recursive: true, filter: (path) => !path.endsWith('plant.lock') })
    await plant.close()
  })

  afterAll(() => {
    folder.remove()
  })

  test.each(['identity', 'values'] as const)('in the %s of its rows fences whom it hit, and stores nothing for it', async (part) => {
    const data = join(folder.path, part)
    cpSync(join(folder.path, 'killed'), data, { recursive: true })
    damageBlockAt(data, 3, part)
    const plant = await openPlant({ entities: [Counter], data })
    const { endPosition } = plant.journal

    const settled = await Promise.allSettled(['a', 'b', 'c', 'd'].map(async (name) => plant.entity(Counter, name).count({ n: 1 })))
    const stored = plant.journal.endPosition - endPosition
    await plant.close()
    damageBlockAt(data, 3, part)
    const mended = await openPlant({ entities: [Counter], data })
    const after = await mended.entity(Counter, 'a').count({ n: 1 })
    await mended.close()

    expect(settled.map((one) => (one.status === 'fulfilled' && one.value.ok ? one.value.version : one.status))).toEqual([
      'rejected',
      4,
      2,
      1,
    ])
    expect(String(reasonOf(settled[0]))).toContain('ROWS_FENCED')
    expect(stored).toBe(3)
    expect(after).toMatchObject({ ok: true, version: 3 })
  })

  test('in a header is not opened', async () => {
    const data = join(folder.path, 'header')
    cpSync(join(folder.path, 'killed'), data, { recursive: true })
    damageBlockAt(data, 3, 'header')

    await expect(openPlant({ entities: [Counter], data })).rejects.toThrow(`millrace log repair --data ${data}`)
  })
})

describe('a log that went on behind damage', () => {
  test('is repaired as any other: clean, with the same entity fenced, and the others where they were', async () => {
    const folder = new PlantFolder()
    try {
      const plant = await openPlant({ entities: [Counter], data: folder.data })
      for (const name of ['a', 'b', 'a', 'b']) await plant.entity(Counter, name).count({ n: 1 })
      await plant.close()
      damageBlockAt(folder.data, 3)
      const before = await counted(folder)

      const { gone } = await repairLog(dataPaths(folder.data).journal, { isDryRun: false })
      const findings = []
      for await (const finding of verifyFiles(dataPaths(folder.data).journal)) findings.push(finding)
      const after = await counted(folder)

      expect(before).toEqual([3, 'ROWS_FENCED'])
      expect(gone).toMatchObject([{ firstPosition: 3, endPosition: 4, entities: [{ entity: 'counter/b', from: 2, to: 2 }] }])
      expect(findings).toMatchObject([{ severity: 'note', block: 3, entities: ['counter/b'] }])
      expect(after).toEqual([4, 'ROWS_FENCED'])
    } finally {
      folder.remove()
    }
  })

  async function counted(folder: PlantFolder): Promise<unknown[]> {
    const plant = await openPlant({ entities: [Counter], data: folder.data })
    const settled = await Promise.allSettled(['a', 'b'].map(async (name) => plant.entity(Counter, name).count({ n: 2 })))
    await plant.close()
    return settled.map((one) =>
      one.status === 'fulfilled' && one.value.ok ? one.value.reply.count : /ROWS_FENCED/.exec(JSON.stringify(reasonOf(one)))?.[0],
    )
  }
})

function reasonOf(settled: PromiseSettledResult<unknown> | undefined): unknown {
  return settled?.status === 'rejected' ? String(settled.reason) : settled?.value
}
