import { describe, expect, test } from 'vitest'
import { WAIT_COUNTERS } from '#bus/index.js'
import { COUNTER_NAMES, COUNTERS_PER_SEAT_MAX, LEVELS } from '#processes/process-counters.js'
import { PROCESS_TABLE_BYTES, PROCESSES_MAX, ProcessTable, seatsMax } from '#processes/process-table.js'

describe('a process table', () => {
  test('is empty when it is made', () => {
    const table = tableOf()

    expect(table.snapshot()).toEqual([])
    expect(table.emptyProcess()?.index).toBe(0)
  })

  test('shows a process from its start to its seat', () => {
    const table = tableOf()
    const place = table.process(3)

    place.occupy('worker', 4711, 123_456_789_012)
    const started = table.snapshot()
    place.setState('standby')
    place.take(2, 0xffff_fff0)
    table.counters({ role: 'worker', slot: 2 }).add('commandsDone', 5)
    const taken = table.snapshot()

    const row = { index: 3, role: 'worker', pid: 4711, startTime: 123_456_789_012, pulse: 0, turn: 0 }
    expect(started).toEqual([{ ...row, slot: undefined, term: undefined, state: 'starting', counters: {} }])
    expect(taken).toMatchObject([{ ...row, slot: 2, term: 0xffff_fff0, state: 'taking', counters: { commandsDone: 5, eventsEmitted: 0 } }])
  })

  test('gives the place of a process that left to the next one, with counters of life at zero', () => {
    const table = tableOf()
    const place = table.process(0)
    place.occupy('gateway', 1, 1)
    place.countPulse()
    place.countTurn()

    place.setState('empty')

    expect(table.snapshot()).toEqual([])
    expect(table.emptyProcess()?.index).toBe(0)
    place.occupy('worker', 2, 2)
    expect([place.pulse, place.turn]).toEqual([0, 0])
  })

  test('has no place left once all are taken', () => {
    const table = tableOf()

    for (let index = 0; index < PROCESSES_MAX; index++) table.emptyProcess()?.occupy('worker', index + 1, 1)

    expect(table.emptyProcess()).toBeUndefined()
    expect(table.snapshot().map((row) => row.pid)).toEqual(Array.from({ length: PROCESSES_MAX }, (_, index) => index + 1))
  })

  test('is the same table to whoever opens its memory', () => {
    const buffer = new ArrayBuffer(PROCESS_TABLE_BYTES)
    const made = ProcessTable.create(buffer)
    const opened = ProcessTable.open(buffer)

    made.process(1).occupy('journal', 9, 9)
    opened.process(1).countTurn()

    expect(opened.snapshot()).toEqual(made.snapshot())
    expect(made.process(1).turn).toBe(1)
  })

  test('is refused when it is none', () => {
    expect(() => ProcessTable.open(new ArrayBuffer(PROCESS_TABLE_BYTES))).toThrow(expect.objectContaining({ code: 'ERR_PROCESS_TABLE' }))
    expect(() => ProcessTable.open(new ArrayBuffer(8))).toThrow(expect.objectContaining({ code: 'ERR_PROCESS_TABLE' }))
  })

  test('shows the last row of a supervisor that died while it wrote', () => {
    const buffer = new ArrayBuffer(PROCESS_TABLE_BYTES)
    const table = ProcessTable.create(buffer)
    table.process(0).occupy('worker', 5, 5)

    const version = new Int32Array(buffer, 128, 1)
    version[0] = (version[0] as number) + 1

    expect(table.snapshot()).toMatchObject([{ pid: 5 }])
  })
})

describe('seats in a process table', () => {
  test('have a parked word and counters of their own, two cache lines from any other writer', () => {
    const table = tableOf()
    const seats = (['supervisor', 'journal', 'worker', 'gateway'] as const).flatMap((role) =>
      Array.from({ length: seatsMax(role) }, (_, slot) => ({ role, slot })),
    )

    const parked = seats.map((seat) => table.parkedWord(seat).index * 4)
    const counters = seats.map((seat) => table.counters(seat).values.byteOffset)
    const pulses = Array.from({ length: PROCESSES_MAX }, (_, index) => table.process(index).pulseOffset)

    const starts = [...parked, ...counters, ...pulses].sort((a, b) => a - b)
    expect(new Set(starts).size).toBe(starts.length)
    for (const [index, start] of starts.entries()) if (index > 0) expect(start - (starts[index - 1] as number)).toBeGreaterThanOrEqual(128)
    expect((starts.at(-1) as number) + COUNTERS_PER_SEAT_MAX * 8).toBeLessThanOrEqual(PROCESS_TABLE_BYTES)
  })

  test('keep their counters when another process takes them', () => {
    const table = tableOf()
    const seat = { role: 'journal', slot: 0 } as const
    table.counters(seat).add('eventsStored', 1000)

    const successor = table.counters(seat)
    successor.add('eventsStored')
    successor.values[successor.indexOf('storedBytes')] = 77

    expect(table.counters(seat).get('eventsStored')).toBe(1001)
    expect(table.counters(seat).read()).toMatchObject({ eventsStored: 1001, storedBytes: 77, backPressure: 0 })
  })
})

describe('the names of counters', () => {
  test('are different within a role and fit into a seat', () => {
    for (const names of Object.values(COUNTER_NAMES)) {
      expect(new Set(names).size).toBe(names.length)
      expect(names.length).toBeLessThanOrEqual(COUNTERS_PER_SEAT_MAX)
    }
  })

  test('have what a duty cycle writes of its waiting in one piece, in its order', () => {
    for (const role of ['journal', 'worker', 'gateway'] as const) {
      const first = COUNTER_NAMES[role].indexOf('parks')

      expect(COUNTER_NAMES[role].slice(first, first + WAIT_COUNTERS.length)).toEqual(WAIT_COUNTERS)
    }
  })

  test('cover those that are levels', () => {
    const all = new Set<string>(Object.values(COUNTER_NAMES).flat())

    expect([...LEVELS].filter((name) => !all.has(name))).toEqual([])
  })
})

function tableOf(): ProcessTable {
  return ProcessTable.create(new ArrayBuffer(PROCESS_TABLE_BYTES))
}
