import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSegmentFile } from '#journal/segments/segment-file.js'
import { type Row, readRows } from '#journal/index.js'
import { openPlant } from '#runtime/inline-plant.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { ProgramUnderTest, run } from '../apps/program-under-test.js'
import { Counter } from './counter.js'

const MAIN = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url))

const SEGMENT = '000000000000.segment'
const ENTITIES = 40
const COUNTS = 6000

interface Gone {
  readonly segment: string
  readonly entities: readonly { readonly entity: string; readonly from: number; readonly to: number }[]
  readonly positions: readonly (readonly [number, number])[]
}

describe('log repair of a plant in whose sealed file a bit is wrong', () => {
  const folder = new PlantFolder()
  let before: readonly Row[]
  let gone: Gone

  beforeAll(async () => {
    const plant = await openPlant({ entities: [Counter], data: folder.data })
    const count = (times: number) =>
      Promise.all(Array.from({ length: times }, (_, n) => plant.entity(Counter, `c${n % ENTITIES}`).count({ n })))
    await count(COUNTS)
    await plant.journal.seal()
    await count(ENTITIES)
    before = await allRows(readRows(plant.journal, { from: 0 }))
    await plant.close()
    const path = join(folder.data, 'journal', 'log', SEGMENT)
    const file = openSegmentFile(path, SEGMENT)
    const block = file.footer.blocks[0] as { offset: number }
    const group = file.block(0).header.groups.at(-1) as { offset: number; bytes: number }
    file.close()
    const bytes = readFileSync(path)
    const at = block.offset + group.offset + (group.bytes >> 1)
    bytes[at] = (bytes[at] as number) ^ 1
    writeFileSync(path, bytes)
  })

  afterAll(() => {
    expect(folder.remove()).toEqual([])
  })

  const isGone = ({ entity, version }: { entity: string; version: number }) =>
    gone.entities.some((one) => one.entity === entity && version >= one.from && version <= one.to)

  /** Where an event was that is gone one stands that says so; which of these positions had which of them is not known. */
  function expectRepaired(rows: readonly Pick<Row, 'position' | 'entity' | 'version' | 'event'>[]): void {
    const shown = (row: (typeof rows)[number]) => [row.position, row.entity, row.version, row.event]
    const names = (all: typeof rows) => all.map(({ entity, version }) => `${entity} ${version}`).sort()
    const fenced = rows.filter(({ event }) => event === '#fenced')
    const lost = before.filter(isGone)
    expect(rows.filter(({ event }) => event !== '#fenced').map(shown)).toEqual(before.filter((row) => !isGone(row)).map(shown))
    expect(fenced.map(({ position }) => position)).toEqual(lost.map(({ position }) => position))
    expect(names(fenced)).toEqual(names(lost))
  }

  test('tells which events are gone, fences them and keeps the rest', async () => {
    const dry = await run(folder, ['log', 'repair', '--dry-run', '--json'])
    // A file may have a KiB and no more: as on a disk that fails, writes do and the process lives on.
    const script = `trap '' XFSZ; ulimit -f 1; exec "$0" "$@"`
    const words = [MAIN, 'log', 'repair', '--yes', '--json', '--data', folder.data]
    const failed = spawnSync('bash', ['-c', script, process.execPath, ...words], { encoding: 'utf8', timeout: 60_000 })
    const repaired = new ProgramUnderTest(['log', 'repair', '--yes', '--data', folder.data], { cwd: folder.path })
    const code = await repaired.ended
    const verified = await run(folder, ['log', 'verify', '--json'])
    const queried = await run(folder, ['query', '--json'])

    gone = (dry.json['gone'] as Gone[])[0] as Gone
    const lost = before.filter(isGone)
    expect(dry).toMatchObject({
      code: 1,
      json: { ok: false, repaired: false, rewritten: [SEGMENT], gone: [{ segment: SEGMENT }], beyond: [] },
    })
    expect(lost.length).toBeGreaterThan(0)
    expect(lost.length).toBeLessThan(COUNTS)
    expect(lost.map(({ position }) => position)).toEqual(
      gone.positions.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index)),
    )
    expect(JSON.parse(failed.stdout)).toMatchObject({
      error: { code: 'ERR_REPAIR_DISK', message: expect.stringContaining('run millrace log repair again') },
    })
    expect([code, repaired.stderr]).toEqual([0, ''])
    expect(repaired.stdout).toContain(`gone: segment ${SEGMENT}, ${lost.length} events, positions `)
    for (const { entity, from, to } of gone.entities) expect(repaired.stdout).toContain(`  ${entity}: versions ${from} to ${to}\n`)
    expect(verified).toMatchObject({ code: 0, json: { ok: true, findings: [{ severity: 'note', segment: '000000000000.1.segment' }] } })
    expectRepaired(queried.lines as unknown as Row[])
  })

  test('leaves a log that is exported, backed up and restored', async () => {
    const to = (name: string) => join(folder.path, name)
    const exported = await run(folder, ['log', 'export', '--format', 'jsonl', '--out', to('rows.jsonl'), '--json'])
    const saved = await run(folder, ['log', 'backup', to('backup'), '--json'])
    const restored = new ProgramUnderTest(['log', 'restore', to('backup'), '--json', '--data', to('again')], { cwd: folder.path })
    await restored.ended
    const queried = new ProgramUnderTest(['query', '--json', '--data', to('again')], { cwd: folder.path })
    await queried.ended

    expect([exported.code, exported.stderr]).toEqual([0, ''])
    expect(readFileSync(to('rows.jsonl'), 'utf8').trimEnd().split('\n')).toHaveLength(before.length)
    expect(saved).toMatchObject({ code: 0 })
    expect(restored.json).toMatchObject([{ endPosition: before.length, findings: [{ severity: 'note' }] }])
    expectRepaired(queried.json as Row[])
  })

  test('leaves a log that a plant starts on: an entity that lost rows says so, another works', async () => {
    const hit = gone.entities[0]?.entity as string
    const other = before.find(({ entity }) => gone.entities.every((one) => one.entity !== entity))?.entity as string
    const plant = await openPlant({ entities: [Counter], data: folder.data })
    const nameOf = (entity: string) => entity.slice('counter/'.length)

    const refused = await plant
      .entity(Counter, nameOf(hit))
      .count({ n: 1 })
      .catch((error) => error)
    const taken = await plant.entity(Counter, nameOf(other)).count({ n: 1 })
    await plant.close()

    expect(String(refused)).toContain('ROWS_FENCED')
    expect(taken).toMatchObject({ ok: true, reply: { count: (COUNTS + ENTITIES) / ENTITIES + 1 } })
  })
})

async function allRows(rows: AsyncIterable<Row>): Promise<Row[]> {
  const all: Row[] = []
  for await (const row of rows) all.push(row)
  return all
}
