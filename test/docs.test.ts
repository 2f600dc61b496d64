import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseMap } from '#ingest/map-file.js'
import { mapSpec } from '#ingest/map-schema.js'
import { COUNTER_NAMES } from '#processes/process-counters.js'
import { configSchema, KNOBS } from '#runtime/config-schema.js'
import { COMMANDS } from '../apps/cli/commands.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const pages = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]

function read(page: string): string {
  return readFileSync(join(root, page), 'utf8')
}

interface Block {
  readonly page: string
  readonly line: number
  readonly language: string
  readonly text: string
}

function blocksOf(page: string): Block[] {
  const text = read(page)
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    page,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1] ?? '',
    text: match[2] ?? '',
  }))
}

const blocks = pages.flatMap(blocksOf)

describe('links between pages', () => {
  const links = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map((match) => [page, match[1] ?? ''] as const),
  )

  test.each(links)('%s → %s leads somewhere', (page, link) => {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : join(dirname(page), path)

    expect(existsSync(resolve(root, target))).toBe(true)
    if (anchor !== undefined) expect(anchorsOf(target)).toContain(anchor)
  })

  function anchorsOf(page: string): string[] {
    return [...read(page).matchAll(/^#+ (.+)$/gm)].map((match) =>
      (match[1] ?? '')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    )
  }
})

describe('JavaScript in the documentation', () => {
  let folder = ''

  // As in a project that has the package installed.
  beforeAll(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-docs-')))
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(root, join(folder, 'node_modules', 'millrace'))
    symlinkSync(join(root, 'node_modules', 'xstate'), join(folder, 'node_modules', 'xstate'))
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const programs = blocks.filter(({ language }) => language === 'js').map((block) => [`${block.page}:${block.line}`, block] as const)

  test.each(programs)('%s runs and prints what it says', async (name, { text }) => {
    const place = join(folder, name.replaceAll(/\W/g, '-'))
    mkdirSync(place)
    writeFileSync(join(place, 'example.mjs'), text)

    const { code, stdout, stderr } = await run(['example.mjs'], place)

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const promised = [...text.matchAll(/^\s*\/\/ prints (.*)$/gm)].map((match) => match[1])
    if (promised.length > 0) expect(stdout.trimEnd().split('\n')).toEqual(promised)
  })

  function run(args: readonly string[], cwd: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = spawn(process.execPath, args, { cwd })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    return new Promise((done, reject) => {
      child.once('error', reject)
      child.once('close', (code) => done({ code, stdout, stderr }))
    })
  }
})

describe('TypeScript in the documentation', () => {
  const programs = blocks
    .filter(({ page, language }) => language === 'ts' && page.startsWith('docs/'))
    .map((block) => [`${block.page}:${block.line}`, block] as const)
  let folder = ''
  /** Errors of all of them, found in one run of the compiler, whose start takes longer than any of them. */
  let said: readonly string[]

  // As in a project that has the package installed.
  beforeAll(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-docs-')))
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(root, join(folder, 'node_modules', 'millrace'))
    symlinkSync(join(root, 'node_modules', '@types'), join(folder, 'node_modules', '@types'))
    for (const [name, { text }] of programs) writeFileSync(join(folder, fileOf(name)), text)
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const options = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
    ]
    const args = [compiler, '--pretty', 'false', '--singleThreaded', ...options, ...programs.map(([name]) => fileOf(name))]
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
    // What an error says goes on in lines that are indented.
    said = stdout === '' && status === 0 ? [] : stdout.trimEnd().split(/\n(?=\S)/)
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(programs)('%s compiles', (name) => {
    expect(said.filter((error) => error.startsWith(`${fileOf(name)}(`))).toEqual([])
  })

  test('all of it compiles', () => {
    expect(said).toEqual([])
  })

  function fileOf(name: string): string {
    return `${name.replaceAll(/\W/g, '-')}.mts`
  }
})

test('the tables of the README are what they are generated from', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, '.ci', 'readme.mjs'), '--check'], { encoding: 'utf8' })

  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

