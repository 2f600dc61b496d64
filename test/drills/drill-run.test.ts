import { describe, expect, test } from 'vitest'
import type { LoggedCommand } from '#drills/ledger.js'
import type { LoggedRow } from '#drills/plant-under-test.js'
import { type Sabotage, SABOTAGES } from '#drills/sabotage.js'
import { isClean } from '#recovery/report.js'
import { entityOf } from './device-script.js'
import { HASH } from './door-plant.js'
import { drill, faultOf, kill } from './drill-rig.js'

describe('a drill of an honest plant', () => {
  test('ends with a clean report of everything that was sent', async () => {
    const { result, plant } = await drill({ runMs: 1000 })

    expect(isClean(result.report)).toBe(true)
    expect(result.report).toMatchObject({ sent: 20 * 100, acked: 20 * 100, durable: 20 * 100, recoveries: [] })
    expect(result.report.stateHash).toEqual({ live: HASH, replayed: HASH })
    expect(result.report.eventsPerSecond).toBeCloseTo(2000, -2)
    expect(result.report.bytesPerEvent).toBe(10)
    expect(plant.done).toEqual([])
  })

  test('breaks what it is told to, in order, one thing at a time, and keeps what came of it', async () => {
    const { result, plant } = await drill({
      runMs: 100,
      faults: [kill('worker', 1), kill('journal', 0), faultOf('supervisor', 'supervisor')],
    })

    const { report } = result
    expect(plant.done).toEqual(['kill worker/1', 'kill journal/0', 'crash supervisor'])
    expect(report.recoveries.map(({ process, rtoMs }) => [process, rtoMs])).toEqual([
      ['worker/1', 40],
      ['journal/0', 40],
      ['supervisor/0', 200],
    ])
    expect(report.rtoMs).toMatchObject({ p50: 40, max: 200 })
    expect(report.health).toBe('EXCELLENT')
  })

  test('counts its faults by kind, and tells what the devices saw around each', async () => {
    const { result } = await drill({ runMs: 3000, faults: [kill('worker', 0, 1500), faultOf('flood', 'gateway', 0, 20)] })

    const { faults, incidents } = result.report
    expect(faults).toMatchObject([
      { kind: 'kill', count: 1, skipped: 0, reasons: [] },
      { kind: 'flood', count: 1, skipped: 0, reasons: [] },
    ])
    expect(incidents).toMatchObject([
      { kind: 'kill', process: 'worker/0', atMs: 1500, replaced: 1 },
      { kind: 'flood', process: 'gateway/0', replaced: 0 },
    ])
    const [{ endMs, timeline } = { endMs: 0 }] = incidents ?? []
    expect(endMs).toBeLessThan(1600)
    expect(timeline).toMatchObject({ fromMs: 500, bucketMs: 100 })
    expect(timeline?.acked.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => 200))
  })

  test('has a fault that could not be carried out in the report, with why', async () => {
    const { result, outcomes } = await drill({
      runMs: 100,
      faults: [faultOf('full-disk', 'journal', 0, 100)],
      whyNotFull: 'no room to play',
    })

    expect(outcomes).toEqual([{ recoveries: [], skipped: 'no room to play' }])
    expect(result.report.faults).toMatchObject([{ kind: 'full-disk', count: 0, skipped: 1, reasons: ['no room to play'] }])
    expect(result.report.incidents).toEqual([])
  })

  test('breaks things at their times, while devices send', async () => {
    const { plant } = await drill({ runMs: 2000, faults: [kill('worker', 0, 500), kill('gateway', 0, 1500)] })

    expect(plant.doneAtMs).toEqual([500, 1500])
  })

  test('goes on until the last fault is recovered, also when the run is shorter, but begins none that it can do without', async () => {
    const { result } = await drill({ runMs: 10, faults: [kill('journal', 0), { ...kill('worker', 0), isOptional: true }] })

    expect(result.report.recoveries.map(({ process }) => process)).toEqual(['journal/0'])
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
    ['stores one with another value', torn, { ackedMissing: 0, duplicated: 0, outOfOrder: 0, torn: 1 }],
  ])('finds that it %s', async (_what, tamper, faults) => {
    const { result } = await drill({ runMs: 500, tamper })

    expect(result.report).toMatchObject(faults)
    expect(isClean(result.report)).toBe(false)
    expect(result.examples).toHaveLength(1)
  })

  test('finds what nobody sent', async () => {
    const { result } = await drill({ runMs: 100, tamper: (log) => [...log, { entity: entityOf(0), version: 99, at: 1 }] })

    expect(result.report.invented).toBe(1)
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
    ['reorder', { ackedMissing: 0, duplicated: 0, outOfOrder: 1, torn: 0 }],
    ['tear', { ackedMissing: 0, duplicated: 0, outOfOrder: 0, torn: 1 }],
  ])('to %s reports exactly that one', async (sabotage, faults) => {
    const { result } = await drill({ runMs: 1000, sabotage, faults: [kill('worker', 0)] })

    expect(result.report).toMatchObject(faults)
    expect(result.report.invented).toBe(0)
  })

  test.each(SABOTAGES)('to %s that never came to it is an error, not a clean report', async (sabotage) => {
    await expect(drill({ runMs: 100, sabotage })).rejects.toMatchObject({
      code: 'ERR_DRILL_TOO_SHORT',
      values: { sabotage, strikesAt: 500 },
    })
  })
})

