/**
 * How fast is the log read: one column of a range, whole events into `apply`, the newest hundred events of one entity out of many; how long does
 * opening take, and what of this grows with the log?
 *
 *   writer ──append, seal──▶ log of sealed segments ◀── reader: a fresh process per size, alone with the journal
 *
 * The log is written by the journal itself, 4,096 events a batch, one event in turn per entity, and sealed. Opening is measured in a fresh process, up to the first
 * question that it can answer, with the page cache of the system dropped before where that is permitted (`isCold`). Everything else is warm: medians of
 * rounds, and the newest hundred as the median over many entities, each a `query` of its own. Every round checks what it read: sums, counts and values are those that
 * were written. One core; the log of 10 million events takes some hundred megabytes below --data or the folder for temporary files.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { benchMain } from './harness/bench-main.js'
import { MeasuringProcess } from './harness/measuring-process.js'
import type { ReadOrder, ReadReport, ReadSetup } from './harness/read-end.js'
import { median } from './harness/samples.js'

export interface JournalReadOptions {
  /** Events of the logs, ascending; the first figures are of the one named by `figuresOf`. */
  readonly sizes: readonly number[]
  readonly figuresOf: number
  readonly entities: number
  readonly rounds: number
  /** Entities asked for their newest hundred events. */
  readonly newestTimes: number
  /** Whether to have the system forget the files before opening: slows down whatever else runs on the machine. */
  readonly dropsCaches: boolean
  /** Where logs are kept and found again; else below the folder for temporary files, and removed. */
  readonly data?: string
}

const MILLION = 1_000_000
export const JOURNAL_READ_FULL: JournalReadOptions = {
  sizes: [MILLION, 10 * MILLION],
  figuresOf: 10 * MILLION,
  entities: 10_000,
  rounds: 5,
  newestTimes: 2000,
  dropsCaches: true,
}
export const JOURNAL_READ_SMOKE: JournalReadOptions = {
  sizes: [2000, 6000],
  figuresOf: 6000,
  entities: 20,
  rounds: 1,
  newestTimes: 8,
  dropsCaches: false,
}

export interface JournalReadBench {
  readonly bench: 'journal-read'
  readonly columnValuesPerSecond: number
  readonly replayEventsPerSecond: number
  /** Median of one query for the newest hundred events of an entity, warm. */
  readonly lastHundredMs: number
  readonly lastHundredP99Ms: number
  readonly coldOpenMs: number
  /** Whether the page cache was dropped before opening. */
  readonly isCold: boolean
  readonly events: number
  readonly entities: number
  readonly growth: readonly ReadGrowth[]
}

export interface ReadGrowth {
  readonly events: number
  readonly openMs: number
  readonly lastHundredMs: number
  /** Resident memory of the reading process after both, and what JavaScript holds of it. */
  readonly memoryMiB: number
  readonly heldMiB: number
}

const EVENTS_PER_ORDER = MILLION
/** Sealing a log of a hundred million events takes its time. */
const ORDER_MS_MAX = 1_800_000
const DROP_CACHES = '/proc/sys/vm/drop_caches'

/** Throws ERR_BENCH_FAILED when a process fails, or reads something else than was written. */
export async function measureJournalRead(options: JournalReadOptions): Promise<JournalReadBench> {
  const folder = options.data ?? mkdtempSync(join(tmpdir(), 'millrace-journal-read-'))
  try {
    const growth: ReadGrowth[] = []
    let figures: Figures | undefined
    let isCold = true
    for (const events of options.sizes) {
      const setup: ReadSetup = { directory: join(folder, `${events}-events-${options.entities}-entities`), entities: options.entities }
      await write(setup, events)
      isCold = options.dropsCaches && dropCaches() && isCold
      const reader = new MeasuringProcess<ReadSetup, ReadOrder, ReadReport>('harness/read-end', setup, ORDER_MS_MAX)
      try {
        const { ms: openMs } = await reader.order({ kind: 'open' })
        const newest = await reader.order({ kind: 'newest', times: options.newestTimes, events })
        const [lastHundredMs, lastHundredP99Ms] = [rounded(newest.p50Ms ?? Number.NaN), rounded(newest.p99Ms ?? Number.NaN)]
        growth.push({
          events,
          openMs: rounded(openMs),
          lastHundredMs,
          memoryMiB: Math.round(newest.memoryMiB),
          heldMiB: Math.round(newest.heldMiB),
        })
        if (events !== options.figuresOf) continue
        const columnValuesPerSecond = await perSecond(reader, { kind: 'column', events }, options.rounds)
        const replayEventsPerSecond = await perSecond(reader, { kind: 'replay', events }, options.rounds)
        figures = { columnValuesPerSecond, replayEventsPerSecond, lastHundredMs, lastHundredP99Ms, coldOpenMs: rounded(openMs) }
      } finally {
        reader.kill()
      }
    }
    return { bench: 'journal-read', ...(figures as Figures), isCold, events: options.figuresOf, entities: options.entities, growth }
  } finally {
    if (options.data === undefined) rmSync(folder, { recursive: true, force: true })
  }
}

