import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import type { HttpStats } from '#ingest/http-door.js'
import { COUNTER_NAMES } from '#processes/process-counters.js'
import { PROCESS_TABLE_BYTES, ProcessTable } from '#processes/process-table.js'
import { GatewayMetrics } from '#runtime/gateway-metrics.js'
import { missingSeats } from '#runtime/gateway-readiness.js'
import { Placement } from '#shards/placement.js'
import { FakeDoor } from '../ingest/fake-door.js'
import { parseExposition } from './exposition.js'

/** Room for one more worker than there are. */
const shape = { workers: 3, gateways: 1 }
const WORKERS = 2
const http: HttpStats = { requests: new Map(), connections: 0, dropped: 0 }

function plantOf() {
  const table = ProcessTable.create(new SharedArrayBuffer(PROCESS_TABLE_BYTES))
  const clock = new FakeClock()
  const placement = Placement.even(64, WORKERS)
  const metrics = new GatewayMetrics({ table, shape, placement, clock })
  const figures = async (stats = http) => parseExposition(await metrics.text(stats))
  return { table, placement, clock, metrics, figures }
}

function seat(table: ProcessTable, role: 'supervisor' | 'journal' | 'worker' | 'gateway', slot: number, pid = 1) {
  const place = table.emptyProcess()
  place?.occupy(role, pid, 0)
  place?.take(slot, 1)
  place?.setState('ready')
  return place
}

