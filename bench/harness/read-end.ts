import { assert } from '#base/assert.js'
import { entityId } from '#base/ids.js'
import { compileEntity } from '#entity/index.js'
import { BlockReplay, type Journal } from '#journal/index.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { serveOrders } from './measuring-process.js'
import { atOf, Gauge, temperatureOf, writeEvents } from './read-log.js'
import { percentile } from './samples.js'

/** A process that writes or reads a log for bench/journal-read.ts. */
export interface ReadSetup {
  readonly directory: string
  readonly entities: number
  /** Sabotage: this event is stored with another temperature than it should have. */
  readonly changedEvent?: number
}

export type ReadOrder =
  | { readonly kind: 'write'; readonly from: number; readonly to: number }
  /** Seals all that was written and closes the log. */
  | { readonly kind: 'finish' }
  /** Opens the log as a journal process does, until the first entity can be asked for. */
  | { readonly kind: 'open' }
  | { readonly kind: 'newest'; readonly times: number; readonly events: number }
  | { readonly kind: 'column'; readonly events: number }
  | { readonly kind: 'replay'; readonly events: number }

/** Of every order but `write` and `finish` the first number is what is measured. */
export interface ReadReport {
  /** Milliseconds of the whole, of which processor of this process. */
  readonly ms: number
  readonly cpuMs: number
  /** For `newest`: the median of one. */
  readonly p50Ms?: number
  readonly p99Ms?: number
  /** Resident memory of the process, and what its JavaScript holds outside the heap and in it. */
  readonly memoryMiB: number
  readonly heldMiB: number
  /** Values or events read. */
  readonly count: number
}

const NEWEST = 100

/** Writes the log, or reads it and holds what comes against what was to be written; an AssertionError says what is not the same. */
export class ReadEnd {
  readonly #setup: ReadSetup
  #journal: Journal | undefined

  constructor(setup: ReadSetup) {
    this.#setup = setup
  }

  async carryOut(order: ReadOrder): Promise<ReadReport> {
    const startedMs = performance.now()
    const cpu = process.cpuUsage()
    const told = await this.#carryOut(order)
    const { user, system } = process.cpuUsage(cpu)
    const { rss, heapUsed, external } = process.memoryUsage()
    const ms = performance.now() - startedMs
    return { ms, cpuMs: (user + system) / 1000, memoryMiB: rss / 2 ** 20, heldMiB: (heapUsed + external) / 2 ** 20, count: 0, ...told }
  }

  async #carryOut(order: ReadOrder): Promise<Partial<ReadReport>> {
    const { directory, ...what } = this.#setup
    const journal = (this.#journal ??= await openLmdbJournal({ directory, segmentAgeMs: Infinity }))
    switch (order.kind) {
      case 'write':
        await writeEvents(journal, { ...order, ...what })
        return { count: order.to - order.from }
      case 'finish':
        await journal.seal()
        await journal.close()
        this.#journal = undefined
        return {}
      case 'open':
        assert(journal.head(entityId('gauge', 'gauge-1')) !== undefined, 'an opened log knows its entities')
        return {}
      case 'newest':
        return this.#newest(journal, order)
      case 'column':
        return this.#column(journal, order.events)
      case 'replay':
        return this.#replay(journal, order.events)
    }
  }

  /** The newest events of one entity after the other, as a query gives them. The first quarter warms up and does not count. */
  async #newest(journal: Journal, { times, events }: { readonly times: number; readonly events: number }): Promise<Partial<ReadReport>> {
    const { entities } = this.#setup
    const waits = new Float64Array(times)
    const warm = Math.ceil(times / 4)
    for (let index = -warm; index < times; index++) {
      const own = (((index + warm) * 7919) % entities) + 1
      const startedMs = performance.now()
      const rows: Readonly<Record<string, unknown>>[] = []
      for await (const row of journal.query({ entity: `gauge/gauge-${own}`, newest: NEWEST })) rows.push(row)
      if (index >= 0) waits[index] = performance.now() - startedMs
      const turns = Math.floor((events - own) / entities) + 1
      const wanted = Math.min(NEWEST, turns)
      assert(rows.length === wanted, 'the newest events of an entity are all there')
      rows.forEach((row, at) => {
        const turn = turns - wanted + at
        const event = turn * entities + own - 1
        assert(row['version'] === turn + 1, 'the newest events of an entity are in order')
        assert((row['data'] as { temperature: number }).temperature === temperatureOf(event), 'they are what was written')
      })
    }
    return { count: times, p50Ms: percentile(waits, 0.5), p99Ms: percentile(waits, 0.99) }
  }

  /** One column of the middle nine tenths of the log, by time. */
  async #column(journal: Journal, events: number): Promise<Partial<ReadReport>> {
    const [from, to] = [Math.floor(events / 20), events - Math.floor(events / 20)]
    const run = journal.query({ since: atOf(from), until: atOf(to - 1), aggregates: ['sum(temperature)', 'count()'] })
    for await (const row of run) {
      assert(row['count()'] === to - from, 'every event of a range is read')
      assert(row['sum(temperature)'] === sumOf(from, to), 'a column sums up to what was written')
    }
    return { count: to - from }
  }

  /** Every event into `apply`, a shard after the other within each block. */
  async #replay(journal: Journal, events: number): Promise<Partial<ReadReport>> {
    const model = compileEntity(Gauge)
    const states: ReturnType<typeof Gauge.initial>[][] = Array.from({ length: journal.shardCount }, () => [])
    const types = journal.eventTypes
    let count = 0
    for await (const block of journal.blocks({ from: 0 })) {
      const replay = new BlockReplay(block, types)
      let last = -1
      for (const { shard } of replay.header.shards) {
        if (shard === last) continue
        last = shard
        const own = states[shard] as ReturnType<typeof Gauge.initial>[]
        replay.forEachRow(shard, (row) => {
          const state = (own[row.entityNumber] ??= model.initial() as ReturnType<typeof Gauge.initial>)
          model.apply(state, 0, row.data())
          count++
        })
      }
    }
    assert(count === events, 'every event is replayed')
    const sum = states.flat().reduce((total, state) => total + state.sum, 0)
    assert(sum === sumOf(0, events), 'the replayed states hold what was written')
    return { count }
  }
}

const sums = new Map<string, number>()

/** Eighths add up exactly. */
function sumOf(from: number, to: number): number {
  const key = `${from} ${to}`
  const known = sums.get(key)
  if (known !== undefined) return known
  let sum = 0
  for (let index = from; index < to; index++) sum += temperatureOf(index)
  sums.set(key, sum)
  return sum
}

serveOrders<ReadSetup, ReadOrder, ReadReport>(import.meta.url, (setup) => {
  const end = new ReadEnd(setup)
  return (order) => end.carryOut(order)
})
