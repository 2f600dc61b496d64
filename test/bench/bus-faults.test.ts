import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { BUS_FAULTS_SMOKE, describeBusFaults, measureBusFaults } from '../../bench/bus-faults.js'
import { compiledPath } from '../../bench/harness/compiled.js'

/** Of this process: other tests run beside it. */
function leftovers(): string[] {
  const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : [])
  return [...names('/dev/shm'), ...names(tmpdir())].filter((name) => new RegExp(`^millrace-(faults|steps)-${process.pid}-`).test(name))
}

describe('the faults of a channel', () => {
  test('are survived without a wrong frame, and leave nothing behind', async () => {
    const result = await measureBusFaults(BUS_FAULTS_SMOKE)

    expect(result).toMatchObject({ bench: 'bus-faults', seed: 1, lost: 0, torn: 0, duplicated: 0, invented: 0 })
    expect(result.kills).toBeGreaterThanOrEqual(BUS_FAULTS_SMOKE.kills)
    expect(result.frames).toBeGreaterThan(100)
    expect(result.resumeMsP99).toBeGreaterThan(0)
    expect(result.stepSitesKilledAt).toBeGreaterThan(5)
    expect(describeBusFaults(result)).toMatch(/^6\d kills over \d+ channels.*\nlost 0, torn 0, duplicated 0, invented 0\n/)
    await expect.poll(leftovers).toEqual([])
  })

  for (const [sabotage, found] of [
    ['lose', { lost: 1, torn: 0, duplicated: 0 }],
    ['tear', { lost: 0, torn: 1, duplicated: 0 }],
    ['duplicate', { lost: 0, torn: 0, duplicated: 1 }],
  ] as const) {
    test(`are found: ${sabotage}, once, with exit code 1`, () => {
      const run = spawnSync(
        process.execPath,
        [compiledPath('bus-faults'), '--json', '--times', '12', '--seed', '3', '--sabotage', sabotage],
        {
          encoding: 'utf8',
        },
      )

      expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 1, stderr: '' })
      expect(JSON.parse(run.stdout)).toMatchObject({ bench: 'bus-faults', seed: 3, invented: 0, ...found })
    })
  }

  test('take a seed, a count and a kind of sabotage, nothing else', () => {
    const run = (...args: readonly string[]) => spawnSync(process.execPath, [compiledPath('bus-faults'), ...args], { encoding: 'utf8' })

    for (const [args, said] of [
      [['--seed', 'x'], /--seed takes N, not x/],
      [['--times', '0'], /--times takes N, not 0/],
      [['--sabotage', 'burn'], /--sabotage takes lose\|tear\|duplicate, not burn/],
      [['--fast'], /what is --fast\?.*--smoke.*--seed N.*--sabotage lose.*--times N/],
    ] as const) {
      const { status, stderr } = run(...args)

      expect(status).toBe(2)
      expect(stderr).toMatch(said)
    }
  })
})
