import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isSoak } from '../soak.js'
import { FIXTURES, finish, PackedPackage, ROOT, succeed } from './package.js'

/** The older of both compilers that are promised, under a name of its own. */
const OLDER = 'ts59@npm:typescript@5.9.3'
/** How both are called for a project that has the older one. The newer one is what this package is made with. */
const COMPILERS: Readonly<Record<string, (project: string) => readonly string[]>> = {
  'TypeScript 5.9': (project) => [join(project, 'node_modules/ts59/bin/tsc')],
  'TypeScript 7': () => [join(ROOT, 'node_modules/typescript/bin/tsc'), '--singleThreaded'],
}
const TYPES = '@types/node@20.19.43'
/** Needed by one entry, and by no project that does not use it: the other projects here are without it. */
const PEER = 'xstate@5.33.3'
/** The current Node comes as a package that installs its binary with a script: a fifth of a gigabyte, so it is left to soaks and to CI. */
const CURRENT_NODE = 'node@24.21.0'

const ROUND_TRIP = { bench: 'bus-rtt', meanNs: expect.any(Number) as number }

const packed = new PackedPackage()

beforeAll(() => packed.pack())
afterAll(() => packed.remove())

describe('the tarball', () => {
  test('passes publint', async () => {
    await succeed(process.execPath, [join(ROOT, 'node_modules/publint/src/cli.js'), '--strict', packed.tarball], packed.folder)
  })

  test('carries what runs and none of what made it', async () => {
    const listing = await succeed('tar', ['-tzf', packed.tarball], packed.folder)
    const files = listing
      .trim()
      .split('\n')
      .map((line) => line.replace(/^package\//, ''))

    expect(files).toEqual(
      expect.arrayContaining([
        'dist/apps/cli/main.js',
        'dist/src/index.d.ts',
        'config/default.yaml',
        'native/install.mjs',
        'bench/reference/ping-pong.c',
        'bench/reference/ring.c',
        'bench/reference/recorded-disk.c',
        'bench/reference/disk-room.h',
        'docs/bus.md',
        'LICENSE',
        'CHANGELOG.md',
      ]),
    )
    expect(files.filter((file) => file.startsWith('native/prebuilds/'))).toEqual(
      process.platform === 'linux' ? [`native/prebuilds/linux-${process.arch}/millrace.node`] : [],
    )
    expect(
      files.filter((file) =>
        /^(src|apps|bench\/(?!reference)|test|\.ci|dist\/test)\/|\.map$|buildinfo|\.millrace-|\.(log|tgz)$/.test(file),
      ),
    ).toEqual([])
  })
})

/** What an installed package must do, by the name of the project it is installed in: one line per claim. */
const CLAIMS: readonly (readonly [claim: string, prove: (project: string) => Promise<void>])[] = [
  ['can be imported and runs a plant inline', (project) => runs(project, 'import-all.js', 'imported')],
  ['prints its help', async (project) => expect(await millrace(project, '--help')).toContain('Usage: millrace')],
  ['prints its configuration', async (project) => expect(await millrace(project, 'config')).toContain('bus.capacityBytes')],
  ['runs the first example of the README', (project) => readmeExample(project)],
  ['scaffolds a plant whose tests pass', scaffoldPasses],
]

describe('a project that installed the tarball', () => {
  let project = ''

  beforeAll(async () => {
    project = await packed.install('with-scripts', [OLDER, TYPES, PEER])
  })

  test.each(CLAIMS)('%s', async (_claim, prove) => {
    await prove(project)
  })

  test('measures the round trip of the bus', async () => {
    expect(await roundTrip(process.execPath, project)).toMatchObject(ROUND_TRIP)
  })

  test('measures the throughput of the bus, and prints it with the reference or why there is none', async () => {
    const report = await measurement(process.execPath, project, 'throughput')

    expect(report).toMatch(/^ +bytes +batch +millrace( +ring in C +ratio)?$/m)
    expect(report.match(/^ +(32|256|1024|16384) +(1|16|64) .*$/gm)).toHaveLength(12)
    if (!report.includes('ring in C  ratio')) expect(report).toContain('no ring in C to compare with: there is no C compiler (cc) here')
  })

  test.each(compilations())('compiles with %s and module resolution %s', async (name, resolution) => {
    expect(await compiled(project, name, resolution, 'consumer.ts')).toEqual({ code: 0, text: '' })
  })

  // XState's own declarations do not hold under exactOptionalPropertyTypes, so those of packages are left unchecked here. The slower compiler is left to soaks.
  test.each(Object.keys(COMPILERS).slice(isSoak ? 0 : 1))('compiles a machine of XState with %s', async (name) => {
    expect(await compiled(project, name, 'nodenext', 'statechart.ts', { skipLibCheck: true })).toEqual({ code: 0, text: '' })
  })
})

/** Each compiler with each module resolution. The slower one takes as long as all else here together, so that the half of its work is left to soaks. */
function compilations() {
  const all = Object.keys(COMPILERS).flatMap((name) => (['nodenext', 'bundler'] as const).map((kind) => [name, kind] as const))
  return all.filter(([name, kind]) => isSoak || kind === 'nodenext' || name !== 'TypeScript 5.9')
}

/** Compiles a fixture in a folder of its own. */
async function compiled(project: string, compiler: string, resolution: 'nodenext' | 'bundler', file: string, more: object = {}) {
  const folder = join(project, `${compiler.replaceAll(/\W/g, '-')}-${resolution}-${file.split('.')[0]}`)
  mkdirSync(folder)
  cpSync(join(FIXTURES, file), join(folder, file))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  const compilerOptions = { ...consumerOptions(resolution), ...more }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }))
  return finish(process.execPath, [...(COMPILERS[compiler]?.(project) ?? []), '-p', folder], folder)
}

