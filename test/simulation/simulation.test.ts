import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { RULES } from './rules.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SCHEDULES = 500

/** Runs the simulation as the soak does, over the compiled plant. */
function simulate(...args: string[]): Promise<{ readonly code: number; readonly lines: string[] }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/test/simulation/main.js', ...args], { cwd: ROOT }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), lines: `${stderr}${stdout}`.trim().split('\n') })
    })
  })
}

describe('a whole plant under simulated crashes, delays, power losses and full disks', () => {
  test(`loses, doubles and reorders nothing under ${SCHEDULES} schedules`, { timeout: 120_000 }, async () => {
    const { code, lines } = await simulate('--times', String(SCHEDULES), '--seed', '1')

    expect(lines.at(-1)).toBe(`${SCHEDULES} schedules, 0 violations`)
    expect(code).toBe(0)
  })
})

describe('a rule of the protocol that can be left out', () => {
  test.each(RULES.flatMap(({ id, patches }) => patches.map((patch) => [id, patch] as const)))(
    '%s fits the sources',
    (_, { file, find }) => {
      const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

      expect(source.split(find)).toHaveLength(2)
    },
  )
})
