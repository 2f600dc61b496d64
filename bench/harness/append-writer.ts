import { closeSync, openSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { AppendAnswer, AppendBatch, Journal } from '#journal/index.js'
import { DATA_FILE } from '#journal/lmdb/environment.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { newestTransaction } from '#journal/lmdb/page-check.js'
import { AppendBatches, SENSOR_EVENT } from './append-batches.js'
import { putAndSync } from './lmdb-put.js'
import { serveOrders } from './measuring-process.js'
import { percentile } from './samples.js'
import { checkSensorLog } from './sensor-log.js'

export interface AppendWriterSetup {
  readonly folder: string
  readonly sensors: number
}

export type AppendOrder =
  /** As many batches one behind the other; the next is handed over as soon as the journal takes one more. */
  | { readonly order: 'batches'; readonly batches: number; readonly perBatch: number; readonly inFlight: 1 | 2 }
  /** One event at a time, and between them bare LMDB puts. */
  | { readonly order: 'singles'; readonly count: number }
  /** Reads back all that was appended. */
  | { readonly order: 'check' }

type Batches = Extract<AppendOrder, { readonly order: 'batches' }>

export interface AppendReport {
  readonly events: number
  /** Of the log's environments, while it lasted: each is synced once, and its meta page by a synchronous write. */
  readonly transactions: number
  readonly elapsedMs: number
  readonly cpuMs: number
  readonly ackMs: { readonly p50: number; readonly p99: number }
  /** Of the bare puts, with `singles`. */
  readonly putMs: { readonly p50: number; readonly p99: number }
  readonly storedBytes: number
}

/** Batches that are made before the clock starts: what a worker does is no part of the journal's work. */
const BATCHES_AHEAD = 32
/** Sealing, which rewrites the log in the background, is another question. */
const WITHOUT_SEALING = { segmentRowsMax: Number.POSITIVE_INFINITY, segmentBytesMax: Number.POSITIVE_INFINITY }

const JOURNAL = 'journal'

class AppendWriter {
  readonly #folder: string
  readonly #sensors: number
  readonly #opened: Promise<Journal>
  readonly #acks: number[] = []
  #batches: AppendBatches | undefined
  #elapsedMs = 0
  #cpuMs = 0

  constructor({ folder, sensors }: AppendWriterSetup) {
    this.#folder = folder
    this.#sensors = sensors
    this.#opened = openLmdbJournal({ directory: join(folder, JOURNAL), ...WITHOUT_SEALING })
  }

  async carryOut(order: AppendOrder): Promise<AppendReport> {
    const journal = await this.#opened
    const transactionsBefore = transactionsOf(this.#folder)
    this.#acks.length = 0
    this.#elapsedMs = 0
    this.#cpuMs = 0
    let puts = new Float64Array(0)
    let events = 0
    if (order.order === 'check') events = await checkSensorLog(journal)
    else {
      this.#batches ??= await this.#batchesFor(journal, order.order === 'batches' ? order.perBatch : 1)
      const before = this.#batches.sentCount
      if (order.order === 'batches') await this.#flood(journal, this.#batches, order)
      else puts = await this.#singles(journal, this.#batches, order.count)
      events = this.#batches.sentCount - before
    }
    const acks = Float64Array.from(this.#acks)
    return {
      events,
      transactions: transactionsOf(this.#folder) - transactionsBefore,
      elapsedMs: this.#elapsedMs,
      cpuMs: this.#cpuMs,
      ackMs: { p50: percentile(acks, 0.5), p99: percentile(acks, 0.99) },
      putMs: { p50: percentile(puts, 0.5), p99: percentile(puts, 0.99) },
      storedBytes: journal.storedBytes(),
    }
  }

  async #batchesFor(journal: Journal, perBatch: number): Promise<AppendBatches> {
    const [type] = await journal.register([SENSOR_EVENT])
    if (type === undefined) throw new Error('the journal has numbered the event')
    return new AppendBatches({ type, entities: this.#sensors, shardCount: journal.shardCount, perBatch, slots: BATCHES_AHEAD })
  }

  async #flood(journal: Journal, source: AppendBatches, { batches, inFlight: inFlightMax }: Batches): Promise<void> {
    for (let done = 0; done < batches; done += BATCHES_AHEAD) {
      const ahead = Array.from({ length: Math.min(BATCHES_AHEAD, batches - done) }, () => source.next())
      const startMs = performance.now()
      const cpu = process.cpuUsage()
      const inFlight: Promise<void>[] = []
      for (const batch of ahead) {
        if (inFlight.length === inFlightMax) await inFlight.shift()
        inFlight.push(this.#append(journal, batch))
      }
      await Promise.all(inFlight)
      this.#elapsedMs += performance.now() - startMs
      const { user, system } = process.cpuUsage(cpu)
      this.#cpuMs += (user + system) / 1000
    }
  }

  /** Turn and turn about with the bare puts, so that both meet the same disk. */
  async #singles(journal: Journal, source: AppendBatches, count: number): Promise<Float64Array<ArrayBuffer>> {
    const puts: number[] = []
    for (let done = 0; done < count; done += BATCHES_AHEAD) {
      puts.push(...(await putAndSync(join(this.#folder, `puts-${done}`), BATCHES_AHEAD)))
      for (let index = 0; index < BATCHES_AHEAD; index++) {
        const batch = source.next()
        const startMs = performance.now()
        await this.#append(journal, batch)
        this.#elapsedMs += performance.now() - startMs
      }
    }
    return Float64Array.from(puts)
  }

  async #append(journal: Journal, batch: AppendBatch): Promise<void> {
    const startMs = performance.now()
    const answer: AppendAnswer = await journal.append(batch)
    this.#acks.push(performance.now() - startMs)
    if (answer.rowCount !== batch.count) throw new Error(`${batch.count - answer.rowCount} appends of a batch were not stored`)
  }
}

/** As LMDB counts them, in all files of the log. */
function transactionsOf(folder: string): number {
  const names = readdirSync(join(folder, JOURNAL), { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => basename(name) === DATA_FILE)
  return files.reduce((sum, name) => {
    const descriptor = openSync(join(folder, JOURNAL, name), 'r')
    try {
      return sum + newestTransaction(descriptor)
    } finally {
      closeSync(descriptor)
    }
  }, 0)
}

serveOrders<AppendWriterSetup, AppendOrder, AppendReport>(import.meta.url, (setup) => {
  const writer = new AppendWriter(setup)
  return (order) => writer.carryOut(order)
})
