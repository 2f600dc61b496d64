import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { DeviceFleet } from '#drills/device-fleet.js'
import { type DrillProgress, type Fault, type PlantUnderTest, runDrill } from '#drills/drill-run.js'
import { Ledger, type LoggedCommand } from '#drills/ledger.js'
import type { Sabotage } from '#drills/sabotage.js'
import { seatName, type Role } from '#processes/process-role.js'
import { isClean, type Recovery } from '#recovery/report.js'
import { FakeDoor, type FakeDoorOptions } from '../ingest/fake-door.js'
import { deviceScript, entityOf } from './device-script.js'

const HASH = 'ab'.repeat(32)

describe('a drill of an honest plant', () => {
  test('ends with a clean report of everything that was sent', async () => {
    const { result, plant } = await drill({ runMs: 1000 })

    expect(isClean(result.report)).toBe(true)
    expect(result.report).toMatchObject({ sent: 20 * 100, acked: 20 * 100, durable: 20 * 100, recoveries: [] })
    expect(result.report.stateHash).toEqual({ live: HASH, replayed: HASH })
    expect(result.report.eventsPerSecond).toBeCloseTo(2000, -2)
    expect(result.report.bytesPerEvent).toBe(10)
    expect(plant.broken).toEqual([])
  })

  test('breaks what it is told to, in order, one thing at a time, and keeps what came of it', async () => {
    const { result, plant } = await drill({ runMs: 100, faults: [fault('worker', 1), fault('journal', 0), fault('supervisor', 0)] })

    expect(plant.broken).toEqual(['worker/1', 'journal/0', 'supervisor/0'])
    expect(plant.brokenAtOnceMax).toBe(1)
    expect(result.report.recoveries.map(({ process }) => process)).toEqual(plant.broken)
    expect(result.report.rtoMs).toEqual({ p50: 40, p99: 40, max: 40 })
  })

  test('breaks things at their times, while devices send', async () => {
    const { plant } = await drill({ runMs: 2000, faults: [fault('worker', 0, 500), fault('gateway', 0, 1500)] })

    expect(plant.brokenAtMs).toEqual([500, 1500])
  })

  test('goes on until the last fault is recovered, also when the run is shorter', async () => {
    const { result } = await drill({ runMs: 10, faults: [fault('journal', 0)] })

    expect(result.report.recoveries).toHaveLength(1)
    expect(result.report.sent).toBeGreaterThan(20 * 30)
  })

  test('tells how it goes every half second', async () => {
    const { progress } = await drill({ runMs: 2000 })

    expect(progress.map(({ elapsedMs }) => elapsedMs)).toEqual([500, 1000, 1500, 2000])
    expect(progress[1]).toMatchObject({ inFlight: expect.any(Number), buffered: 0, backPressure: 0, eventsPerSecond: 2000 })
  })

  test('passes refusals on as answers', async () => {
    const { result } = await drill({ runMs: 100, door: { decide: () => ({ refuse: 'BROKEN' }) } })

    expect(result.refused).toBe(result.report.sent)
    expect(isClean(result.report)).toBe(true)
  })
})

describe('a drill of a plant that is not honest', () => {
  test.each<[string, (log: LoggedCommand[]) => LoggedCommand[], object]>([
    ['loses one', (log) => log.toSpliced(7, 1), { ackedMissing: 1, duplicated: 0, outOfOrder: 0 }],
    ['stores one twice', (log) => log.toSpliced(7, 0, log[7] as LoggedCommand), { ackedMissing: 0, duplicated: 1, outOfOrder: 0 }],
    ['stores two the wrong way round', swapped, { ackedMissing: 0, duplicated: 0, outOfOrder: 1 }],
  ])('finds that it %s', async (_what, tamper, faults) => {
    const { result } = await drill({ runMs: 500, tamper })

    expect(result.report).toMatchObject(faults)
    expect(isClean(result.report)).toBe(false)
    expect(result.examples).toHaveLength(1)
  })

  test('finds what nobody sent', async () => {
    const { result } = await drill({ runMs: 100, tamper: (log) => [...log, { entity: entityOf(0), version: 99, at: 1 }] })

    expect(result.invented).toBe(1)
  })

  test('finds that replay gives another state', async () => {
    const { result } = await drill({ runMs: 100, replayed: 'cd'.repeat(32) })

    expect(isClean(result.report)).toBe(false)
  })
})