describe('commands in the documentation', () => {
  const lines = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ page, text }) =>
      text
        .replaceAll('\\\n', ' ')
        .split(/\n|&&/)
        .filter((line) => /\bmillrace\s+[a-z-]/.test(line.replace(/#.*/, '')) && !/\bnpm /.test(line))
        .map((line) => [page, line.replace(/\s#.*/, '').trim()] as const),
    )

  test.each(lines)('%s: %s exists with its options', (_page, line) => {
    const words = /\bmillrace\s+(.*)$/.exec(line)?.[1]?.split(/\s+/) ?? []
    if (words[0]?.startsWith('--') === true) return expect(['--help', '--version']).toContain(words[0])
    const command = COMMANDS.find(({ name }) => name === words.slice(0, name.split(' ').length).join(' '))
    expect(command, `millrace ${words[0]} is a command`).toBeDefined()
    const known = ['--json', '--debug', '--help', ...(command?.options ?? []).flatMap(([flags]) => flags.split(/[ ,]+/))]
    if (command?.handsOn !== true) expect(known).toEqual(expect.arrayContaining(words.filter((word) => /^--?[a-z]/.test(word))))
  })
})

describe('the page about map files', () => {
  const page = 'docs/map-file.md'

  test('has a section or a row for every key that a map may have', () => {
    const text = read(page)

    expect(Object.keys(mapSpec.shape).filter((key) => !text.includes(`\`${key}\``))).toEqual([])
  })

  test('uses every key in an example', () => {
    const examples = blocksOf(page)
      .filter(({ language }) => language === 'yaml')
      .map(({ text }) => text)
      .join('\n')

    expect(Object.keys(mapSpec.shape).filter((key) => !new RegExp(`^${key}:`, 'm').test(examples))).toEqual([])
  })

  const maps = blocksOf(page)
    .filter(({ language }) => language === 'yaml')
    .map((block) => [`${block.page}:${block.line}`, block.text] as const)

  test.each(maps)('%s is a map', (name, text) => {
    expect(parseMap(text, name).fields.length).toBeGreaterThan(0)
  })
})

describe('the page about operations', () => {
  const text = read('docs/operations.md')

  test('names only knobs that there are, and every group of them', () => {
    const groups = Object.keys(configSchema.shape)
    const named = [...text.matchAll(/`([a-z]+)\.([a-zA-Z.]+)`/g)].filter(([, group]) => groups.includes(group ?? ''))

    expect(named.map(([, group, knob]) => `${group}.${knob}`).filter((path) => !KNOBS.has(path))).toEqual([])
    expect(groups.filter((group) => !text.includes(`| \`${group}\` |`))).toEqual([])
  })

  test('names only figures that /metrics has', () => {
    const named = [...text.matchAll(/`millrace_(supervisor|journal|worker|gateway)_(\w+?)(?:_total)?`/g)]
    const counters = (role: string) =>
      COUNTER_NAMES[role as 'worker'].map((name) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))

    expect(named.length).toBeGreaterThan(5)
    expect(named.filter(([, role, name]) => !counters(role ?? '').includes(name ?? '')).map(([all]) => all)).toEqual([])
  })
})

describe('the page about the bus', () => {
  const text = read('docs/bus.md')

  test.each(['receiver.js', 'sender.js'])('shows the example %s word for word', (file) => {
    expect(blocksOf('docs/bus.md').map((block) => block.text)).toContain(read(`examples/bus/${file}`))
  })

  test('explains every error of the bus', () => {
    const sources = readdirSync(join(root, 'src/bus')).map((file) => read(`src/bus/${file}`))
    const codes = new Set(sources.join('\n').match(/(?<=new MillraceError\(')ERR_[A-Z_]+/g))

    expect(codes.size).toBeGreaterThan(8)
    expect([...codes].filter((code) => !text.includes(`| \`${code}\` |`))).toEqual([])
  })

  test('names every option of openChannel', () => {
    const options = /interface OpenChannelOptions \{([\s\S]*?)\n\}/.exec(read('src/bus/channel-hold.ts'))?.[1] ?? ''
    const names = [...options.matchAll(/^ {2}readonly (\w+)/gm)].map((match) => match[1] ?? '')

    expect(names.length).toBeGreaterThan(5)
    expect(names.filter((name) => name !== 'clock' && !text.includes(`\`${name}\``))).toEqual([])
  })
})
