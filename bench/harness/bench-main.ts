import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MillraceError, messageOf } from '#base/errors.js'
import { saveResult } from './saved-result.js'

/** A benchmark as a program. */
export interface Bench<Options, Result extends object> {
  /** Of its file, and of the result in bench/results. */
  readonly name: string
  readonly full: Options
  readonly smoke: Options
  readonly measure: (options: Options) => Promise<Result> | Result
  /** For people; at most some lines. */
  readonly describe: (result: Result) => string
  /** False makes the exit code 1: a budget is exceeded. */
  readonly isGood?: (result: Result) => boolean
  /** Options of its own. */
  readonly flags?: Readonly<Record<`--${string}`, BenchFlag<Options>>>
}

export interface BenchFlag<Options> {
  /** What the value is, for the usage: "N". Undefined: the option has none. */
  readonly value?: string
  readonly help: string
  /** The options that it makes of others; undefined when the value is none that it can use. Without one it is ''. */
  readonly apply: (options: Options, value: string) => Options | undefined
}

interface Wanted<Options> {
  readonly options: Options
  readonly isSmoke: boolean
  readonly isJson: boolean
  readonly isSaved: boolean
  readonly note: string | undefined
}

const USAGE =
  'options: --smoke (a short run), --json (the result as the last line), --save (into bench/results), --note TEXT (kept with what is saved)'

/**
 * Runs the benchmark when its module is the program that was started, and does nothing when it was imported. Results go to stdout, remarks
 * to stderr; exit code 0, 1 when it failed, 2 when it was asked wrongly.
 */
export function benchMain<Options, Result extends object>(moduleUrl: string, bench: Bench<Options, Result>): void {
  if (process.argv[1] === undefined || realpathSync(process.argv[1]) !== fileURLToPath(moduleUrl)) return
  runBench(bench, process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${bench.name}: ${messageOf(error)}\n`)
    process.exitCode = error instanceof MillraceError && error.code === 'ERR_USAGE' ? 2 : 1
  })
}

async function runBench<Options, Result extends object>(bench: Bench<Options, Result>, args: readonly string[]): Promise<void> {
  const wanted = wantedOf(bench, args)
  const result = await bench.measure(wanted.options)
  if (wanted.isSaved) process.stderr.write(`saved as ${saveResult(bench.name, result, wanted.note)}\n`)
  process.stdout.write(wanted.isJson ? `${JSON.stringify(result)}\n` : `${bench.describe(result)}\n`)
  if (bench.isGood?.(result) === false) process.exitCode = 1
}

function wantedOf<Options, Result extends object>(bench: Bench<Options, Result>, args: readonly string[]): Wanted<Options> {
  let [isSmoke, isJson, isSaved] = [false, false, false]
  let note: string | undefined
  const own: ((options: Options) => Options)[] = []
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] as string
    const flag = bench.flags?.[arg as `--${string}`]
    if (arg === '--smoke') isSmoke = true
    else if (arg === '--json') isJson = true
    else if (arg === '--save') isSaved = true
    else if (arg === '--note' && args[index + 1] !== undefined) note = args[++index]
    else if (flag !== undefined && flag.value === undefined) own.push(applied(arg, flag, ''))
    else if (flag !== undefined && args[index + 1] !== undefined) own.push(applied(arg, flag, args[++index] as string))
    else throw usageError(`what is ${arg}?`, usageOf(bench))
  }
  if (isSmoke && isSaved) throw usageError('a smoke run measures nothing worth keeping', 'leave out --smoke or --save')
  const options = own.reduce((before, apply) => apply(before), isSmoke ? bench.smoke : bench.full)
  return { options, isSmoke, isJson, isSaved, note }
}

function applied<Options>(name: string, flag: BenchFlag<Options>, value: string): (options: Options) => Options {
  return (options) => {
    const changed = flag.apply(options, value)
    if (changed === undefined) throw usageError(`${name} takes ${flag.value ?? 'no value'}, not ${value}`, flag.help)
    return changed
  }
}

function usageOf<Options, Result extends object>({ flags = {} }: Bench<Options, Result>): string {
  return [
    USAGE,
    ...Object.entries(flags).map(([name, { value, help }]) => `${name}${value === undefined ? '' : ` ${value}`} (${help})`),
  ].join(', ')
}

function usageError(fact: string, next: string): MillraceError {
  return new MillraceError('ERR_USAGE', { fact, action: 'operator', next })
}
