import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CliResult, runCliHere } from './cli/run-cli.js'
import { COUNTER, PlantFolder } from './plant-folder.js'
import { run, startPlant, until } from './program-under-test.js'

let folder: PlantFolder

beforeEach(() => {
  folder = new PlantFolder()
})

afterEach(async () => {
  // The reader of a tool that has ended ends by itself, within moments.
  await until('nothing is left of what was run', () => folder.processes().length === 0)
  expect(folder.remove()).toEqual([])
})

/** As `run`, in this process: for what is said before anything else is started. */
async function runHere(words: readonly string[]): Promise<CliResult> {
  return runCliHere([...words, '--data', folder.data])
}

const canLoadTypeScript = 'typescript' in process.features && process.features.typescript !== false

describe('a plant module that is none', () => {
  test.each<[string, string, string, RegExp]>([
    ['is not there', 'other.js', '', /there is no plant module file=\S+other\.js/],
    ['throws', 'plant.js', 'throw new Error("no licence")', /the plant module could not be loaded: no licence/],
    [
      'exports no plant',
      'plant.js',
      'export default { entities: [] }',
      /the default export of the plant module is not a plant.*definePlant/,
    ],
    ['exports nothing', 'plant.js', '', /the default export of the plant module is not a plant/],
    [
      'has no entities',
      'plant.js',
      "import { definePlant } from 'millrace'; export default definePlant({ entities: [] })",
      /a plant has no entity types/,
    ],
    ['has an entity without apply', 'plant.js', COUNTER.replace(/apply: \{.*?\},\n\}\)/s, '})'), /counter/],
    ['has a field of no kind', 'plant.js', COUNTER.replace('{ Counted: { n: i32() } }', '{ Counted: { n: i32 } }'), /Counted.*n/],
    ['has two entities of one name', 'plant.js', COUNTER.replace('[Counter]', '[Counter, Counter]'), /counter/],
  ])('that %s keeps the plant from starting', async (_what, file, text, said) => {
    const path = file === 'plant.js' ? folder.write(file, text) : join(folder.path, file)

    expectRefused(await runHere(['up', path]), said)
  })

  test.each<[string, string, RegExp]>([
    ['does not parse', 'export default {{', /the plant module could not be loaded: .*--debug/s],
    ['imports what is not there', "import 'no-such-package'", /could not be loaded: Cannot find package 'no-such-package'/],
  ])('that %s keeps the plant from starting', async (_what, text, said) => {
    expectRefused(await run(folder, ['up', folder.write('plant.js', text)]), said)
  })

  function expectRefused({ code, stderr }: { readonly code: number | string; readonly stderr: string }, said: RegExp): void {
    expect(stderr).toMatch(/^millrace: /)
    expect(stderr).toMatch(said)
    expect(stderr).not.toMatch(/fault in Millrace/)
    expect(code).toBe(1)
    expect(folder.processes()).toEqual([])
  }

  test.skipIf(canLoadTypeScript)('in TypeScript is refused by a Node that cannot load it, with the ways out', async () => {
    const path = folder.write('plant.ts', 'export default 1')

    const { code, stderr } = await run(folder, ['up', path])

    expect(code).toBe(1)
    expect(stderr).toMatch(/does not load TypeScript .*compile it with tsc and name the \.js file, or run Node 24/)
  })

  test('can be mended: the same directory takes the right one', async () => {
    folder.write('plant.js', 'export default 1')
    await run(folder, ['up', folder.plantFile])
    folder.write('plant.js', COUNTER)

    const { up } = await startPlant(folder)
    up.kill('SIGTERM')

    expect(await up.ended).toBe(0)
  })
})

describe('a module that changed since its plant ran', () => {
  let ran: PlantFolder

  beforeAll(async () => {
    ran = new PlantFolder()
    await run(ran, ['send', 'counter/a', 'count', '{"n":1}', '--plant', ran.plantFile])
  })

  afterAll(() => {
    expect(ran.remove()).toEqual([])
  })

  test('to one that throws keeps a stopped plant from being asked for a state, and leaves nobody behind', async () => {
    ran.write('plant.js', 'throw new Error("no licence")')

    const { code, stderr } = await run(ran, ['get', 'counter/a'])

    expect(code).toBe(1)
    expect(stderr).toMatch(/could not be loaded: no licence/)
    await until('the reader of the log is gone', () => ran.processes().length === 0, 2000)
  })

  test.each<[string, (plant: string) => string, RegExp]>([
    ['lost a field', (plant) => plant.replace('Counted: { n: i32() }', 'Counted: {}'), /counter.*Counted.*\bn\b/s],
    [
      'has a field of another kind',
      (plant) => plant.replace('Counted: { n: i32() }', 'Counted: { n: text() }').replace('i32 }', 'i32, text }'),
      /counter.*Counted.*\bn\b/s,
    ],
  ])('and %s is refused while the log has events of it', async (_what, change, said) => {
    ran.write('plant.js', change(COUNTER))

    const up = await run(ran, ['up', ran.plantFile])

    expect(up.stderr).toMatch(said)
    expect(up.code).toBe(1)
    expect(ran.processes()).toEqual([])
  })

  test('and gained a field with a default goes on', async () => {
    ran.write(
      'plant.js',
      COUNTER.replace('Counted: { n: i32() }', 'Counted: { n: i32(), by: i32({ default: 1 }) }').replace(
        'state.count++',
        'state.count += event.by',
      ),
    )

    const sent = await run(ran, ['send', 'counter/a', 'count', '{"n":2}', '--json'])

    expect(sent.json).toEqual({ ok: true, version: 2, reply: { count: 2 } })
    expect((await run(ran, ['get', 'counter/a', '--json'])).json).toMatchObject({ state: { count: 2, last: 2 } })
  })
})