describe('a project that installed the tarball without install scripts', () => {
  let project = ''

  beforeAll(async () => {
    project = await packed.install('without-scripts', [], ['--ignore-scripts'], 'with-scripts')
  })

  test.each(CLAIMS)('%s', async (_claim, prove) => {
    await prove(project)
  })

  test('measures the round trip of the bus', async () => {
    expect(await roundTrip(process.execPath, project, '--alone')).toMatchObject(ROUND_TRIP)
  })
})

describe('a project whose package has no addon', () => {
  let project = ''

  beforeAll(() => {
    project = packed.copyOf('without-scripts', 'without-addon')
    rmSync(join(project, 'node_modules/millrace/native/prebuilds'), { recursive: true, force: true })
  })

  test('still runs a plant inline', async () => {
    await runs(project, 'import-all.js', 'imported')
  })

  test('names the command that brings it', async () => {
    const { code, text } = await finish(join(project, 'node_modules/.bin/millrace'), ['bench', 'rtt'], project)

    expect(code).toBe(1)
    expect(text).toContain('npm rebuild millrace --foreground-scripts')
  })
})

describe.skipIf(!isSoak && (process.env['CI'] ?? '') === '')(`a project with ${CURRENT_NODE}`, () => {
  let project = ''

  beforeAll(async () => {
    project = packed.copyOf('without-scripts', 'current-node')
    await packed.add(project, [CURRENT_NODE])
  })

  test('runs a plant inline and loads the addon', async () => {
    cpSync(FIXTURES, project, { recursive: true })
    const node = join(project, 'node_modules/.bin/node')

    expect(await succeed(node, ['--version'], project)).toBe(`v${CURRENT_NODE.split('@')[1]}\n`)
    expect(await succeed(node, ['import-all.js'], project)).toContain('imported')
    expect(await roundTrip(node, project, '--alone')).toMatchObject(ROUND_TRIP)
  })
})

async function runs(project: string, fixture: string, expected: string): Promise<void> {
  cpSync(join(FIXTURES, fixture), join(project, fixture))
  expect(await succeed(process.execPath, [fixture], project)).toContain(expected)
}

function millrace(project: string, ...args: readonly string[]): Promise<string> {
  return succeed(join(project, 'node_modules/.bin/millrace'), args, project)
}

/** Of the bus, with the C ping-pong beside it unless it is to be alone. */
async function roundTrip(node: string, project: string, ...words: readonly string[]): Promise<unknown> {
  return JSON.parse(lastLine(await measurement(node, project, 'rtt', '--json', ...words)))
}

/** Other tests run beside this one: a measurement that they spoilt, which says so, is taken again. */
async function measurement(node: string, project: string, ...words: readonly string[]): Promise<string> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const { code, text } = await finish(node, ['node_modules/millrace/dist/apps/cli/main.js', 'bench', ...words, '--smoke'], project)
    if (code !== 0 && /other work interrupted every/.test(text) && Date.now() < deadline) continue
    expect({ code, text }).toMatchObject({ code: 0 })
    return text
  }
}

/** The first JavaScript block of the README, run as it stands there. */
async function readmeExample(project: string): Promise<void> {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const example = /^```(?:js|javascript)\n([\s\S]*?)^```/m.exec(readme)?.[1]
  expect(example, 'the README begins with an example in JavaScript').toBeDefined()
  const folder = join(project, 'readme')
  mkdirSync(folder)
  writeFileSync(join(folder, 'example.js'), example ?? '')
  await succeed(process.execPath, ['example.js'], folder)
}

/** Below the project, so that it finds the package without an installation of its own; what it would install is checked by name. */
async function scaffoldPasses(project: string): Promise<void> {
  await millrace(project, 'init', 'my-plant')
  const plant = join(project, 'my-plant')
  const manifest = JSON.parse(readFileSync(join(plant, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  expect(manifest.dependencies).toEqual({ millrace: `file:${packed.tarball}` })
  expect(readdirSync(plant)).not.toContain('node_modules')
  expect(await succeed('npm', ['test', '--silent'], plant)).toMatch(/^[#ℹ] fail 0$/m)
  expect(existsSync(join(plant, 'data'))).toBe(false)
}

function consumerOptions(resolution: 'nodenext' | 'bundler'): object {
  return {
    target: 'es2022',
    lib: ['es2024'],
    module: resolution === 'nodenext' ? 'nodenext' : 'esnext',
    moduleResolution: resolution,
    strict: true,
    noEmit: true,
    declaration: true,
    exactOptionalPropertyTypes: true,
    types: ['node'],
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? ''
}
