import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(join(root, 'docs', 'getting-started.md'), 'utf8')

/** The page is followed as it stands, in a project that has the package, save what never ends or needs a registry. */
function section(title: string): string {
  return page.slice(page.indexOf(`\n## ${title}\n`) + 1).split(/\n(?=## )/)[0] ?? ''
}

function commandsOf(text: string): string[] {
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .flatMap((block) => (block[1] ?? '').replaceAll('\\\n', ' ').trim().split('\n'))
    .filter((line) => !/^(npm install|cd )|tail -f|--watch|millrace drill/.test(line))
}

/** Whoever reads the page has a machine to himself. */
const SMALL = { MILLRACE_WORKERS__COUNT: '1', MILLRACE_PROCESSES__SPARES: '0' }

let project: string
let env: NodeJS.ProcessEnv

beforeAll(() => {
  project = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-start-')))
  const bin = join(project, 'node_modules', '.bin')
  mkdirSync(bin, { recursive: true })
  symlinkSync(root, join(project, 'node_modules', 'millrace'))
  symlinkSync(join(root, 'dist', 'apps', 'cli', 'main.js'), join(bin, 'millrace'))
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }\n')
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|VITEST|MILLRACE_)/.test(name))
  env = { ...Object.fromEntries(inherited), PATH: `${bin}:${process.env['PATH']}`, MILLRACE_HTTP__PORT: '0', ...SMALL }
})

afterAll(() => rmSync(project, { recursive: true, force: true }))

function shell(line: string, cwd: string): ChildProcess {
  // npx would find the same program, at the price of starting npm.
  return spawn(
    'bash',
    ['-c', `${line.includes('millrace up') ? 'exec ' : ''}${line.replaceAll('npx millrace', 'node "$(command -v millrace)"')}`],
    { cwd, env },
  )
}

async function succeed(line: string, cwd: string): Promise<string> {
  const child = shell(line, cwd)
  let [printed, said] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect({ line, code, said: code === 0 ? '' : said + printed }).toEqual({ line, code: 0, said: '' })
  return printed
}

describe('the page for beginners, followed to the letter', () => {
  test('takes a file in', async () => {
    const text = section('Your own file')
    writeFileSync(join(project, 'line1.csv'), /^```csv\n([\s\S]*?)^```$/m.exec(text)?.[1] ?? '')

    const printed = new Map<string, string>()
    for (const line of commandsOf(text)) printed.set(line, await succeed(line, project))

    const of = (part: string) => [...printed].find(([line]) => line.includes(part))?.[1] ?? ''
    expect(of('--map')).toContain('3 rows: 3 accepted and durable, 0 rejected')
    expect(of('--limit').trim().split('\n')).toHaveLength(3)
    expect(JSON.parse(of('--since'))).toMatchObject({ entity: 'line/press-1', data: { temperature: 74.25, force: 120.4, mode: 'manual' } })
    expect(of('get')).toContain('line/press-1  version 2')
    expect(of('verify')).toContain('The log is whole.')
  }, 60_000)

  test('runs a machine', async () => {
    const lines = commandsOf(section('Your own machine'))
    const [init = '', unit = '', up = '', ...rest] = lines
    await succeed(init, project)
    const folder = join(project, 'my-plant')
    expect(await succeed(unit, folder)).toMatch(/^[#ℹ] fail 0$/m)

    const plant = shell(`${up} --json`, folder)
    const ended = new Promise((resolve) => plant.once('exit', resolve))
    try {
      const ready = await new Promise<string>((resolve, reject) => {
        plant.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString()))
        void ended.then((code) => reject(new Error(`the plant ended with ${String(code)}`)))
      })
      const { http } = JSON.parse(ready) as { http: string }
      const answers: string[] = []
      for (const line of rest) answers.push(await succeed(line.replace('http://127.0.0.1:8080', http), folder))

      expect(answers[0]).toContain('done, version 2')
      expect(answers[1]).toContain('alarms: 1')
      expect(JSON.parse(answers.at(-1) ?? '')).toMatchObject({ ok: true, version: 3 })
    } finally {
      plant.kill('SIGTERM')
      expect(await ended).toBe(0)
    }
  }, 60_000)
})