describe('a drill of what devices know nothing of', () => {
  test('finds a timer that went off twice, as the log says', async () => {
    const twice = (rows: LoggedRow[]) => rows.flatMap((row) => (row.event === 'Rang' && row.data['timer'] === 4 ? [row, row] : [row]))

    const { result } = await drill({ runMs: 100, faults: [faultOf('timers', 'worker')], tamperRows: twice })

    expect(result.report).toMatchObject({ ackedMissing: 0, timers: { repeated: 6, missing: 0 }, health: 'POOR' })
    expect(result.examples).toHaveLength(6)
  })

  test('finds a child that was not restarted, as the log says', async () => {
    const never = (rows: LoggedRow[]) => rows.filter(({ entity, data }) => !entity.startsWith('tool/') || data['what'] !== 'restarted')

    const { result } = await drill({ runMs: 100, faults: [faultOf('erring-entity', 'gateway')], tamperRows: never })

    expect(result.report).toMatchObject({ ackedMissing: 0, supervision: { trees: 3, wrong: 3 }, health: 'POOR' })
    expect(result.examples).toHaveLength(3)
  })

  test('is spoilt as it is told to, or is an error where it does not come to that', async () => {
    const { result } = await drill({ runMs: 100, sabotage: 'repeat-timer', faults: [faultOf('timers', 'worker')] })

    expect(result.report).toMatchObject({ ackedMissing: 0, duplicated: 0, timers: { repeated: 1 }, health: 'POOR' })
    await expect(drill({ runMs: 100, sabotage: 'repeat-timer' })).rejects.toMatchObject({
      code: 'ERR_DRILL_TOO_SHORT',
      values: { sabotage: 'repeat-timer', strikesIn: 'timers' },
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
    await expect(drill({ runMs: 100, faults: [kill('worker', 9)] })).rejects.toThrow('no such seat')
  })
})

/** The first two commands of one device change places. */
function torn(log: LoggedCommand[]): LoggedCommand[] {
  return log.with(7, { ...(log[7] as LoggedCommand), events: [{ temperature: -1 }] })
}

function swapped(log: LoggedCommand[]): LoggedCommand[] {
  const second = log.findIndex(({ entity }, index) => index > 0 && entity === (log[0] as LoggedCommand).entity)
  return log.with(0, log[second] as LoggedCommand).with(second, log[0] as LoggedCommand)
}
