import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import type { IngestCommand } from '#ingest/door.js'
import { OfferLanes } from '#ingest/offer-lanes.js'
import { FakeDoor } from './fake-door.js'

function command(source: string, sequence: number, entity: EntityId = `press/${source}`): { command: IngestCommand } {
  return { command: { source, sequence, entity, command: 'sample', data: {}, at: undefined } }
}

function lanesAt(door: FakeDoor) {
  const settled: string[] = []
  const rejected: string[] = []
  const lanes = new OfferLanes<{ command: IngestCommand }>({
    door,
    onSettled: (one, { kind }) => settled.push(`${one.command.source}${one.command.sequence} ${kind}`),
    onRejected: (one, reason) => rejected.push(`${one.command.source}${one.command.sequence} ${reason}`),
  })
  return { lanes, settled, rejected }
}

describe('lanes before a door', () => {
  test('let a source that is full hold up nobody else', () => {
    const door = new FakeDoor({ isManual: true })
    const { lanes, settled } = lanesAt(door)

    for (let sequence = 1; sequence <= 17; sequence++) lanes.take(command('a', sequence))
    lanes.take(command('b', 1))
    const inFlight = lanes.inFlightCount
    door.settle()

    expect(inFlight).toBe(17)
    expect(settled).toContain('b1 done')
    expect([lanes.inFlightCount, lanes.fullCount]).toEqual([1, 1])
  })

  test('keep commands without a source in order per entity', () => {
    const door = new FakeDoor({ isManual: true, capacity: 1 })
    const { lanes } = lanesAt(door)

    for (let sequence = 1; sequence <= 3; sequence++) lanes.take(command('', sequence, 'press/x'))
    lanes.take(command('', 1, 'press/y'))
    while (door.inFlightCount > 0) door.settle()

    expect(door.stored.filter(({ entity }) => entity === 'press/x').map(({ sequence }) => sequence)).toEqual([1, 2, 3])
    expect(door.stored).toHaveLength(4)
  })

  test('tell what can never be taken and go on behind it', () => {
    const door = new FakeDoor({ isManual: true, capacity: 1, reject: ({ sequence }) => (sequence === 2 ? 'no' : undefined) })
    const { lanes, settled, rejected } = lanesAt(door)

    for (let sequence = 1; sequence <= 3; sequence++) lanes.take(command('a', sequence))
    while (door.inFlightCount > 0) door.settle()

    expect(rejected).toEqual(['a2 no'])
    expect(settled).toEqual(['a1 done', 'a3 done'])
  })

  test('forget what waits when they are cleared, and take later ones', () => {
    const door = new FakeDoor({ isManual: true, capacity: 1 })
    const { lanes } = lanesAt(door)

    lanes.take(command('a', 1))
    lanes.take(command('a', 2))
    lanes.clear()
    door.settle()
    lanes.take(command('a', 2))
    lanes.take(command('a', 3))
    while (door.inFlightCount > 0) door.settle()

    expect(door.stored.map(({ sequence }) => sequence)).toEqual([1, 2, 3])
  })

  test('hand on everything once and in order per source, under any capacity', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 200 }),
        fc.array(fc.nat(8), { minLength: 1, maxLength: 50 }),
        fc.integer({ min: 1, max: 20 }),
        (sources, steps, capacity) => {
          const door = new FakeDoor({ isManual: true, capacity })
          const { lanes } = lanesAt(door)
          const next: Record<string, number> = { a: 1, b: 1, c: 1 }

          for (const [index, source] of sources.entries()) {
            lanes.take(command(source, (next[source] as number)++))
            if (index % 3 === 0) door.settle(steps[index % steps.length])
          }
          while (door.inFlightCount > 0) door.settle()

          for (const source of ['a', 'b', 'c']) {
            const sequences = door.stored.filter((one) => one.source === source).map(({ sequence }) => sequence)
            expect(sequences).toEqual(Array.from({ length: (next[source] as number) - 1 }, (_, index) => index + 1))
          }
        },
      ),
    )
  })
})
