import { join } from 'node:path'
import { open } from 'lmdb'
import { serveOrders } from './measuring-process.js'
import { loadRival } from './rivals.js'
import { percentile } from './samples.js'
import { emptyReport, type SensorData, sensorName, sensorReport } from './sensor-data.js'

export type RivalName = 'raw-lmdb' | 'better-sqlite3' | 'act-sqlite'

export interface RivalSetup {
  readonly name: RivalName
  readonly folder: string
  readonly sensors: number
  readonly perBatch: number
}

export interface RivalOrder {
  readonly batches: number
}

export interface RivalReport {
  /** Stored, and counted by the rival itself afterwards. */
  readonly events: number
  readonly elapsedMs: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
}

/** Stores one batch, durable when it resolves, each event as a row of its own. */
interface Rival {
  append(batch: readonly StoredReport[]): Promise<void> | void
  count(): Promise<number> | number
}

interface StoredReport {
  readonly stream: string
  readonly version: number
  readonly at: number
  readonly data: SensorData
}

const FIRST_AT = Date.UTC(2026, 0, 1) * 1000

function reports({ sensors, perBatch }: RivalSetup): () => StoredReport[] {
  let sent = 0
  return () =>
    Array.from({ length: perBatch }, () => {
      const sensor = sent % sensors
      const version = Math.floor(sent++ / sensors) + 1
      return { stream: sensorName(sensor), version, at: FIRST_AT + version, data: sensorReport(sensor, version, emptyReport()) }
    })
}

const RIVALS: Readonly<Record<RivalName, (folder: string) => Promise<Rival> | Rival>> = {
  /** A put per event, one transaction and one fsync per batch. */
  'raw-lmdb': (folder) => {
    const database = open<Buffer, Uint8Array>({
      path: join(folder, 'raw-lmdb'),
      encoding: 'binary',
      keyEncoding: 'binary',
      overlappingSync: false,
    })
    let stored = 0
    return {
      append: async (batch) => {
        let last: Promise<unknown> = Promise.resolve()
        for (const { stream, version, at, data } of batch) {
          const key = Buffer.alloc(8)
          key.writeUInt32BE(stored++, 4)
          const row = Buffer.allocUnsafe(64)
          row.writeDoubleLE(at, 0)
          row.writeDoubleLE(data.temperature, 8)
          row.writeDoubleLE(data.pressure, 16)
          row.writeInt32LE(data.cycle, 24)
          row.writeUInt32LE(version, 28)
          row.write(stream.padEnd(16), 32, 'latin1')
          row.write(data.state.padEnd(16), 48, 'latin1')
          last = database.put(key, row)
        }
        await last
      },
      count: () => (database.getStats() as { entryCount: number }).entryCount,
    }
  },
  'better-sqlite3': (folder) => {
    const Database = loadRival('better-sqlite3') as new (path: string) => SqliteDatabase
    const database = new Database(join(folder, 'better.sqlite'))
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.exec(
      'CREATE TABLE events (id INTEGER PRIMARY KEY, stream TEXT, version INTEGER, at INTEGER, temperature REAL, pressure REAL, state TEXT, cycle INTEGER, UNIQUE (stream, version))',
    )
    const insert = database.prepare(
      'INSERT INTO events (stream, version, at, temperature, pressure, state, cycle) VALUES (?, ?, ?, ?, ?, ?, ?)',
    )
    const append = database.transaction((batch: readonly StoredReport[]) => {
      for (const { stream, version, at, data } of batch)
        insert.run(stream, version, at, data.temperature, data.pressure, data.state, data.cycle)
    })
    return { append, count: () => (database.prepare('SELECT count(*) AS rows FROM events').get() as { rows: number }).rows }
  },
  /** Its own batch is the events of one stream, so a batch is one stream here: the best case for it. */
  'act-sqlite': async (folder) => {
    const { SqliteStore } = loadRival('@rotorsoft/act-sqlite') as { SqliteStore: new (config: { url: string }) => ActStore }
    const store = new SqliteStore({ url: `file:${join(folder, 'act.sqlite')}` })
    await store.seed()
    let batches = 0
    return {
      append: async (batch) => {
        const messages = batch.map(({ data }) => ({ name: 'Sampled', data }))
        await store.commit(`sensors-${++batches}`, messages, { correlation: 'bench', causation: {} })
      },
      count: async () => {
        let events = 0
        await store.query(() => (events += 1), {})
        return events
      },
    }
  },
}

interface SqliteDatabase {
  pragma(text: string): unknown
  exec(text: string): unknown
  prepare(text: string): { run(...values: unknown[]): unknown; get(): unknown }
  transaction<Args extends unknown[]>(work: (...args: Args) => void): (...args: Args) => void
}

interface ActStore {
  seed(): Promise<void>
  commit(stream: string, messages: readonly { name: string; data: unknown }[], meta: object): Promise<unknown>
  query(each: (event: unknown) => void, filter: object): Promise<number>
}

serveOrders<RivalSetup, RivalOrder, RivalReport>(import.meta.url, (setup) => {
  const opened = Promise.resolve(RIVALS[setup.name](setup.folder))
  const next = reports(setup)
  return async ({ batches }) => {
    const rival = await opened
    const waits = new Float64Array(batches)
    let elapsedMs = 0
    for (let batch = 0; batch < batches; batch++) {
      const given = next()
      const startMs = performance.now()
      await rival.append(given)
      waits[batch] = performance.now() - startMs
      elapsedMs += waits[batch] as number
    }
    return { events: await rival.count(), elapsedMs, ackP50Ms: percentile(waits, 0.5), ackP99Ms: percentile(waits, 0.99) }
  }
})
