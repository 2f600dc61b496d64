/**
 * How long does a person wait for a whole command, from the shell's fork to its exit, and for a plant to be ready?
 *
 *   hyperfine ──spawns──▶ node dist/apps/cli/main.js … (get: + one read-only journal process; nothing else running)
 *   this program ──spawns──▶ millrace up ──▶ journal, workers, spare, gateway … until its line says ready
 *
 * The reference is an empty Node program, timed in the same run: what no command of ours can be faster than. `get` reads one of 1,000
 * entities in a log of a million events that no plant is running on. Start-up varies with whatever else the machine does, so the median is
 * compared with the budget, not the mean. A run counts when every command ended with exit code 0, which hyperfine checks, and `get` found
 * the last version. Needs two idle cores and Debian's hyperfine.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { packageRoot } from '#runtime/package-root.js'
import { benchMain } from './harness/bench-main.js'
import { compiledPath } from './harness/compiled.js'
import { makePressLog } from './harness/press-log.js'
import { runProgram } from './harness/run-program.js'
import { median } from './harness/samples.js'
import { timeToReady } from './harness/time-to-ready.js'

export interface CliBenchOptions {
  readonly warmup: number
  readonly runs: number
  /** Of the log that `get` reads. */
  readonly entities: number
  readonly eventsEach: number
  /** How often a plant is started. */
  readonly starts: number
}

export const CLI_BENCH_FULL: CliBenchOptions = { warmup: 3, runs: 30, entities: 1000, eventsEach: 1000, starts: 15 }
export const CLI_BENCH_SMOKE: CliBenchOptions = { warmup: 1, runs: 3, entities: 10, eventsEach: 100, starts: 1 }

interface Case {
  readonly name: string
  /** What the design allows it to take; null where only the number is of interest. */
  readonly budgetMs: number | null
  /** Arguments of node. */
  readonly args: readonly string[]
}

export interface CliBenchResult {
  readonly bench: 'cli'
  readonly commands: readonly CommandTime[]
  /** In the log that `get` reads. */
  readonly events: number
}

interface CommandTime {
  readonly name: string
  readonly medianMs: number
  readonly minMs: number
  readonly maxMs: number
  readonly budgetMs: number | null
  readonly isWithinBudget: boolean
}

const MAIN = join(packageRoot(), 'dist', 'apps', 'cli', 'main.js')
const PLANT = compiledPath('harness/press-plant')
const UP_BUDGET_MS = 1000

/** Throws ERR_BENCH_TOOL where hyperfine is missing, ERR_BENCH_FAILED where a command fails. */
export async function measureCli(options: CliBenchOptions): Promise<CliBenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-cli-'))
  try {
    const log = join(folder, 'log')
    const events = options.entities * options.eventsEach
    await makePressLog(log, options.entities, options.eventsEach)
    const get = [MAIN, 'get', `press/press-${options.entities}`, '--data', log, '--plant', PLANT]
    const cases: Case[] = [
      { name: 'node (empty program)', budgetMs: null, args: ['-e', '0'] },
      { name: 'millrace --help', budgetMs: 120, args: [MAIN, '--help'] },
      { name: 'millrace config', budgetMs: null, args: [MAIN, 'config'] },
      { name: 'millrace get', budgetMs: 300, args: get },
    ]
    await checkGet(get, options.eventsEach)
    const commands = await timeAll(cases, options, folder)
    const starts: number[] = []
    for (let start = 0; start < options.starts; start++) {
      const data = join(folder, `plant-${start}`)
      mkdirSync(data)
      starts.push(await timeToReady([MAIN, 'up', PLANT, '--data', data, '--json'], { MILLRACE_HTTP__PORT: '0' }))
    }
    commands.push(timed({ name: 'millrace up, to ready', budgetMs: UP_BUDGET_MS, args: [] }, secondsOf(starts)))
    return { bench: 'cli', commands, events }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeCliBench(result: CliBenchResult): string {
  const lines = result.commands.map(({ name, medianMs, minMs, maxMs, budgetMs, isWithinBudget }) => {
    const budget = budgetMs === null ? '' : `, budget ${budgetMs} ms${isWithinBudget ? '' : ': TOO SLOW'}`
    return `${name.padEnd(24)} median ${medianMs} ms (${minMs} to ${maxMs})${budget}`
  })
  return [...lines, `get reads one entity of a log of ${result.events.toLocaleString('en')} events`].join('\n')
}

interface Seconds {
  readonly median: number
  readonly min: number
  readonly max: number
}

async function timeAll(cases: readonly Case[], options: CliBenchOptions, folder: string): Promise<CommandTime[]> {
  const file = join(folder, 'result.json')
  const commands = cases.map(({ args }) => [process.execPath, ...args].map(quoted).join(' '))
  await run('hyperfine', ['-N', '--warmup', `${options.warmup}`, '--runs', `${options.runs}`, '--export-json', file, ...commands], folder)
  const { results } = JSON.parse(readFileSync(file, 'utf8')) as { results: Seconds[] }
  return cases.map((one, index) => timed(one, results[index] ?? { median: NaN, min: NaN, max: NaN }))
}

function timed({ name, budgetMs }: Case, seconds: Seconds): CommandTime {
  const ms = (value: number): number => Math.round(value * 10_000) / 10
  const medianMs = ms(seconds.median)
  return {
    name,
    medianMs,
    minMs: ms(seconds.min),
    maxMs: ms(seconds.max),
    budgetMs,
    isWithinBudget: budgetMs === null || medianMs <= budgetMs,
  }
}

function secondsOf(ms: readonly number[]): Seconds {
  return { median: median(ms) / 1000, min: Math.min(...ms) / 1000, max: Math.max(...ms) / 1000 }
}

/** What is timed must also be right. */
async function checkGet(get: readonly string[], version: number): Promise<void> {
  const found = JSON.parse(await run(process.execPath, [...get, '--json'], tmpdir())) as { version: number; state: { cycles: number } }
  if (found.version === version && found.state.cycles === version) return
  throw new MillraceError('ERR_BENCH_FAILED', {
    fact: 'get answered another state than the log has',
    action: 'operator',
    values: { expected: version, got: found.version },
  })
}

/** hyperfine without a shell splits a command as a shell would. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** Answers what the program printed. */
async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const end = await runProgram(command, args, cwd).catch((cause: unknown) => {
    throw new MillraceError('ERR_BENCH_TOOL', {
      fact: `${command} does not run`,
      action: 'operator',
      next: 'apt-get install hyperfine',
      cause,
    })
  })
  if (end.code === 0) return end.stdout
  throw new MillraceError('ERR_BENCH_FAILED', {
    fact: 'a command failed',
    action: 'operator',
    values: { command, code: end.code, said: end.stderr.trim() },
  })
}

benchMain(import.meta.url, {
  name: 'cli',
  full: CLI_BENCH_FULL,
  smoke: CLI_BENCH_SMOKE,
  measure: measureCli,
  describe: describeCliBench,
  isGood: (result) => result.commands.every((command) => command.isWithinBudget),
})