describe('a data directory without a plant', () => {
  test.each([['get', 'counter/a'], ['query', '--json'], ['tail'], ['log', 'verify']])('has no log for %s %s', async (...words) => {
    mkdirSync(folder.data)

    const { code, stderr } = await runHere(words)

    expect(code).toBe(1)
    expect(stderr).toMatch(/^millrace: there is no log in this data directory data=\S+data: name the directory that/)
    expect(existsSync(join(folder.data, 'journal'))).toBe(false)
  })

  test.each([['status'], ['down']])('has nobody to ask for its %s', async (word) => {
    const { code, stderr } = await runHere([word])

    expect(code).toBe(1)
    expect(stderr).toMatch(/^millrace: .*millrace up/)
  })

  test('has no code to upgrade', async () => {
    const absent = await runCliHere(['code', 'upgrade', 'absent.js', '--data', folder.data, '--json'])
    const stopped = await runCliHere(['code', 'upgrade', folder.plantFile, '--data', folder.data, '--json'])

    expect([absent.code, stopped.code]).toEqual([1, 1])
    expect(JSON.parse(absent.stdout)).toMatchObject({ error: { code: 'ERR_PLANT_MODULE' } })
    expect(JSON.parse(stopped.stdout)).toMatchObject({ error: { code: 'ERR_NO_PLANT' } })
  })

  test('asks which plant a command is for', async () => {
    const { code, stderr } = await runHere(['send', 'counter/a', 'count', '{"n":1}'])

    expect(code).toBe(1)
    expect(stderr).toMatch(/no plant has run on this data directory yet .*--plant/)
  })

  test('that is a file is refused', async () => {
    writeFileSync(folder.data, 'x')

    const { code, stderr } = await runHere(['up', folder.plantFile])

    expect(code).toBe(1)
    expect(stderr).toMatch(/^millrace: .*data/)
    expect(readFileSync(folder.data, 'utf8')).toBe('x')
  })
})

describe('a configuration that is wrong', () => {
  test.each<[string, Record<string, string>, RegExp]>([
    ['an unknown key', { 'millrace.yaml': 'workers:\n  cuont: 2\n' }, /millrace\.yaml:2.*cuont/],
    ['a bad value', { 'millrace.yaml': 'workers:\n  count: many\n' }, /millrace\.yaml:2/],
    ['an address beyond loopback without token and TLS', { 'millrace.yaml': 'http:\n  host: 0.0.0.0\n' }, /http\.host|loopback/],
  ])('by %s keeps the plant from starting and names the line', async (_what, files, said) => {
    for (const [name, text] of Object.entries(files)) folder.write(name, text)

    const { code, stderr } = await runHere(['up', folder.plantFile])

    expect(code).toBe(1)
    expect(stderr).toMatch(said)
  })

  test('by more shared memory than there is says so with the numbers', async () => {
    const { code, stderr } = await run(folder, ['up', folder.plantFile], {
      MILLRACE_BUS__CAPACITY_BYTES: '1GiB',
      MILLRACE_WORKERS__COUNT: '64',
    })

    expect(code).toBe(1)
    expect(stderr).toMatch(/\/dev\/shm.*\d{6,}/)
  })
})

describe('a question asked wrongly', () => {
  test.each<[readonly string[], RegExp]>([
    [['up', 'plant.js', '--bogus'], /unknown option '--bogus'/],
    [['send', 'counter/a'], /missing required argument 'command'/],
    [['send', 'counter/a', 'count', 'not json'], /not JSON/],
    [['send', 'counter/a', 'count', '[]'], /not a JSON object/],
    [['send', 'counter/a', 'count', '{}', '--source', 'me'], /--source and --sequence go together/],
    [['query', '--from', 'start'], /not a whole number/],
    [['query', '--since', 'yesterday'], /not a time/],
    [['tail', '--lines', '-1'], /not a whole number/],
    [['drill', '--kill', 'everybody'], /no such process.*one of worker, journal, gateway, supervisor/],
    [['drill', '--times', '0'], /not a whole number/],
    [['drill', '--scenario', 'flood,rain'], /no such scenario.*all, or some of kill, stop/],
    [['drill', '--chaos', '--minutes', '0'], /not a number above 0/],
    [['drill', '--chaos', '--kill', 'worker'], /only one of these at a time/],
    [['demo', '--sabotage', 'spill'], /no such sabotage.*lose, duplicate, reorder/],
    [['demo', '--sabotage', 'lose-timer'], /no such sabotage.*lose, duplicate, reorder/],
    [['drill', '--sabotage', 'lose-timer'], /nothing of this drill could be spoilt so.*add --scenario timers/],
    [['ingest', 'csv', 'file.csv'], /there is no --map/],
  ])('ends with 2 and says what is wrong: %j', async (words, said) => {
    const { code, stdout, stderr } = await runCliHere([...words, '--data', folder.data])

    expect(stderr).toMatch(said)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })
})