type Figures = Pick<
  JournalReadBench,
  'columnValuesPerSecond' | 'replayEventsPerSecond' | 'lastHundredMs' | 'lastHundredP99Ms' | 'coldOpenMs'
>

export function describeJournalRead(result: JournalReadBench): string {
  const { events, entities, columnValuesPerSecond, replayEventsPerSecond, lastHundredMs, lastHundredP99Ms, coldOpenMs, isCold, growth } =
    result
  return [
    `${events.toLocaleString('en-US')} events of ${entities.toLocaleString('en-US')} entities:`,
    `  one column of a range: ${millions(columnValuesPerSecond)} values/s`,
    `  replay into apply: ${millions(replayEventsPerSecond)} events/s`,
    `  newest hundred events of an entity: p50 ${lastHundredMs} ms, p99 ${lastHundredP99Ms} ms`,
    `  ${isCold ? 'cold' : 'warm'} open: ${coldOpenMs} ms`,
    ...growth.map(
      (one) =>
        `${one.events.toLocaleString('en-US')} events: open ${one.openMs} ms, newest hundred ${one.lastHundredMs} ms, memory ${one.memoryMiB} MiB`,
    ),
  ].join('\n')
}

/** Writes and seals the log, unless it is there from an earlier run. */
async function write(setup: ReadSetup, events: number): Promise<void> {
  const done = join(setup.directory, 'written')
  if (existsSync(done)) return
  rmSync(setup.directory, { recursive: true, force: true })
  mkdirSync(setup.directory, { recursive: true })
  const writer = new MeasuringProcess<ReadSetup, ReadOrder, ReadReport>('harness/read-end', setup, ORDER_MS_MAX)
  try {
    for (let from = 0; from < events; from += EVENTS_PER_ORDER)
      await writer.order({ kind: 'write', from, to: Math.min(events, from + EVENTS_PER_ORDER) })
    await writer.order({ kind: 'finish' })
    writeFileSync(done, '')
  } finally {
    writer.kill()
  }
}

/** The median over rounds, after one that warms up. */
async function perSecond(reader: MeasuringProcess<ReadSetup, ReadOrder, ReadReport>, order: ReadOrder, rounds: number): Promise<number> {
  await reader.order(order)
  const rates: number[] = []
  for (let round = 0; round < rounds; round++) {
    const { count, ms } = await reader.order(order)
    rates.push(count / (ms / 1000))
  }
  return Math.round(median(rates))
}

/** Whether what was written is out of memory now, as after a start of the machine. */
function dropCaches(): boolean {
  try {
    writeFileSync(DROP_CACHES, '3')
    return true
  } catch {
    return false
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

function millions(rate: number): string {
  return `${(rate / 1e6).toFixed(1)} M`
}

benchMain(import.meta.url, {
  name: 'journal-read',
  full: JOURNAL_READ_FULL,
  smoke: JOURNAL_READ_SMOKE,
  measure: measureJournalRead,
  describe: describeJournalRead,
  flags: {
    '--full': { help: 'also a log of 100 million events', apply: (options) => ({ ...options, sizes: [...options.sizes, 100 * MILLION] }) },
    '--data': {
      value: 'DIR',
      help: 'keep the logs there, and use those of an earlier run',
      apply: (options, data) => ({ ...options, data }),
    },
  },
})