describe('the figures of a plant', () => {
  test('are an exposition as Prometheus reads it, with every counter of every seat', async () => {
    const { table, metrics, figures } = plantOf()
    seat(table, 'worker', 1)
    table.counters({ role: 'worker', slot: 1 }).set('eventsEmitted', 12)

    const { families, value } = await figures()

    expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(value('millrace_worker_events_emitted_total', { slot: '1' })).toBe(12)
    expect(value('millrace_worker_events_emitted_total', { slot: '0' })).toBe(0)
    const seats = { supervisor: 1, journal: 1, worker: 2, gateway: 1 }
    for (const [role, names] of Object.entries(COUNTER_NAMES)) {
      for (const name of names) {
        const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
        const family = families.find((one) => [`millrace_${role}_${snake}`, `millrace_${role}_${snake}_total`].includes(one.name))
        expect(
          family?.samples.map(({ labels }) => labels),
          `${role} ${name}`,
        ).toEqual(Array.from({ length: seats[role as keyof typeof seats] }, (_, slot) => ({ slot: String(slot) })))
      }
    }
  })

  test('name counters, and only them, with _total, and have a sample in every family', async () => {
    const { families } = await plantOf().figures()

    expect(families.length).toBeGreaterThan(25)
    for (const { name, type, help, samples } of families) {
      expect(name.endsWith('_total'), name).toBe(type === 'counter')
      expect(help, name).not.toBe('')
      expect(samples.length, name).toBeGreaterThan(0)
    }
  })

  test('show a seat without a process, and go on when its successor counts on', async () => {
    const { table, figures } = plantOf()
    const holder = seat(table, 'worker', 0)
    table.counters({ role: 'worker', slot: 0 }).set('commandsDone', 5)
    const before = await figures()
    holder?.setState('killed')
    const dying = await figures()
    holder?.setState('empty')
    const empty = await figures()
    seat(table, 'worker', 0, 2)
    table.counters({ role: 'worker', slot: 0 }).add('commandsDone')
    const after = await figures()

    const all = [before, dying, empty, after]
    expect(all.map(({ value }) => value('millrace_process_up', { role: 'worker', slot: '0' }))).toEqual([1, 0, 0, 1])
    expect(all.map(({ value }) => value('millrace_worker_commands_done_total', { slot: '0' }))).toEqual([5, 5, 5, 6])
  })

  test('show a worker that comes, and of one that is no more only what it has counted', async () => {
    const { table, figures } = plantOf()
    const isUp = (exposition: Awaited<ReturnType<typeof figures>>) =>
      exposition.families.find(({ name }) => name === 'millrace_process_up')?.samples.filter(({ labels }) => labels['slot'] === '2').length
    const before = await figures()
    const third = seat(table, 'worker', 2)
    const there = await figures()
    table.counters({ role: 'worker', slot: 2 }).set('commandsDone', 5)
    third?.setState('empty')
    const gone = await figures()

    expect([before, there, gone].map(isUp)).toEqual([0, 1, 0])
    expect(before.families.flatMap(({ samples }) => samples).filter(({ labels }) => labels['slot'] === '2')).toEqual([])
    expect(gone.value('millrace_worker_commands_done_total', { slot: '2' })).toBe(5)
  })

  test('say what the HTTP door did', async () => {
    const { figures } = plantOf()
    const requests = new Map([
      [200, 7],
      [429, 1],
    ])

    await figures({ requests, connections: 3, dropped: 2 })
    const { value, families } = await figures({ requests, connections: 3, dropped: 2 })

    expect(value('millrace_http_requests_total', { status: '200' })).toBe(7)
    expect(value('millrace_http_requests_total', { status: '429' })).toBe(1)
    expect(value('millrace_http_connections', {})).toBe(3)
    expect(value('millrace_http_connections_dropped_total', {})).toBe(2)
    expect(families.find(({ name }) => name === 'millrace_http_requests_total')?.samples).toHaveLength(2)
  })

  test('time the first of every 16 commands from its offer to its end', async () => {
    const { clock, metrics, figures } = plantOf()
    const door = new FakeDoor({ isManual: true, capacity: 100 })
    const timed = metrics.timed(door)
    let settled = 0
    for (let n = 0; n < 17; n++) {
      const command = { source: '', sequence: 0, entity: `press/${n}` as const, command: 'sample', data: {}, at: undefined }
      expect(timed.offer(command, 'always', () => settled++)).toBe('accepted')
    }
    clock.advance(30)
    door.settle()

    const { value } = await figures()

    expect(settled).toBe(17)
    expect(value('millrace_ack_seconds_count', {})).toBe(2)
    expect(value('millrace_ack_seconds_sum', {})).toBeCloseTo(0.06)
    expect(value('millrace_ack_seconds_bucket', { le: '0.02' })).toBe(0)
    expect(value('millrace_ack_seconds_bucket', { le: '0.05' })).toBe(2)
  })

  test('pass on how to wait for room', () => {
    const door = new FakeDoor({ capacity: 0 })
    const timed = plantOf().metrics.timed(door)
    let isRoom = false
    timed.onRoom(() => (isRoom = true))

    door.makeRoom()

    expect(isRoom).toBe(true)
  })

  test('cost less than what a scrape a second would notice', async () => {
    const { table, metrics } = plantOf()
    for (let slot = 0; slot < 2; slot++) seat(table, 'worker', slot)
    await metrics.text(http)
    const started = performance.now()

    for (let scrape = 0; scrape < 20; scrape++) await metrics.text(http)

    expect((performance.now() - started) / 20).toBeLessThan(20)
  })
})

describe('a plant', () => {
  test('misses the journal and the workers that do not work, and nobody else', () => {
    const { table, placement } = plantOf()
    expect(missingSeats(table, placement)).toEqual(['journal/0', 'worker/0', 'worker/1'])
    seat(table, 'journal', 0)
    const worker = seat(table, 'worker', 0)
    seat(table, 'worker', 1)
    expect(missingSeats(table, placement)).toEqual([])

    worker?.setState('stopping')

    expect(missingSeats(table, placement)).toEqual(['worker/0'])
  })

  test('misses a worker whose seat a process is about to take, and takes no spare for one', () => {
    const { table, placement } = plantOf()
    seat(table, 'journal', 0)
    seat(table, 'worker', 0)
    table.emptyProcess()?.occupy('worker', 9, 0)
    const taking = table.emptyProcess()
    taking?.occupy('worker', 10, 0)
    taking?.take(1, 2)

    expect(missingSeats(table, placement)).toEqual(['worker/1'])
  })
})
