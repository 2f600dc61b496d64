/**
 * How long does a person wait for a whole command, from the shell's fork to its exit?
 *
 *   hyperfine ──spawns──▶ node dist/apps/cli/main.js … (one process, nothing else running)
 *
 * The reference is an empty Node program, timed in the same run: what no command of ours can be faster than. Start-up varies with whatever
 * else the machine does, so the median is compared with the budget, not the mean. A run counts when every command ended with exit code 0,
 * which hyperfine checks. Needs one idle core and Debian's hyperfine.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError, messageOf } from '#base/errors.js'
import { packageRoot } from '#runtime/package-root.js'

export interface CliBenchOptions {
  readonly warmup: number
  readonly runs: number
}

export const CLI_BENCH_FULL: CliBenchOptions = { warmup: 3, runs: 30 }
export const CLI_BENCH_SMOKE: CliBenchOptions = { warmup: 1, runs: 3 }

interface Case {
  readonly name: string
  /** What the design allows it to take; null where only the number is of interest. */
  readonly budgetMs: number | null
  /** Arguments of node. */
  readonly args: readonly string[]
}

export interface CliBenchResult {
  readonly bench: 'cli'
  readonly commands: readonly {
    readonly name: string
    readonly medianMs: number
    readonly minMs: number
    readonly maxMs: number
    readonly budgetMs: number | null
    readonly isWithinBudget: boolean
  }[]
}

const MAIN = join(packageRoot(), 'dist', 'apps', 'cli', 'main.js')

const CASES: readonly Case[] = [
  { name: 'node (empty program)', budgetMs: null, args: ['-e', '0'] },
  { name: 'millrace --help', budgetMs: 120, args: [MAIN, '--help'] },
  { name: 'millrace config', budgetMs: null, args: [MAIN, 'config'] },
]

/** Throws ERR_BENCH_TOOL where hyperfine is missing, ERR_BENCH_FAILED where a command fails. */
export async function measureCli(options: CliBenchOptions): Promise<CliBenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-cli-'))
  try {
    const file = join(folder, 'result.json')
    const commands = CASES.map(({ args }) => [process.execPath, ...args].map(quoted).join(' '))
    await runHyperfine(['-N', '--warmup', `${options.warmup}`, '--runs', `${options.runs}`, '--export-json', file, ...commands], folder)
    const { results } = JSON.parse(readFileSync(file, 'utf8')) as { results: { median: number; min: number; max: number }[] }
    return { bench: 'cli', commands: CASES.map((one, index) => timed(one, results[index] ?? { median: NaN, min: NaN, max: NaN })) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeCliBench(result: CliBenchResult): string {
  return result.commands
    .map(({ name, medianMs, minMs, maxMs, budgetMs, isWithinBudget }) => {
      const budget = budgetMs === null ? '' : `, budget ${budgetMs} ms${isWithinBudget ? '' : ': TOO SLOW'}`
      return `${name.padEnd(24)} median ${medianMs} ms (${minMs} to ${maxMs})${budget}`
    })
    .join('\n')
}

function timed({ name, budgetMs }: Case, seconds: { median: number; min: number; max: number }): CliBenchResult['commands'][number] {
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

/** hyperfine without a shell splits a command as a shell would. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}

function runHyperfine(args: readonly string[], cwd: string): Promise<void> {
  const child = spawn('hyperfine', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new MillraceError('ERR_BENCH_TOOL', {
          fact: 'hyperfine does not run',
          action: 'operator',
          next: 'apt-get install hyperfine',
          cause,
        }),
      ),
    )
    child.once('close', (code) => {
      if (code === 0) resolve()
      else
        reject(
          new MillraceError('ERR_BENCH_FAILED', {
            fact: 'a command failed under hyperfine',
            action: 'operator',
            values: { code, said: said.trim() },
          }),
        )
    })
  })
}

async function main(args: readonly string[]): Promise<void> {
  const result = await measureCli(args.includes('--smoke') ? CLI_BENCH_SMOKE : CLI_BENCH_FULL)
  process.stdout.write(args.includes('--json') ? `${JSON.stringify(result)}\n` : `${describeCliBench(result)}\n`)
  if (result.commands.some((command) => !command.isWithinBudget)) process.exitCode = 1
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`cli: ${messageOf(error)}\n`)
    process.exitCode = 1
  })
}