describe('a drill with a sabotage', () => {
  test.each<[Sabotage, object]>([
    ['lose', { ackedMissing: 1, duplicated: 0, outOfOrder: 0 }],
    ['duplicate', { ackedMissing: 0, duplicated: 1, outOfOrder: 0 }],
    ['reorder', { ackedMissing: 0, duplicated: 0, outOfOrder: 1 }],
  ])('to %s reports exactly that one', async (sabotage, faults) => {
    const { result } = await drill({ runMs: 1000, sabotage, faults: [fault('worker', 0)] })

    expect(result.report).toMatchObject(faults)
    expect(result.invented).toBe(0)
  })

  test.each<Sabotage>(['lose', 'duplicate', 'reorder'])('to %s that never came to it is an error, not a clean report', async (sabotage) => {
    await expect(drill({ runMs: 100, sabotage })).rejects.toMatchObject({
      code: 'ERR_DRILL_TOO_SHORT',
      values: { sabotage, strikesAt: 500 },
    })
  })
})

describe('a drill that comes to nothing', () => {
  test('says that commands stay unacknowledged', async () => {
    await expect(drill({ runMs: 100, door: { isManual: true } })).rejects.toMatchObject({
      code: 'ERR_DRILL_UNSETTLED',
      values: { open: 200 },
    })
  })

  test('says which command failed', async () => {
    const failing = drill({ runMs: 100, door: { decide: () => ({ fail: 'a bug' }) } })

    await expect(failing).rejects.toMatchObject({ code: 'ERR_DRILL_COMMAND', values: { what: `${entityOf(0)} sample: a bug` } })
  })

  test('hands on that a process did not come back', async () => {
    await expect(drill({ runMs: 100, faults: [fault('worker', 9)] })).rejects.toThrow('no such seat')
  })
})

function fault(role: Role, slot: number, atMs?: number): Fault {
  return { role, slot, ...(atMs === undefined ? {} : { atMs }) }
}

/** The first two commands of one device change places. */
function swapped(log: LoggedCommand[]): LoggedCommand[] {
  const second = log.findIndex(({ entity }, index) => index > 0 && entity === (log[0] as LoggedCommand).entity)
  return log.with(0, log[second] as LoggedCommand).with(second, log[0] as LoggedCommand)
}

interface Setting {
  readonly runMs: number
  readonly faults?: readonly Fault[]
  readonly door?: FakeDoorOptions
  readonly sabotage?: Sabotage
  readonly tamper?: (log: LoggedCommand[]) => LoggedCommand[]
  readonly replayed?: string
}

/** A drill of twenty devices that speak every 10 ms, on a clock that runs as fast as it can. */
async function drill(setting: Setting) {
  const clock = new FakeClock()
  const door = new FakeDoor({ capacity: 100_000, ...setting.door })
  const ledger = new Ledger()
  const plant = new DoorPlant(door, clock, setting)
  const progress: DrillProgress[] = []
  const fleet = new DeviceFleet({ door, script: deviceScript(20, 10), ledger, clock, sabotage: setting.sabotage })
  const { runMs, faults = [] } = setting
  let isOver = false
  const running = runDrill({ plant, fleet, ledger, clock, faults, runMs, onProgress: (one) => progress.push(one) }).finally(() => {
    isOver = true
  })
  running.catch(() => undefined)
  while (!isOver) {
    clock.advance(10)
    await new Promise(setImmediate)
  }
  return { result: await running, plant, progress }
}

/** A plant whose log is what its door took, and which is back 40 ms after it was broken. */
class DoorPlant implements PlantUnderTest {
  readonly broken: string[] = []
  readonly brokenAtMs: number[] = []
  brokenAtOnceMax = 0
  #brokenCount = 0
  readonly #door: FakeDoor
  readonly #clock: FakeClock
  readonly #startMs: number
  readonly #setting: Setting

  constructor(door: FakeDoor, clock: FakeClock, setting: Setting) {
    this.#door = door
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
    this.#setting = setting
  }

  async breakAndRecover(role: Role, slot: number): Promise<Recovery> {
    if (slot > 2) throw new Error('no such seat')
    this.broken.push(seatName({ role, slot }))
    this.brokenAtMs.push(this.#clock.monotonicMs() - this.#startMs)
    this.brokenAtOnceMax = Math.max(this.brokenAtOnceMax, ++this.#brokenCount)
    await new Promise<void>((resolve) => this.#clock.after(40, resolve))
    this.#brokenCount--
    return { process: seatName({ role, slot }), cause: 'SIGKILL', rtoMs: 40, entities: 0, events: 0, phases: { ready: 40 } }
  }

  async *log(): AsyncGenerator<LoggedCommand> {
    const log = [...this.#door.stored, ...this.#door.refused].map(({ entity, at = 0 }, version) => ({ entity, version, at }))
    yield* this.#setting.tamper?.(log) ?? log
  }

  async stateHashes() {
    return { live: HASH, replayed: this.#setting.replayed ?? HASH }
  }

  async size() {
    return { rows: this.#door.stored.length, bytes: this.#door.stored.length * 10 }
  }
}
