import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineEntity, f64 } from '#entity/index.js'
import { openPlant } from '#runtime/inline-plant.js'
import { PlantFolder } from './plant-folder.js'
import { run } from './program-under-test.js'

const MAIN = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url))
const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64('°C') }, Opened: {} },
  commands: { sample: { temperature: f64('°C') }, open: {} },
  initial: () => ({ count: 0 }),
  decide: { sample: (_state, command, { emit }) => emit.Sampled(command), open: (_state, _command, { emit }) => emit.Opened({}) },
  apply: { Sampled: (state) => void state.count++, Opened() {} },
})
const SAMPLES = 1000

describe('log export', () => {
  let folder: PlantFolder
  const out = (name: string) => join(folder.path, name)

  beforeAll(async () => {
    folder = new PlantFolder()
    const plant = await openPlant({ entities: [Press], data: folder.data })
    await Promise.all(Array.from({ length: SAMPLES }, (_, index) => plant.entity(Press, `p${index % 10}`).sample({ temperature: index })))
    await plant.entity(Press, 'p0').open({})
    await plant.close()
  })

  afterAll(() => {
    expect(folder.remove()).toEqual([])
  })

  test('writes Parquet, tells what it wrote as JSON, and does not overwrite it', async () => {
    const words = ['log', 'export', '--format', 'parquet', '--out', out('all'), '--json']
    const { code, json } = await run(folder, words)
    const again = await run(folder, words)

    expect(code).toBe(0)
    expect(json).toMatchObject({ rows: SAMPLES + 1, format: 'parquet', files: [{ event: 'press.Sampled' }, { event: 'press.Opened' }] })
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(out('all/press.Sampled.parquet')) })
    expect(rows.map(({ temperature }) => temperature as number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: SAMPLES }, (_, index) => index),
    )
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('is there already') })
  })

  test('writes the rows of a selection as CSV', async () => {
    const { code, stdout } = await run(folder, [
      'log',
      'export',
      '--out',
      out('p1.csv'),
      '--entity',
      'press/p1',
      '--where',
      'temperature > 900',
    ])

    expect(code).toBe(0)
    expect(stdout).toMatch(/^10 rows of positions 0 to 1001, /)
    expect(readFileSync(out('p1.csv'), 'utf8').trimEnd().split('\n')).toHaveLength(11)
  })

  test.each([
    ['no place', [], '--out'],
    ['a name and a format that differ', ['--out', 'rows.csv', '--format', 'parquet'], 'another format'],
    ['several event types in one table', ['--out', 'rows.csv'], 'name a folder'],
  ])('refuses %s and leaves nothing', async (_, words, said) => {
    const before = readdirSync(folder.path)

    const { code, stderr } = await run(folder, ['log', 'export', ...words])

    expect(code).toBe(said === 'name a folder' ? 1 : 2)
    expect(stderr).toContain(said)
    expect(readdirSync(folder.path)).toEqual(before)
  })

  test('says when the disk is full, and leaves nothing that looks whole', () => {
    // A file may have 64 KiB and no more; as on a full disk, the write fails and the process lives on.
    const script = `trap '' XFSZ; ulimit -f 64; exec "$0" "$@"`
    const words = [MAIN, 'log', 'export', '--data', folder.data, '--out', out('rows.jsonl')]

    const { status, stderr } = spawnSync('bash', ['-c', script, process.execPath, ...words], { encoding: 'utf8', timeout: 60_000 })

    expect(stderr).toMatch(/the disk is full, and nothing of the export is kept path=\S+rows\.jsonl\.part code=EFBIG: make room/)
    expect(status).toBe(1)
    expect(existsSync(out('rows.jsonl')) || existsSync(out('rows.jsonl.part'))).toBe(false)
  })
})
