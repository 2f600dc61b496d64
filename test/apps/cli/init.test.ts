import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseMap } from '#ingest/map-file.js'
import { loadConfig } from '#runtime/config.js'
import { runCli } from './run-cli.js'

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-init-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('millrace init in a folder that is new or empty', () => {
  test('writes a plant with a valid configuration and a valid map, and says what comes next', async () => {
    const { code, stdout } = await runCli(['init', 'My Plant'], { cwd: folder })
    const plant = join(folder, 'My Plant')

    expect(code).toBe(0)
    expect(stdout).toContain('npm install')
    expect(readdirSync(plant)).toEqual(
      expect.arrayContaining(['package.json', 'plant.js', 'press.js', 'press.map.yaml', 'press.test.js', 'millrace.yaml']),
    )
    expect(JSON.parse(readFileSync(join(plant, 'package.json'), 'utf8'))).toMatchObject({ name: 'my-plant', type: 'module' })
    expect(loadConfig({ plantFile: join(plant, 'plant.js'), env: {} }).file).toBe(join(plant, 'millrace.yaml'))
    expect(parseMap(readFileSync(join(plant, 'press.map.yaml'), 'utf8'), 'press.map.yaml')).toMatchObject({
      entityType: 'press',
      command: 'sample',
    })
  })

  test('says to a program what it wrote', async () => {
    mkdirSync(join(folder, 'empty'))

    const { stdout } = await runCli(['init', 'empty', '--json'], { cwd: folder })

    const said = JSON.parse(stdout) as { folder: string; files: string[] }
    expect(said.folder).toBe(join(folder, 'empty'))
    expect(said.files.toSorted()).toEqual(readdirSync(said.folder).toSorted())
  })
})

describe('millrace init in a folder that is not empty', () => {
  test('refuses by name and touches nothing', async () => {
    writeFileSync(join(folder, 'mine.txt'), 'mine')

    const { code, stderr } = await runCli(['init', folder])

    expect(code).toBe(1)
    expect(stderr).toContain(`millrace: the folder is not empty folder=${folder} has=mine.txt`)
    expect(readdirSync(folder)).toEqual(['mine.txt'])
  })

  test('refuses a file', async () => {
    writeFileSync(join(folder, 'mine.txt'), 'mine')

    const { code, stderr } = await runCli(['init', 'mine.txt'], { cwd: folder })

    expect(code).toBe(1)
    expect(stderr).toContain('millrace: not a folder')
  })
})
