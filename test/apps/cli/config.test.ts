import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { KNOBS } from '#runtime/config-schema.js'
import { runCli } from './run-cli.js'

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('millrace config', () => {
  test('prints each value and its origin', async () => {
    writeFileSync(join(folder, 'millrace.yaml'), 'bus:\n  capacityBytes: 4MiB\n')

    const { code, stdout } = await runCli(['config', join(folder, 'plant.js')], { cwd: folder, env: { MILLRACE_HTTP__PORT: '9000' } })

    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(1 + KNOBS.size)
    expect(stdout).toMatch(/^bus\.capacityBytes +4194304 +millrace\.yaml:2$/m)
    expect(stdout).toMatch(/^http\.port +9000 +variable MILLRACE_HTTP__PORT$/m)
    expect(stdout).toMatch(/^workers\.count +2 +default$/m)
  })

  test('prints the same as JSON, with the secret left out', async () => {
    const { code, stdout } = await runCli(['config', '--json'], { cwd: folder, env: { MILLRACE_HTTP__TOKEN: '0123456789abcdef' } })
    const values = JSON.parse(stdout) as Record<string, unknown>

    expect(code).toBe(0)
    expect(Object.keys(values)).toEqual([...KNOBS.keys()])
    expect(values['http.token']).toEqual({ value: '(set)', origin: 'variable MILLRACE_HTTP__TOKEN' })
    expect(values['http.tls.cert']).toEqual({ value: null, origin: 'default' })
  })
})
