/**
 * How many events a second does the journal make durable, and how long does one wait for it?
 *
 *   append frames in memory ─▶ Journal.append ─▶ one columnar block ─▶ one LMDB put ─▶ fsync      all in one process, as in a plant
 *
 * Batches of 4,096 appends of one event each, four columns besides the shared ones, from 10,000 entities in turns. The frames are made before the
 * clock starts, since in a plant the workers make them; the journal has two batches at a time, of which one is on its way to the disk. Then one
 * event at a time, in turns with a bare LMDB put of a row of 64 bytes: what no acknowledgement can be faster than. A run counts when the log has
 * every row with the values that were appended. The references store each event as a row of its own, in the same groups, each group one
 * transaction and one fsync: LMDB by itself, better-sqlite3 (WAL, synchronous=FULL, unique by stream and version) and the store of @rotorsoft/act on
 * SQLite through its own batch commit. They are installed into bench/rivals when they are not there, and left out with the reason where that fails.
 * Needs one core and a half.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError, messageOf } from '#base/errors.js'
import type { AppendOrder, AppendReport, AppendWriterSetup } from './harness/append-writer.js'
import { benchMain } from './harness/bench-main.js'
import { MeasuringProcess } from './harness/measuring-process.js'
import type { RivalName, RivalOrder, RivalReport, RivalSetup } from './harness/rival-writer.js'

export interface JournalAppendOptions {
  readonly sensors: number
  readonly perBatch: number
  readonly warmUpBatches: number
  readonly batches: number
  readonly singles: number
  readonly rivals: readonly RivalName[]
  readonly rivalBatches: number
}

export const JOURNAL_APPEND_FULL: JournalAppendOptions = {
  sensors: 10_000,
  perBatch: 4096,
  warmUpBatches: 256,
  batches: 1024,
  singles: 960,
  rivals: ['better-sqlite3', 'act-sqlite'],
  rivalBatches: 40,
}
export const JOURNAL_APPEND_SMOKE: JournalAppendOptions = {
  sensors: 100,
  perBatch: 64,
  warmUpBatches: 2,
  batches: 8,
  singles: 4,
  rivals: [],
  rivalBatches: 3,
}

export interface JournalAppendBench {
  readonly bench: 'journal-append'
  readonly eventsPerSecond: number
  /** Transactions that LMDB counts, each of which syncs. */
  readonly fsyncs: number
  /** Of a batch, from the call to its answer. */
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly bytesPerEvent: number
  /** Processor time of the whole process, the writing thread of LMDB included. */
  readonly cpuNsPerEvent: number
  /** The same with one batch at a time: the next is handed over when the one before is acknowledged. */
  readonly oneBatchAtATime: { readonly eventsPerSecond: number; readonly ackP50Ms: number }
  readonly oneAtATime: {
    readonly ackP50Ms: number
    readonly ackP99Ms: number
    readonly rawPutP50Ms: number
    /** The acknowledgement in bare puts. */
    readonly ratio: number
  }
  readonly reference: RivalResult
  readonly rivals: readonly (RivalResult | { readonly name: RivalName; readonly skipped: string })[]
  /** Read back and compared. */
  readonly events: number
}

export interface RivalResult {
  readonly name: RivalName
  readonly eventsPerSecond: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
}

