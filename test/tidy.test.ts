import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { checkFiles, checkTopLevel, FILE_LINES_MAX, readSources } from './tidy/files.js'
import { checkImports, importsOf, type Rooms } from './tidy/rooms.js'

/**
 * The rooms from the ground up. A room imports only what stands above it here; `journal` is the port with its formats, its adapters are rooms
 * of their own, so that naming `journal` does not let one in. Changing this table is a decision about the design, not a way to make a
 * test pass.
 */
const JOURNAL = ['base', 'schema', 'journal', 'journal/columns', 'journal/segments', 'journal/query']
const UP_TO_PROCESSES = ['base', 'shm', 'bus', 'schema', 'entity', 'journal', 'actors', 'serving', 'shards', 'reading', 'processes']
const ROOMS: Rooms = {
  imports: {
    base: [],
    shm: ['base'],
    bus: ['base', 'shm'],
    schema: ['base'],
    entity: ['base', 'schema'],
    journal: ['base', 'schema', 'journal/columns'],
    'journal/columns': ['base', 'schema', 'journal'],
    'journal/segments': ['base', 'schema', 'journal', 'journal/columns'],
    'journal/query': ['base', 'schema', 'journal', 'journal/columns', 'journal/segments'],
    'journal/in-memory': JOURNAL,
    'journal/lmdb': JOURNAL,
    // Which worker has what: a table in shared memory that doors and workers look at for each command.
    shards: ['base'],
    // A worker holds the near end of the journal's port; the far end it never sees.
    actors: ['base', 'shards', 'bus', 'schema', 'entity', 'journal', 'serving'],
    serving: ['base', 'bus', 'schema', 'journal'],
    reading: ['base', 'schema', 'entity', 'journal', 'journal/query'],
    export: ['base', 'schema', 'journal', 'journal/query'],
    backup: ['base', 'journal'],
    processes: ['base', 'shm'],
    recovery: [...UP_TO_PROCESSES, 'journal/in-memory'],
    ingest: ['base', 'bus', 'schema', 'entity', 'shards'],
    effects: ['base', 'bus', 'schema', 'entity'],
    targets: ['base', 'journal', 'reading', 'ingest'],
    drills: [...UP_TO_PROCESSES, 'journal/in-memory', 'recovery', 'ingest'],
    plant: ['base', 'entity', 'ingest'],
    packml: ['base', 'schema', 'entity'],
    xstate: ['base', 'schema', 'entity'],
    runtime: ['*'],
    'index.ts': ['*'],
    'journal.ts': ['journal', 'journal/in-memory', 'journal/lmdb', 'reading'],
    'testing.ts': ['*'],
    // Programs put rooms together that runtime composed for them. What they must not know is the data path and the disk: shm, actors,
    // serving, shards and the journal's adapters are missing here.
    apps: [
      ...[
        'base',
        'bus',
        'schema',
        'entity',
        'journal',
        'reading',
        'export',
        'processes',
        'recovery',
        'ingest',
        'targets',
        'drills',
        'plant',
        'runtime',
      ],
      ...['index.ts', 'journal.ts', 'testing.ts'],
    ],
  },
  modules: {
    lmdb: ['src/journal/lmdb/', 'test/', 'bench/'],
    'hyparquet-writer': ['src/export/'],
    xstate: ['src/xstate/', 'test/'],
    child_process: ['src/processes/', 'apps/cli/', 'native/', '.ci/', 'test/', 'bench/', 'examples/'],
  },
  addon: ['src/shm/', 'native/', '.ci/', 'test/'],
}

const TOP_LEVEL = [
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'justfile', 'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE'],
  ...['native', 'src', 'apps', 'bench', 'config', 'test', 'docs', 'examples'],
  ...['node_modules', 'dist', 'coverage'],
]

const root = fileURLToPath(new URL('..', import.meta.url))

describe('the sources', () => {
  const sources = readSources(root, ['src', 'apps', 'bench', 'test', 'native', '.ci', 'examples'])

  test('import only what stands above their room', () => {
    expect(sources.length).toBeGreaterThan(10)
    expect(checkImports(sources, ROOMS)).toEqual([])
  })

  test('are short, named after one idea and finished', () => {
    expect(checkFiles(sources)).toEqual([])
  })

  test('lie in the folders that the package has', () => {
    const names = readdirSync(root).filter((name) => !/\.(tgz|log)$/.test(name))

    expect(checkTopLevel(names, TOP_LEVEL)).toEqual([])
  })
})

