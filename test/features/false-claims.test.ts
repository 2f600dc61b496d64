import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER = fileURLToPath(new URL('.', import.meta.url))
const CONFIG = 'test/features/false-claims/vitest.config.ts'

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly failed: ReadonlyMap<string, string>
}

/** Of sentences that a true scenario says of one thing and denies of another. */
const DENIED_BESIDE = ['the captures together lead to the state of the plant', 'the first of them alone leads to another state']

/** The last step of each scenario of a feature, by the name of the scenario; none of the background. */
function lastSteps(feature: string): Map<string, string> {
  const steps = new Map<string, string>()
  let scenario = ''
  for (const line of feature.split('\n')) {
    scenario = /^ *Scenario: (.*)$/.exec(line)?.[1] ?? scenario
    const step = /^ *(?:Given|When|Then|And|But) (.*)$/.exec(line)?.[1]
    if (step !== undefined && scenario !== '') steps.set(scenario, step)
  }
  return steps
}

describe('scenarios that claim what is not true', () => {
  const claims = new Map(features().flatMap((text) => [...lastSteps(text)]))
  let ran: Ran

  beforeAll(async () => {
    ran = await runVitest()
  })

  test('fail, each of them, so that the run does', () => {
    expect(ran.code).toBe(1)
    expect(ran.stdout.trimEnd().split('\n').at(-1)).toBe(`0 passed, ${claims.size} failed`)
  })

  test('are of every sentence that a scenario can claim', () => {
    const unproved = claimable().filter((sentence) => ![...claims.values()].some((step) => patternOf(sentence).test(step)))

    expect(unproved).toEqual(DENIED_BESIDE)
  })

  test.each([...claims])('are told by their step: %s', (scenario, step) => {
    expect(ran.failed.get(scenario)).toContain(`\n${step} (#`)
    expect(ran.failed.get(scenario)).not.toContain('Undefined. Implement')
  })
})

/** The texts of all features of such scenarios. */
function features(): string[] {
  const names = readdirSync(`${FOLDER}/false-claims`).filter((name) => name.endsWith('.feature'))
  return names.map((name) => readFileSync(`${FOLDER}/false-claims/${name}`, 'utf8'))
}

/** Every sentence that is defined as a claim. */
function claimable(): string[] {
  return readdirSync(`${FOLDER}/steps`).flatMap((name) => {
    const text = readFileSync(`${FOLDER}/steps/${name}`, 'utf8')
    return [...text.matchAll(/^Then\(\s*(?:'([^']+)'|"([^"]+)")/gm)].map(([, plain, quoted]) => (plain ?? quoted) as string)
  })
}

/** Of a step that the sentence matches; `(s)` may be missing, `is/are` is one of them, and `{count}` anything. */
function patternOf(sentence: string): RegExp {
  const pattern = sentence
    .replace(/\(([^)]*)\)/g, '(?:$1)?')
    .replace(/(\w+)\/(\w+)/g, '(?:$1|$2)')
    .replace(/\{\w+\}/g, '.+')
  return new RegExp(`^${pattern}$`)
}

/** As a run of its own, which knows nothing of the one that it is part of. What it says of each scenario that failed, by its name. */
function runVitest(): Promise<Ran> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(VITEST|MILLRACE_SUMMARY)/.test(name))
  const env = { ...Object.fromEntries(inherited), NO_COLOR: '1' }
  return new Promise((resolve) => {
    const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', CONFIG]
    execFile(process.execPath, args, { cwd: ROOT, env }, (error, stdout, stderr) => {
      const said = stderr.split(/^ FAIL .* Scenario: (.*) \(@\w+\)$/m).slice(1)
      const failed = new Map(said.flatMap((name, index) => (index % 2 === 0 ? [[name, said[index + 1] ?? ''] as const] : [])))
      resolve({ code: error === null ? 0 : Number(error.code), stdout, failed })
    })
  })
}
