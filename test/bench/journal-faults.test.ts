import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { compiledPath } from '../../bench/harness/compiled.js'
import { describeJournalFaults, JOURNAL_FAULTS_SMOKE, measureJournalFaults } from '../../bench/journal-faults.js'

const hasCompiler = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0
const none = { seed: 3, powerLossImages: 0, bitFlips: 0, truncations: 0 }

/** Of this process: other tests run beside it. */
function leftovers(): string[] {
  const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : [])
  return [...names('/dev/shm'), ...names(tmpdir())].filter((name) => name.startsWith(`millrace-journal-faults-${process.pid}-`))
}

describe.skipIf(!hasCompiler && (process.env['CI'] ?? '') === '')('the faults of a journal', () => {
  test('lose nothing, return nothing wrong and are all named, and leave nothing behind', async () => {
    const result = await measureJournalFaults(JOURNAL_FAULTS_SMOKE)

    expect(result, result.found.join('\n')).toMatchObject({ bench: 'journal-faults', ackedMissing: 0, wrongValues: 0, undetected: 0 })
    expect(result.harmless).toBeGreaterThan(0)
    expect(result.harmless).toBeLessThan(JOURNAL_FAULTS_SMOKE.bitFlips + JOURNAL_FAULTS_SMOKE.truncations)
    expect(describeJournalFaults(result)).toMatch(/acknowledged and missing 0, wrong values 0, undetected 0/)
    expect(leftovers()).toEqual([])
  })

  test.each([
    ['change-a-row', { ...none, powerLossImages: 3 }, 'wrongValues'],
    ['overlook-a-flip', { ...none, bitFlips: 2 }, 'undetected'],
  ] as const)('are found when the run is made to %s', async (sabotage, options, counted) => {
    const { ackedMissing, wrongValues, undetected } = await measureJournalFaults({ ...options, sabotage })

    const found = { ackedMissing, wrongValues, undetected }
    // An image of before the row was stored does not have it.
    expect(found[counted]).toBeGreaterThan(0)
    expect({ ...found, [counted]: 0 }).toEqual({ ackedMissing: 0, wrongValues: 0, undetected: 0 })
  })

  test('end with exit code 1 when syncs are late, and 2 when asked for what they do not know', () => {
    const run = (...args: readonly string[]) => spawnSync(process.execPath, [compiledPath('journal-faults'), ...args], { encoding: 'utf8' })

    const late = run('--json', '--smoke', '--seed', '3', '--sabotage', 'release-before-fsync')
    const unknown = run('--sabotage', 'burn')

    expect(late.status, late.stderr).toBe(1)
    expect(JSON.parse(late.stdout)).toMatchObject({ bench: 'journal-faults', seed: 3 })
    expect(unknown.status).toBe(2)
    expect(unknown.stderr).toMatch(/--sabotage takes release-before-fsync\|change-a-row\|overlook-a-flip, not burn/)
  })
})
