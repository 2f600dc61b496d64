import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { RULES } from './rules.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SCHEDULES = 250
const TIMEOUT_MS = 300_000

interface Ended {
  readonly code: number
  readonly lines: readonly string[]
}

/** Runs the simulation as the soak does, over the compiled plant. */
function simulate(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/test/simulation/main.js', ...args], { cwd: ROOT }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), lines: `${stderr}${stdout}`.trim().split('\n') })
    })
  })
}

describe('a whole plant under simulated deaths, delays, power losses and full disks', { timeout: TIMEOUT_MS }, () => {
  test(`loses, doubles and reorders nothing under ${SCHEDULES} schedules`, async () => {
    const { code, lines } = await simulate('--times', String(SCHEDULES), '--seed', '1')

    expect(lines.at(-1), lines.join('\n')).toBe(`${SCHEDULES} schedules, 0 violations`)
    expect(code).toBe(0)
  })

  test('is shown by the shortest schedule in which something is wrong, and ends with 1', async () => {
    const { code, lines } = await simulate('--times', '20', '--seed', '1', '--without', '19')

    expect(lines[0]).toMatch(/^seed \d+: .+/)
    expect(lines.at(-1)).toMatch(/^\d+ schedules, 1 violation$/)
    const steps = lines.filter((line) => /^ *\d+ {2}/.test(line))
    expect(steps.length).toBeGreaterThan(0)
    expect(steps.length).toBeLessThan(16)
    expect(code).toBe(1)
  })

  test.each([
    [['--without', '99'], 'cannot do without rule 99: there is no such switch'],
    [['--times', 'many'], 'cannot use --times many'],
  ])('ends with 2 when it is called with %j', async (args, said) => {
    const { code, lines } = await simulate(...args)

    expect(lines[0]).toContain(said)
    expect(code).toBe(2)
  })
})

describe('a rule of the protocol', { timeout: TIMEOUT_MS }, () => {
  let tried: Ended

  beforeAll(async () => {
    tried = await simulate('--without', 'all')
  }, TIMEOUT_MS)

  test.each(RULES.map(({ id, says }) => [id, says]))('%s, that %s, is found missing', (id) => {
    expect(tried.lines.find((line) => line.startsWith(`without ${id} `))).toContain('found in seed')
  })

  test.each(RULES.flatMap(({ id, patches }) => patches.map((patch) => [id, patch] as const)))(
    '%s is left out of sources that are there',
    (_, patch) => {
      const source = readFileSync(new URL(`../../${patch.file}`, import.meta.url), 'utf8')

      expect(source.split(patch.find)).toHaveLength(2)
    },
  )

  test('of those that must not be switched off has a switch', () => {
    const marked = ['1', '2', '3', '4', '5', '7', '8', '9', '10', '12', '13', '14', '15', '16', '19']

    expect(marked.filter((number) => !RULES.some(({ id }) => id === number))).toEqual([])
  })
})
