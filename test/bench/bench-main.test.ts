import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { compiledPath } from '../../bench/harness/compiled.js'

function codec(...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [compiledPath('codec'), ...args], { encoding: 'utf8' })
}

describe('a benchmark as a program', () => {
  test('prints one line of JSON when asked for it', () => {
    const { status, stdout } = codec('--smoke', '--json')

    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ bench: 'codec' })
  })

  test('does not keep what a smoke run measured', () => {
    const { status, stderr } = codec('--smoke', '--save')

    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('leave out --smoke or --save') as string })
  })

  test('refuses an option that it does not know, and names those that it does', () => {
    const { status, stdout, stderr } = codec('--fast')

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/what is --fast\?.*--smoke.*--json.*--save/)
  })
})
