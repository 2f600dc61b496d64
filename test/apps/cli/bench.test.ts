import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { allowedCores } from '#shm/index.js'
import { runCli } from './run-cli.js'

const sources = fileURLToPath(new URL('../../../bench', import.meta.url))
const names = readdirSync(sources).flatMap((file) => (file.endsWith('.ts') ? [basename(file, '.ts')] : []))

/** Finds node and nothing else: no compiler. */
const WITHOUT_COMPILER = { PATH: dirname(process.execPath) === '/usr/bin' ? '' : dirname(process.execPath) }

describe('millrace bench', () => {
  test('says of every benchmark what it asks', async () => {
    const { code, stdout } = await runCli(['bench', '--json'])

    const { benches } = JSON.parse(stdout) as { benches: { name: string; question: string }[] }
    expect(code).toBe(0)
    expect(benches.map(({ name }) => name)).toEqual(expect.arrayContaining(names))
    expect(benches.filter(({ question }) => !/^[A-Z].{30,}\?$/.test(question))).toEqual([])
  })

  test('refuses a name that it does not know, and says which there are', async () => {
    const { code, stdout, stderr } = await runCli(['bench', 'luck'])

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/no such benchmark.*name=luck.*one of .*bus-throughput/s)
  })

  test('shows how to ask for what', async () => {
    const { code, stdout } = await runCli(['bench', '--help'])

    expect(code).toBe(0)
    expect(stdout).toContain('millrace bench rtt\n')
    expect(stdout).toContain('millrace bench throughput\n')
  })
})

describe.runIf(allowedCores().length >= 2)('millrace bench of the bus', () => {
  test('prints the round trip with the reference beside it, or why there is none', async () => {
    const { code, stdout, stderr } = await runCli(['bench', 'rtt', '--smoke'])

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/round trip between two processes: mean \d+ ns.*\n(C ping-pong on one cache line: .*ratio|no C ping-pong.*: )/)
  })

  test('prints one line of JSON, also where there is no compiler', async () => {
    const { code, stdout, stderr } = await runCli(['bench', 'rtt', '--smoke', '--json'], { env: WITHOUT_COMPILER })

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      bench: 'bus-rtt',
      reference: null,
      referenceMissing: 'there is no C compiler (cc) here',
    })
  })
})