describe('a source that imports against the table', () => {
  test.each([
    ['src/bus/ring.ts', '#journal/journal.js', 'must not import #journal/journal.js: bus may not know journal'],
    ['src/journal/block.ts', '#journal/lmdb/open.js', 'must not import #journal/lmdb/open.js: journal may not know journal/lmdb'],
    ['src/recovery/replay.ts', '#journal/lmdb/open.js', 'must not import #journal/lmdb/open.js: recovery may not know journal/lmdb'],
    [
      'src/actors/slot.ts',
      '#journal/in-memory/open.js',
      'must not import #journal/in-memory/open.js: actors may not know journal/in-memory',
    ],
    ['src/actors/slot.ts', '#index.js', 'must not import #index.js: actors may not know index.ts'],
    ['src/nook/file.ts', '#base/assert.js', 'is in no room of the table'],
    ['src/base/ids.ts', '#nook/file.js', 'imports #nook/file.js, which is in no room of the table'],
    ['src/bus/ring.ts', '../base/assert.js', 'imports ../base/assert.js across folders: say #room/file.js'],
    ['src/journal/block.ts', './lmdb/open.js', 'imports ./lmdb/open.js across folders: say #room/file.js'],
    ['apps/cli/get.ts', '../journal/main.js', 'imports ../journal/main.js, which leaves apps/cli'],
    ['apps/worker/main.ts', '#actors/slot.js', 'must not import #actors/slot.js: apps may not know actors'],
    ['src/serving/server.ts', 'lmdb', 'must not import lmdb'],
    ['apps/journal/main.ts', 'lmdb', 'must not import lmdb'],
    ['src/runtime/up.ts', 'node:child_process', 'must not import node:child_process'],
    ['src/runtime/up.ts', 'child_process', 'must not import child_process'],
  ])('is found: %s importing %s', (path, specifier, what) => {
    const text = `import { x } from '${specifier}'\n`

    expect(checkImports([{ path, text }], ROOMS)).toEqual([`${path}: ${what}`])
  })

  test.each([
    ['src/bus/ring.ts', '#shm/mapping.js'],
    ['src/bus/ring.ts', './frame.js'],
    ['src/journal/lmdb/open.ts', '#journal/journal.js'],
    ['src/journal/lmdb/open.ts', 'lmdb'],
    ['src/recovery/replay.ts', '#journal/in-memory/open.js'],
    ['src/runtime/up.ts', '#journal/lmdb/open.js'],
    ['src/index.ts', '#entity/define-entity.js'],
    ['src/processes/spawn.ts', 'node:child_process'],
    ['apps/cli/inner/get.ts', '../output.js'],
    ['test/bus/ring.test.ts', '#journal/lmdb/open.js'],
  ])('is left alone when it may: %s importing %s', (path, specifier) => {
    expect(checkImports([{ path, text: `import { x } from '${specifier}'\n` }], ROOMS)).toEqual([])
  })

  test('is found in every form that an import takes', () => {
    const text = [
      "import a from 'one'",
      "import type { b } from 'two'",
      "import { type c,\n  d } from 'three'",
      "import 'four'",
      "export * from 'five'",
      "export { e } from 'six'",
      "const f = await import('seven')",
      "// import g from 'not this'",
      "/* import h from 'nor this' */",
      "export const i = 'nor from this'",
    ].join('\n')

    expect(importsOf(text)).toEqual(['one', 'two', 'three', 'four', 'five', 'six', 'seven'])
  })

  test('is found when it loads the addon past src/shm', () => {
    const text = "process.dlopen(module, './millrace.node')\n"

    expect(checkImports([{ path: 'src/bus/ring.ts', text }], ROOMS)).toEqual(['src/bus/ring.ts: loads the native addon'])
    expect(checkImports([{ path: 'src/shm/addon.ts', text }], ROOMS)).toEqual([])
  })
})

describe('a source that is untidy', () => {
  // Put together here, so that this source is none.
  const left = ['TO', 'DO'].join('')
  const home = ['', 'home', 'me', 'plant'].join('/')
  const focused = ['test', 'only'].join('.')
  const skipped = ['test', 'skip'].join('.')

  test.each([
    ['src/base/utils.ts', '', 'utils.ts names no idea'],
    ['src/helpers/ring.ts', '', 'helpers names no idea'],
    ['src/bus/types.ts', '', 'types.ts names no idea'],
    ['src/bus/RingBuffer.ts', '', 'RingBuffer.ts is not kebab-case'],
    ['src/bus/ring_buffer.ts', '', 'ring_buffer.ts is not kebab-case'],
    ['src/bus/index.ts', "export * from './ring.js'\nexport const x = 1\n", 'does more than re-export'],
    ['src/bus/ring.ts', '\n'.repeat(FILE_LINES_MAX + 1), `has ${FILE_LINES_MAX + 1} lines, more than ${FILE_LINES_MAX}`],
    ['src/bus/ring.ts', `// ${left}: finish`, 'has something left to do'],
    ['src/bus/ring.ts', `const at = '${home}'`, "names a path of somebody's machine"],
    ['test/bus/ring.test.ts', `${focused}('a ring')`, 'runs only some of its tests'],
    ['test/bus/ring.test.ts', `${skipped}('turns')`, 'runs only some of its tests'],
    ['test/bus/ring-of.ts', "import { afterEach } from 'vitest'\nafterEach(() => undefined)\n", 'hooks into tests when it is imported'],
  ])('is found: %s', (path, text, what) => {
    expect(checkFiles([{ path, text }])).toEqual([`${path}: ${what}`])
  })

  test.each([
    [
      'src/bus/index.ts',
      "/** The bus. */\nexport * from './ring.js'\nexport { type Frame, readFrame } from './frame.js'\nexport type { Bell } from '#shm/bell.js'\n",
    ],
    ['src/bus/ring.ts', 'export {}\n'.repeat(FILE_LINES_MAX)],
    ['test/types/entity.test.ts', 'test.skipIf(process.platform !== "linux")'],
    ['.ci/task.mjs', ''],
  ])('is left alone when it is tidy: %s', (path, text) => {
    expect(checkFiles([{ path, text }])).toEqual([])
  })

  test('is found when it lies in the root', () => {
    expect(checkTopLevel(['src', '.ci', 'scratch.ts'], TOP_LEVEL)).toEqual(['scratch.ts: is not a top-level entry'])
  })
})
