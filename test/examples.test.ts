import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readMapFile } from '#ingest/map-file.js'
import type { PlantDefinition } from '#runtime/plant-definition.js'

const examples = fileURLToPath(new URL('../examples', import.meta.url))
const main = fileURLToPath(new URL('../dist/apps/cli/main.js', import.meta.url))

let folder: string

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-examples-')))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a program of Node in the test's folder and answers what it printed. */
function node(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', env: environment() })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

/** Without what the runner of these tests put there: node --test would take itself for a part of it. */
function environment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(NODE_|VITEST|MILLRACE_)/.test(name))
  return { ...Object.fromEntries(inherited), MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: '1', MILLRACE_PROCESSES__SPARES: '0' }
}

describe('the example first', () => {
  const example = join(examples, 'first', 'main.js')

  test('is the first example of the README, word for word', () => {
    const readme = readFileSync(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8')

    expect(/^```js\n([\s\S]*?)^```/m.exec(readme)?.[1]).toBe(readFileSync(example, 'utf8'))
    expect(readme).toContain(`\n${node(example)}\`\`\``)
  })

  test('goes on where it ended, until its press is out of order', () => {
    const runs = [node(example), node(example), node(example)]

    expect(runs[1]).toContain('{ ok: true, version: 6, reply: { alarms: 1 } }')
    expect(runs[2]).toMatch(/ok: false,\s+version: 8,\s+refused: 'OUT_OF_ORDER'/)
  })
})

describe('the example press', () => {
  test('passes its own test', () => {
    expect(node('--test', join(examples, 'press', 'press.test.js'))).toMatch(/^[#ℹ] pass 4\n[#ℹ] fail 0$/m)
  })

  test('runs as a plant of processes that takes a command and stops', async () => {
    const plant = spawn(process.execPath, [main, 'up', join(examples, 'press', 'plant.js'), '--json'], { cwd: folder, env: environment() })
    const ended = new Promise<number | null>((resolve) => plant.once('exit', resolve))
    try {
      await new Promise<void>((resolve, reject) => {
        plant.stdout.once('data', () => resolve())
        void ended.then((code) => reject(new Error(`the plant ended with ${code}`)))
      })

      expect(node(main, 'send', 'press/press-1', 'sample', '{"temperature":95,"force":3}', '--json')).toContain('"ok":true')
      expect(JSON.parse(node(main, 'get', 'press/press-1', '--json'))).toMatchObject({ version: 2, state: { temperature: 95, alarms: 1 } })
      node(main, 'down')
      expect(await ended).toBe(0)
    } finally {
      plant.kill('SIGKILL')
      await ended
    }
  }, 60_000)
})

describe('the example press-line', () => {
  const example = join(examples, 'press-line', 'main.js')

  test('runs two hours of a cell, restarts what breaks, and ends with its OEE table', () => {
    const lines = node(example).trim().split('\n')

    expect(lines[0]).toBe('supervised: press/press-7: the die is broken')
    expect(lines[1]).toMatch(/^alarms: press-1-jam \d+, .*press-10-jam \d+$/)
    expect(lines[2]).toMatch(/^ +availability +performance +quality +OEE$/)
    expect(lines).toHaveLength(13)
    for (const line of lines.slice(3)) expect(line).toMatch(/^press-\d+( +(\d\d|100)\.\d %){4}$/)
  }, 60_000)

  test('is of less than 200 lines', () => {
    expect(readFileSync(example, 'utf8').split('\n').length).toBeLessThan(200)
  })
})

describe('the example bus', () => {
  test('adds up what came from another process', () => {
    expect(node(join(examples, 'bus', 'main.js'))).toBe('ten numbers came over shared memory; their sum is 55\n')
  })

  test('is of ten lines an end, and typed', () => {
    const ends = ['receiver.js', 'sender.js'].map((file) => join(examples, 'bus', file))
    const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
    const options = ['--allowJs', '--checkJs', '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node']

    const { status, stdout } = spawnSync(process.execPath, [compiler, '--ignoreConfig', ...options, ...ends], {
      cwd: join(examples, 'bus'),
      encoding: 'utf8',
    })

    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    const lines = (file: string) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('//'))
    expect(ends.filter((file) => lines(file).length > 10)).toEqual([])
  })
})

describe('the maps of the example ingest', () => {
  const folderOfMaps = join(examples, 'ingest')

  test.each(readdirSync(folderOfMaps).filter((name) => name.endsWith('.map.yaml')))(
    '%s makes commands of an entity type beside it',
    async (name) => {
      const map = await readMapFile(join(folderOfMaps, name))
      const { default: plant } = (await import(pathToFileURL(join(folderOfMaps, 'plant.js')).href)) as { default: PlantDefinition }

      const command = plant.entities.find((entity) => entity.name === map.entityType)?.commands[map.command] ?? {}

      expect(map.fields.map(({ field, kind, unit, isOptional }) => [field, kind, unit, isOptional])).toEqual(
        Object.entries(command).map(([field, { kind, unit, isOptional }]) => [field, kind, unit, isOptional]),
      )
    },
  )

  test('take a file in without more ado', () => {
    const file = join(folder, 'machine_temperature_system_failure.csv')
    writeFileSync(file, 'timestamp,value\n2013-12-02 21:15:00,73.96732207\n2013-12-02 21:20:00,74.93588199999998\n')

    const summary = JSON.parse(node(main, 'ingest', 'csv', file, '--map', join(folderOfMaps, 'nab.map.yaml'), '--json')) as unknown

    expect(summary).toMatchObject({ rows: 2, accepted: 2, rejected: 0, durable: 2 })
    const rows = node(main, 'query', '--entity', 'thermometer/machine_temperature_system_failure', '--json').trim().split('\n')
    expect(rows.map((row) => (JSON.parse(row) as { data: unknown }).data)).toEqual([
      { temperature: 73.96732207 },
      { temperature: 74.93588199999998 },
    ])
  }, 60_000)
})
