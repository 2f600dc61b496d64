import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { DeviceFleet, SABOTAGED_COMMAND } from '#drills/device-fleet.js'
import { Ledger } from '#drills/ledger.js'
import type { Sabotage } from '#drills/sabotage.js'
import type { AnswerWanted, Door, IngestCommand, Offered, Settlement } from '#ingest/door.js'
import { FakeDoor, type FakeDoorOptions } from '../ingest/fake-door.js'
import { deviceScript, entityOf } from './device-script.js'

const DEVICES = 10
const NO_FAULTS = { ackedMissing: 0, duplicated: 0, outOfOrder: 0, torn: 0, invented: 0 }

describe('a fleet of devices before an open door', () => {
  test('sends what is due, numbered per device, and is settled once all of it is acknowledged', () => {
    const { fleet, door, ledger, step } = fleetOf({})

    step(20)

    expect(ledger.sent).toBe(3 * DEVICES)
    expect(fleet.isSettled).toBe(false)
    door.settle()
    expect(fleet.isSettled).toBe(true)
    expect([ledger.acked, fleet.bufferedCount, fleet.refusedCount]).toEqual([3 * DEVICES, 0, 0])
    const own = door.stored.filter(({ entity }) => entity === entityOf(3))
    expect(own.map(({ source, sequence }) => [source, sequence])).toEqual([1, 2, 3].map((sequence) => [`device:${entityOf(3)}`, sequence]))
  })

  test('gives every command of a device a time of its own, even when the device says two things at once', () => {
    const { door } = fleetOf({ script: { advanceTo: () => [commandAt(5), commandAt(5), commandAt(4)] } })

    door.settle()

    expect(door.stored.map(({ at }) => at)).toEqual([5, 6, 7])
  })

  test('measures from when a command was due to when it was acknowledged', () => {
    const { door, ledger, clock, step } = fleetOf({})

    step(10)
    clock.advance(25)
    door.settle()

    // Two rounds of devices, the first of them 10 ms earlier.
    expect(ledger.takeAckMicros()).toEqual([...same(DEVICES, 35_000), ...same(DEVICES, 25_000)])
  })

  test('counts refusals, which are answers like others', () => {
    const { fleet, door, ledger, step } = fleetOf({ door: { decide: () => ({ refuse: 'BROKEN' }) } })

    step(10)
    door.settle()

    expect([fleet.refusedCount, ledger.acked, fleet.isSettled]).toEqual([2 * DEVICES, 2 * DEVICES, true])
  })

  test('takes a failed command for no acknowledgement, and says which it was', () => {
    const { fleet, door, ledger, step } = fleetOf({ door: { decide: () => ({ fail: 'a bug' }) } })

    step(0)
    door.settle()

    expect(ledger.acked).toBe(0)
    expect(fleet.failure).toBe(`${entityOf(0)} sample: a bug`)
  })

  test('says which command the door can never take', () => {
    const { fleet, ledger } = fleetOf({ door: { reject: () => 'there is no such command' } })

    expect(ledger.acked).toBe(0)
    expect(fleet.failure).toBe(`${entityOf(0)} sample: there is no such command`)
  })
})

describe('a fleet of devices before a full door', () => {
  test('buffers, and sends on in order as soon as there is room', () => {
    const { fleet, door, ledger, step } = fleetOf({ door: { capacity: 4 } })

    step(10)

    expect([ledger.sent, fleet.bufferedCount, fleet.fullCount]).toEqual([2 * DEVICES, 2 * DEVICES - 4, 1])
    while (!fleet.isSettled) door.settle()
    expect(door.stored.map(({ entity, sequence }) => [entity, sequence])).toEqual(
      [1, 2].flatMap((sequence) => Array.from({ length: DEVICES }, (_, device) => [entityOf(device), sequence])),
    )
  })

  test('lets its devices wait once their buffers are full, and goes on after', () => {
    const clock = new FakeClock()
    const ledger = new Ledger()
    const door = new Sluice()
    const fleet = new DeviceFleet({ door, script: deviceScript(50_000, 10), ledger, clock })
    const step = () => {
      fleet.step(clock.nowMicros())
      clock.advance(10)
    }

    for (let round = 0; round < 3; round++) step()
    const sentWhenFull = ledger.sent
    door.open()
    step()

    expect(sentWhenFull).toBe(2 * 50_000)
    expect(ledger.sent).toBe(4 * 50_000)
    expect([ledger.acked, fleet.bufferedCount]).toEqual([4 * 50_000, 0])
  })
})

