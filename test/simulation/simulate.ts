import { NOT_YET, patchesOf, RULES } from './rules.js'
import type * as Runner from './run-schedule.js'
import { type Schedule, scheduleOf } from './schedule.js'
import { shrink } from './shrink.js'

const USAGE = `usage: npm run soak -- simulate [--times N] [--seed S] [--without RULE]

Runs N schedules of crashes, delays and power losses, the first one from seed S, and ends with 1 at the first in which something is lost, doubled, out of order or
stuck. --without leaves a rule of the protocol out of the plant, which must be found:
`

export interface SimulateOptions {
  readonly times: number
  readonly seed: number
  /** The rule that is left out. */
  readonly without: string | undefined
}

/** What was found, if anything: in which seed, after how many schedules, and as how short a schedule. */
export interface Finding {
  readonly seed: number
  readonly count: number
  readonly wrong: string
  readonly shortest: Schedule
  /** Its steps, and what was found then. */
  readonly story: readonly string[]
}

/** Runs the command and answers its exit code. */
export async function simulate(args: readonly string[], write: (text: string) => void): Promise<number> {
  const options = optionsOf(args)
  if (typeof options === 'string') {
    write(`${options}\n${USAGE}${RULES.map(({ id, says }) => `  ${id.padEnd(4)}${says}\n`).join('')}`)
    return 2
  }
  const startMs = performance.now()
  const finding = await findViolation(options, true)
  if (finding === undefined) {
    const perSecond = Math.round((options.times / (performance.now() - startMs)) * 1000)
    write(`${perSecond} schedules a second\n${options.times} schedules, 0 violations\n`)
    return 0
  }
  const { seed, count, wrong, shortest, story } = finding
  write(`seed ${seed}: ${wrong}\n\nthe shortest schedule that ends like that, with ${JSON.stringify(shortest.config)}:\n\n`)
  write(`${story.join('\n')}\n\n${count} schedules, 1 violation\n`)
  return 1
}

/** The first schedule that goes wrong, or undefined; with `isShrunk` also the shortest one that can be made of it. */
export async function findViolation({ times, seed, without }: SimulateOptions, isShrunk: boolean): Promise<Finding | undefined> {
  const query = without === undefined ? '' : `?without=${without}`
  const { runSchedule } = (await import(`./run-schedule.js${query}`)) as typeof Runner
  for (let index = 0; index < times; index++) {
    const schedule = scheduleOf(seed + index)
    const wrong = await runSchedule(schedule)
    if (wrong === undefined) continue
    const shortest = isShrunk ? await shrink(schedule, async (one) => (await runSchedule(one)) !== undefined) : schedule
    const story: string[] = []
    const shortly = await runSchedule(shortest, (what) => story.push(what))
    return { seed: seed + index, count: index + 1, wrong, shortest, story: [...story, `     ${shortly}`] }
  }
  return undefined
}

/** What is wrong with the arguments, as a text. */
function optionsOf(args: readonly string[]): SimulateOptions | string {
  const options = { times: 10_000, seed: 1, without: undefined as string | undefined }
  for (let index = 0; index < args.length; index += 2) {
    const [name, value = ''] = [args[index] as string, args[index + 1]]
    if (name === '--times' && /^[1-9]\d*$/.test(value)) options.times = Number(value)
    else if (name === '--seed' && /^-?\d+$/.test(value)) options.seed = Number(value)
    else if (name === '--without' && patchesOf(value) !== undefined) options.without = value
    else if (name === '--without') return `cannot do without rule ${value}: ${NOT_YET[value] ?? 'there is no such switch'}`
    else return `cannot use ${args.slice(index).join(' ')}`
  }
  return options
}
