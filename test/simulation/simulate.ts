import { RULES, type Rule } from './rules.js'
import { scheduleOf } from './schedule.js'
import { NOT_THE_SAME, problemOf, runnerOf, type Search, search } from './search.js'
import { shrink } from './shrink.js'

const USAGE = `usage: npm run soak -- simulate [--times N] [--seed S] [--without RULE|all]

Runs N schedules of crashes, delays, power losses and full disks, the first one from seed S, and ends with 1 at the first in which something is lost, doubled, out of
order or stuck. --without leaves a rule of the protocol out of the plant, which must be found; all tries each rule by itself, from a seed that is known to find it:
`

/** In which a rule that is left out has to be found from its own seed on. */
const TIMES_FROM_KNOWN_SEED = 400

/** Runs the command and answers its exit code: 0 when nothing was found, 1 when something was, 2 for words that make no sense. */
export async function simulate(args: readonly string[], write: (text: string) => void): Promise<number> {
  const options = optionsOf(args)
  if (typeof options === 'string') {
    write(`${options}\n${USAGE}${RULES.map(({ id, says }) => `  ${id.padEnd(4)}${says}\n`).join('')}`)
    return 2
  }
  if (options.without === 'all') return await tryRules(write)
  const startMs = performance.now()
  const hit = await search(options)
  if (hit === undefined) {
    const perSecond = Math.round((options.times / (performance.now() - startMs)) * 1000)
    write(`${perSecond} schedules a second\n${options.times} schedules, 0 violations\n`)
    return 0
  }
  const seed = options.seed + hit.index
  write(
    `seed ${seed}: ${hit.wrong}\n\n${await storyOf(seed, options.without, hit.wrong === NOT_THE_SAME)}\n\n${hit.index + 1} schedules, 1 violation\n`,
  )
  return 1
}

/** The shortest schedule that can be made of one that goes wrong, for a person to read. */
async function storyOf(seed: number, without: string | undefined, isTwice: boolean): Promise<string> {
  const runner = await runnerOf(without)
  const shortest = await shrink(scheduleOf(seed), async (one) => (await problemOf(runner, one, isTwice)) !== undefined)
  const story = [`the shortest schedule that goes wrong, with ${JSON.stringify(shortest.config)}:`, '']
  const { wrong = NOT_THE_SAME } = await runner.runSchedule(shortest, (what) => story.push(what))
  return [...story, `     ${wrong}`].join('\n')
}

/** Leaves out each rule in turn, and ends with 1 when the lack of one is not found. */
async function tryRules(write: (text: string) => void): Promise<number> {
  let unfound = 0
  for (const { id, says, seed } of RULES) {
    const hit = await search({ times: TIMES_FROM_KNOWN_SEED, seed, without: id })
    if (hit === undefined) unfound++
    const found = hit === undefined ? 'NOT FOUND' : `found in seed ${seed + hit.index}: ${firstLineOf(hit.wrong)}`
    write(`without ${id} (${says}): ${found}\n`)
  }
  write(`${RULES.length} rules, ${unfound} not found\n`)
  return unfound === 0 ? 0 : 1
}

function firstLineOf(text: string): string {
  return text.split('\n', 1)[0] as string
}

/** A text says what is wrong with the arguments. */
function optionsOf(args: readonly string[]): Search | string {
  const options = { times: 10_000, seed: 1, without: undefined as string | undefined }
  for (let index = 0; index < args.length; index += 2) {
    const [name, value = ''] = [args[index] as string, args[index + 1]]
    if (name === '--times' && /^[1-9]\d*$/.test(value)) options.times = Number(value)
    else if (name === '--seed' && /^-?\d+$/.test(value)) options.seed = Number(value)
    else if (name === '--without' && (value === 'all' || isRule(value))) options.without = value
    else if (name === '--without') return `cannot do without rule ${value}: there is no such switch`
    else return `cannot use ${args.slice(index).join(' ')}`
  }
  return options
}

function isRule(id: Rule['id']): boolean {
  return RULES.some((rule) => rule.id === id)
}