describe('a fleet with a sabotage', () => {
  test.each<[Sabotage, object]>([
    ['lose', { ...NO_FAULTS, ackedMissing: 1 }],
    ['duplicate', { ...NO_FAULTS, duplicated: 1 }],
    ['reorder', { ...NO_FAULTS, outOfOrder: 1 }],
    ['tear', { ...NO_FAULTS, torn: 1 }],
  ])('that is to %s makes exactly that one fault', async (sabotage, faults) => {
    const { fleet, door, ledger, step } = fleetOf({ sabotage })
    for (let round = 0; ledger.sent < 2 * SABOTAGED_COMMAND; round++) {
      step(10)
      door.settle()
    }
    fleet.flush()
    while (!fleet.isSettled) door.settle()

    const verdict = await ledger.check(logOf(door))

    expect(fleet.openSabotage).toBeUndefined()
    expect(verdict).toMatchObject(faults)
    expect(verdict.examples).toHaveLength(1)
    expect(verdict.sent).toBe(verdict.acked)
  })

  test('knows that it has not struck before the command at which it does', () => {
    const { fleet, ledger, step } = fleetOf({ sabotage: 'lose' })

    step(10)

    expect(ledger.sent).toBeLessThan(SABOTAGED_COMMAND)
    expect(fleet.openSabotage).toBe('lose')
  })

  test('has not reordered anything while the held command has nobody to come behind', () => {
    const { fleet, ledger, step } = fleetOf({ sabotage: 'reorder', devices: SABOTAGED_COMMAND })

    step(0)

    expect(ledger.sent).toBe(SABOTAGED_COMMAND)
    expect(fleet.openSabotage).toBe('reorder')
    step(10)
    expect(fleet.openSabotage).toBeUndefined()
  })

  test('is not settled before the second copy is stored, too', () => {
    const { fleet, door, step } = fleetOf({ sabotage: 'duplicate', devices: SABOTAGED_COMMAND })

    step(0)
    door.settle(SABOTAGED_COMMAND)

    expect(fleet.isSettled).toBe(false)
    door.settle()
    expect(fleet.isSettled).toBe(true)
  })
})

/** Takes nothing until it is opened, then everything at once. */
class Sluice implements Door {
  #isOpen = false
  #onRoom: (() => void)[] = []

  open(): void {
    this.#isOpen = true
    for (const callback of this.#onRoom.splice(0)) callback()
  }

  offer(_command: IngestCommand, _answer: AnswerWanted, settle: (settlement: Settlement) => void): Offered {
    if (!this.#isOpen) return 'full'
    settle({ kind: 'done', version: 0, reply: undefined })
    return 'accepted'
  }

  onRoom(callback: () => void): void {
    this.#onRoom.push(callback)
  }
}

function fleetOf(options: {
  readonly devices?: number
  readonly door?: FakeDoorOptions
  readonly script?: ConstructorParameters<typeof DeviceFleet>[0]['script']
  readonly sabotage?: Sabotage
}) {
  const clock = new FakeClock()
  const door = new FakeDoor({ capacity: 1_000_000, ...options.door, isManual: true })
  const ledger = new Ledger()
  const script = options.script ?? deviceScript(options.devices ?? DEVICES, 10)
  const fleet = new DeviceFleet({ door, script, ledger, clock, sabotage: options.sabotage })
  fleet.step(clock.nowMicros())
  return {
    fleet,
    door,
    ledger,
    clock,
    step: (ms: number) => {
      clock.advance(ms)
      fleet.step(clock.nowMicros())
    },
  }
}

async function* logOf(door: FakeDoor) {
  for (const { entity, at, data } of door.stored) yield { entity, at: at as number, version: 0, events: [data as Record<string, unknown>] }
}

function commandAt(at: number) {
  return { entity: entityOf(0), command: 'sample', data: {}, at }
}

function same(count: number, value: number): number[] {
  return Array.from({ length: count }, () => value)
}