/** Throws ERR_BENCH_FAILED when the log does not have what was appended. */
export async function measureJournalAppend(options: JournalAppendOptions): Promise<JournalAppendBench> {
  const { perBatch, batches, warmUpBatches } = options
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-append-'))
  try {
    const flood = await withWriter(join(folder, 'flood'), options.sensors, async (give) => {
      const before = (await give({ order: 'batches', batches: warmUpBatches, perBatch, inFlight: 2 })).storedBytes
      const measured = await give({ order: 'batches', batches, perBatch, inFlight: 2 })
      const serial = await give({ order: 'batches', batches, perBatch, inFlight: 1 })
      const checked = await give({ order: 'check' })
      mustBe(checked.events, (warmUpBatches + 2 * batches) * perBatch)
      return { ...measured, serial, checked: checked.events, bytes: measured.storedBytes - before }
    })
    const single = await withWriter(join(folder, 'single'), options.sensors, async (give) => {
      const warm = await give({ order: 'singles', count: options.singles })
      const measured = await give({ order: 'singles', count: options.singles })
      const checked = await give({ order: 'check' })
      mustBe(checked.events, warm.events + measured.events)
      return { ...measured, checked: checked.events }
    })
    const rivals: JournalAppendBench['rivals'][number][] = []
    for (const name of options.rivals) {
      try {
        rivals.push(await measureRival(name, folder, options))
      } catch (error) {
        rivals.push({ name, skipped: messageOf(error) })
      }
    }
    return {
      bench: 'journal-append',
      eventsPerSecond: perSecond(flood),
      fsyncs: flood.transactions,
      ackP50Ms: rounded(flood.ackMs.p50),
      ackP99Ms: rounded(flood.ackMs.p99),
      bytesPerEvent: Math.round((flood.bytes / flood.events) * 10) / 10,
      cpuNsPerEvent: Math.round((flood.cpuMs * 1e6) / flood.events),
      oneBatchAtATime: { eventsPerSecond: perSecond(flood.serial), ackP50Ms: rounded(flood.serial.ackMs.p50) },
      oneAtATime: {
        ackP50Ms: rounded(single.ackMs.p50),
        ackP99Ms: rounded(single.ackMs.p99),
        rawPutP50Ms: rounded(single.putMs.p50),
        ratio: rounded(single.ackMs.p50 / single.putMs.p50),
      },
      reference: await measureRival('raw-lmdb', folder, options),
      rivals,
      events: flood.checked + single.checked,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeJournalAppend(result: JournalAppendBench): string {
  const { oneAtATime, reference, rivals } = result
  const line = (one: JournalAppendBench['rivals'][number]) =>
    'skipped' in one
      ? `${one.name}: left out, ${one.skipped}`
      : `${one.name}: ${one.eventsPerSecond.toLocaleString('en')} events/s, p50 ${one.ackP50Ms} ms a batch`
  return [
    `${result.eventsPerSecond.toLocaleString('en')} durable events/s, acknowledged after p50 ${result.ackP50Ms} ms, p99 ${result.ackP99Ms} ms; ${result.bytesPerEvent} bytes and ${result.cpuNsPerEvent} ns of processor time an event`,
    `one batch at a time: ${result.oneBatchAtATime.eventsPerSecond.toLocaleString('en')} events/s, p50 ${result.oneBatchAtATime.ackP50Ms} ms`,
    `one event at a time: p50 ${oneAtATime.ackP50Ms} ms, ${oneAtATime.ratio} times a bare LMDB put (${oneAtATime.rawPutP50Ms} ms)`,
    ...[reference, ...rivals].map(line),
    `${result.events.toLocaleString('en')} events read back`,
  ].join('\n')
}

async function withWriter<T>(
  folder: string,
  sensors: number,
  work: (give: (order: AppendOrder) => Promise<AppendReport>) => Promise<T>,
): Promise<T> {
  const writer = new MeasuringProcess<AppendWriterSetup, AppendOrder, AppendReport>('harness/append-writer', { folder, sensors })
  try {
    return await work((order) => writer.order(order))
  } finally {
    writer.kill()
  }
}

async function measureRival(name: RivalName, folder: string, options: JournalAppendOptions): Promise<RivalResult> {
  const { sensors, perBatch, rivalBatches } = options
  const setup: RivalSetup = { name, folder, sensors, perBatch }
  const rival = new MeasuringProcess<RivalSetup, RivalOrder, RivalReport>('harness/rival-writer', setup)
  try {
    const warm = await rival.order({ batches: Math.ceil(rivalBatches / 4) })
    const report = await rival.order({ batches: rivalBatches })
    mustBe(report.events - warm.events, rivalBatches * perBatch)
    const events = rivalBatches * perBatch
    return {
      name,
      eventsPerSecond: perSecond({ events, elapsedMs: report.elapsedMs }),
      ackP50Ms: rounded(report.ackP50Ms),
      ackP99Ms: rounded(report.ackP99Ms),
    }
  } finally {
    rival.kill()
  }
}

function perSecond({ events, elapsedMs }: { readonly events: number; readonly elapsedMs: number }): number {
  return Math.round((events / elapsedMs) * 1000)
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

function mustBe(events: number, expected: number): void {
  if (events === expected) return
  const fact = 'a log has another number of rows than were appended'
  throw new MillraceError('ERR_BENCH_FAILED', { fact, action: 'operator', values: { events, expected } })
}

benchMain(import.meta.url, {
  name: 'journal-append',
  full: JOURNAL_APPEND_FULL,
  smoke: JOURNAL_APPEND_SMOKE,
  measure: measureJournalAppend,
  describe: describeJournalAppend,
})
