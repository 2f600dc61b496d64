import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../../apps/cli/commands.js'
import { runCli, runCliHere } from './run-cli.js'

describe('the command line without a command', () => {
  test('lists every command and asks for one', async () => {
    const help = await runCli(['--help'])
    const nothing = await runCli([])

    expect(help.code).toBe(0)
    for (const { name } of COMMANDS) expect(help.stdout).toMatch(new RegExp(`^  ${name.split(' ')[0]}\\b`, 'm'))
    expect(nothing).toMatchObject({ code: 2, stdout: '' })
    expect(nothing.stderr).toMatch(/^millrace: say which command: one of .*\n$/)
  })

  test('knows its version', async () => {
    expect(await runCli(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string })
  })
})

describe('every command', () => {
  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    '%s has help with an example and a body',
    async (name, command) => {
      const help = await runCliHere([...name.split(' '), '--help'])
      const body = await command.load()

      expect(help.code).toBe(0)
      expect(help.stdout).toContain(command.summary.slice(0, 30))
      expect(help.stdout).toContain(`Examples:\n  millrace ${name}`)
      expect(body).toBeTypeOf('function')
    },
  )

  test('has a name of its own and a short summary without a full stop', () => {
    expect(new Set(COMMANDS.map((command) => command.name)).size).toBe(COMMANDS.length)
    for (const { summary } of COMMANDS) expect(summary).toMatch(/^[A-Z].{10,78}[^.]$/)
  })
})

describe('a question asked wrongly', () => {
  test.each([
    [['cofnig'], "unknown command 'cofnig' (Did you mean config?)"],
    [['config', '--bogus'], "unknown option '--bogus'"],
    [['config', '--config'], "option '--config <file>' argument missing"],
    [['init'], "missing required argument 'folder'"],
    [['init', 'a', 'b'], 'too many arguments'],
    [['bench', 'no-such'], 'no such benchmark name=no-such'],
    [['query', '--where', '--data', 'd'], '--where wants a value, and --data came'],
    [['query', 'extra'], "for 'query'. Expected 0 arguments but got 1: see"],
    [['get', 'press'], 'not an entity id'],
    [['publish', 'mqtt', 'mqtt://a', '--topic', 'a', '--entity', 'press'], 'not an entity id'],
    [['log', 'export', '--out', 'a.foo'], 'the name does not say which format --out=a.foo'],
  ])('ends with 2 and one line: %j', async (words, message) => {
    const { code, stdout, stderr } = await runCliHere(words)

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^millrace: .*\n$/)
    expect(stderr).toContain(message)
  })

  test('is told a program as JSON', async () => {
    const { code, stdout, stderr } = await runCli(['config', '--bogus', '--json'])

    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toEqual({ error: { code: 'ERR_USAGE', message: "unknown option '--bogus': see its --help" } })
    expect(stderr).toContain('millrace: ')
  })
})

describe('a command that fails', () => {
  const env = { MILLRACE_WORKERS__COUNT: '-1' }

  test('ends with 1 and one line that says what to do', async () => {
    const { code, stdout, stderr } = await runCli(['config'], { env })

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^millrace: not a value for this key variable=MILLRACE_WORKERS__COUNT .*\n$/)
  })

  test('is told a program as JSON with its code', async () => {
    const { code, stdout } = await runCli(['config', '--json'], { env })

    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'ERR_CONFIG' } })
  })

  test.each([
    ['--debug', ['config', '--debug'], {}],
    ['DEBUG', ['config'], { DEBUG: '1' }],
  ])('shows its stack with %s only', async (_name, words, more) => {
    const plain = await runCli(['config'], { env })
    const debug = await runCli(words, { env: { ...env, ...more } })

    expect(plain.stderr).not.toContain('    at ')
    expect(debug.stderr).toContain('    at ')
  })
})

describe('a command whose result', () => {
  const runIn = async (script: string) => {
    const main = fileURLToPath(new URL('../../../dist/apps/cli/main.js', import.meta.url))
    const shell = spawn('bash', ['-c', script, process.execPath, main])
    let stderr = ''
    shell.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    return { code: await new Promise((resolve) => shell.once('close', resolve)), stderr }
  }

  test('was read as far as anybody wants ends quietly', async () => {
    expect(await runIn('"$0" "$1" config | head -1; exit "${PIPESTATUS[0]}"')).toEqual({ code: 0, stderr: '' })
  })

  test('finds no room says so', async () => {
    const { code, stderr } = await runIn('"$0" "$1" config > /dev/full')

    expect(code).toBe(1)
    expect(stderr).toMatch(/^millrace: the result cannot be written: ENOSPC.*: make room, or write it elsewhere\n$/)
  })
})
