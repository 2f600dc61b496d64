import { describe, expect, test } from 'vitest'
import { BACK_MS, HANG_MS } from './door-plant.js'
import { drill, type DrillSetting, faultOf, kill } from './drill-rig.js'

const RUN = { runMs: 100 }

describe('a fault that is carried out', () => {
  test('kill: the holder dies, and it is over when its successor works', async () => {
    const { plant, replaced } = await carriedOut({ ...RUN, faults: [kill('gateway', 0)] })

    expect(plant.done).toEqual(['kill gateway/0'])
    expect(replaced).toEqual([['gateway/0', BACK_MS]])
  })

  test('stop, for less than the limit: the process wakes as the one it was', async () => {
    const { plant, replaced } = await carriedOut({ ...RUN, faults: [faultOf('stop', 'worker', 1, HANG_MS / 2)] })

    expect(plant.done).toEqual(['stop worker/1', 'wake worker/1'])
    expect(replaced).toEqual([])
  })

  test('stop, for longer: the process has a successor by then, and is woken all the same', async () => {
    const { plant, replaced } = await carriedOut({ ...RUN, faults: [faultOf('stop', 'worker', 1, 2 * HANG_MS)] })

    expect(plant.done).toEqual(['stop worker/1', 'wake worker/1'])
    expect(replaced).toEqual([['worker/1', BACK_MS]])
  })

  test('stop, of the supervisor: nobody replaces anybody', async () => {
    const { plant, replaced } = await carriedOut({ ...RUN, faults: [faultOf('stop', 'supervisor', 0, 2 * HANG_MS)] })

    expect(plant.done).toEqual(['stop supervisor/0', 'wake supervisor/0'])
    expect(replaced).toEqual([])
  })

  test('slow-disk: the journal stalls again and again, each time for less than the limit', async () => {
    const { plant, replaced } = await carriedOut({ ...RUN, faults: [faultOf('slow-disk', 'journal', 0, 1000)] })

    expect(plant.done.length).toBeGreaterThan(10)
    expect(plant.done.slice(0, 4)).toEqual(['stop journal/0', 'wake journal/0', 'stop journal/0', 'wake journal/0'])
    expect(plant.stopped).toEqual([])
    expect(replaced).toEqual([])
  })

  test('full-disk: there is no room for so long, and room again', async () => {
    const { plant } = await carriedOut({ ...RUN, faults: [faultOf('full-disk', 'journal', 0, 500)] })

    expect(plant.done).toEqual(['fill', 'empty'])
    expect((plant.doneAtMs[1] as number) - (plant.doneAtMs[0] as number)).toBe(500)
  })

  test('flood: the devices send more than the door takes, and get rid of all of it', async () => {
    const { result, outcomes } = await carriedOut({ runMs: 1000, door: { capacity: 64 }, faults: [faultOf('flood', 'gateway', 0, 100)] })

    expect(outcomes).toEqual([{ recoveries: [] }])
    expect(result.report.sent).toBeGreaterThan(5000)
    expect(result.report).toMatchObject({ acked: result.report.sent, ackedMissing: 0, duplicated: 0, outOfOrder: 0 })
  })

  test('journal-in-recovery: the journal dies behind the worker and before its successor works', async () => {
    const { plant, replaced } = await carriedOut({ ...RUN, faults: [faultOf('journal-in-recovery', 'worker', 1)] })

    expect(plant.done).toEqual(['kill worker/1', 'kill journal/0'])
    expect((plant.doneAtMs[1] as number) - (plant.doneAtMs[0] as number)).toBeLessThan(BACK_MS)
    expect(replaced.map(([seat]) => seat)).toEqual(['worker/1', 'journal/0'])
  })

  test('replacement-in-recovery: the successor dies before it works, and the seat recovers once', async () => {
    const { plant, replaced } = await carriedOut({ ...RUN, faults: [faultOf('replacement-in-recovery', 'journal')] })

    expect(plant.done).toEqual(['kill journal/0', 'kill journal/0'])
    expect(replaced).toEqual([['journal/0', expect.toSatisfy((ms) => ms > BACK_MS)]])
  })

  test('all-at-once: everybody dies, and the plant is started again', async () => {
    const { plant, replaced } = await carriedOut({ ...RUN, faults: [faultOf('all-at-once', 'supervisor')] })

    expect(plant.done).toEqual(['crash everything'])
    expect(replaced).toEqual([['plant', 200]])
  })

  test.each([
    ['rescale', 'rescale', 'the plant has another number of workers, and then the former one'],
    ['fatal-command', 'fatal', 'a command that ends workers is parked'],
    ['broken-upgrade', 'broken upgrade', 'the plant has returned from code that fails'],
  ] as const)('%s: the plant gets over it, or the drill fails', async (kind, done, claim) => {
    const { plant } = await carriedOut({ ...RUN, faults: [faultOf(kind, 'gateway')] })

    expect(plant.done).toEqual([done])
    await expect(drill({ ...RUN, isCareless: true, faults: [faultOf(kind, 'gateway')] })).rejects.toThrow(claim)
  })

  test('upgrade: the plant runs what it was given', async () => {
    const { plant } = await carriedOut({ ...RUN, faults: [faultOf('upgrade', 'gateway')] })

    expect(plant.done).toEqual(['upgrade'])
  })

  test.each(['worker', 'journal'] as const)('timers: all are set, and the %s dies before the first is due', async (role) => {
    const { plant, replaced, result } = await carriedOut({ ...RUN, faults: [faultOf('timers', role)] })
    const { timers } = result.report

    expect(plant.done).toEqual([`kill ${role}/0`])
    expect(replaced).toEqual([[`${role}/0`, BACK_MS]])
    expect(timers).toMatchObject({ set: 102, missing: 0, repeated: 0, unwanted: 0, early: 0, outOfOrder: 0 })
    expect(plant.doneAtMs[0]).toBeLessThan(result.report.incidents?.[0]?.endMs as number)
    expect(result.report.health).toBe('EXCELLENT')
  })

  test('erring-entity: children err, and a worker dies meanwhile if it is to', async () => {
    const erring = faultOf('erring-entity', 'gateway')

    const { plant, result } = await carriedOut({ ...RUN, faults: [erring, { ...erring, during: kill('worker', 1) }] })

    expect(plant.done).toEqual(['kill worker/1'])
    expect(result.report.supervision).toMatchObject({ trees: 6, wrong: 0 })
    expect(result.report.faults?.map(({ kind, count }) => [kind, count])).toEqual([
      ['erring-entity', 2],
      ['kill', 1],
    ])
    expect(result.report.health).toBe('EXCELLENT')
  })

  test('one that lasts, with a kill in its middle: both count', async () => {
    const full = { ...faultOf('full-disk', 'journal', 0, 400), during: kill('journal', 0) }

    const { plant, result } = await carriedOut({ ...RUN, faults: [full] })

    expect(plant.done).toEqual(['fill', 'kill journal/0', 'empty'])
    expect(result.report.faults?.map(({ kind, count }) => [kind, count])).toEqual([
      ['full-disk', 1],
      ['kill', 1],
    ])
    expect(result.report.incidents).toMatchObject([{ kind: 'full-disk + kill', process: 'journal/0', replaced: 1 }])
  })
})

describe('a worker that dies while the disk is full', () => {
  test('recovers when there is room, which is not waited for before', async () => {
    const full = { ...faultOf('full-disk', 'journal', 0, 400), during: kill('worker', 0) }

    const { plant, replaced } = await carriedOut({ ...RUN, faults: [full] })

    expect(plant.done).toEqual(['fill', 'kill worker/0', 'empty'])
    expect((plant.doneAtMs[2] as number) - (plant.doneAtMs[0] as number)).toBe(400)
    expect(replaced).toEqual([['worker/0', expect.toSatisfy((ms) => ms >= 200)]])
  })
})

describe('a plant whose disk others fill meanwhile', () => {
  test('is started again with the room that is left, and serves', async () => {
    const { plant, result, replaced } = await carriedOut({ ...RUN, isRobbedByKill: true, faults: [kill('worker', 0), kill('worker', 1)] })

    expect(plant.done).toEqual(['kill worker/0', 'restart', 'kill worker/1'])
    expect(replaced.map(([seat]) => seat)).toEqual(['worker/0', 'worker/1'])
    expect(result.report).toMatchObject({ acked: result.report.sent, ackedMissing: 0 })
  })
})

describe('a fault that cannot be carried out', () => {
  test('full-disk: says why and leaves the disk alone', async () => {
    const { plant, outcomes } = await carriedOut({
      ...RUN,
      whyNotFull: 'it is not ours',
      faults: [faultOf('full-disk', 'journal', 0, 500)],
    })

    expect(plant.done).toEqual([])
    expect(outcomes).toEqual([{ recoveries: [], skipped: 'it is not ours' }])
  })

  test('flood: a door that takes all of it has nothing to hold', async () => {
    const { outcomes } = await carriedOut({ ...RUN, floodMax: 100, faults: [faultOf('flood', 'gateway', 0, 20)] })

    expect(outcomes[0]?.skipped).toMatch(/took all/)
  })

  test.each(['journal-in-recovery', 'replacement-in-recovery'] as const)('%s: is tried three times, and no more', async (kind) => {
    const { outcomes, replaced } = await carriedOut({ ...RUN, isInstant: true, faults: [faultOf(kind, 'worker')] })

    expect(outcomes[0]?.skipped).toMatch(/, 3 times$/)
    expect(replaced).toHaveLength(6)
  })
})

async function carriedOut(setting: DrillSetting) {
  const ran = await drill(setting)
  return { ...ran, replaced: ran.result.report.recoveries.map(({ process, rtoMs }) => [process, rtoMs] as const) }
}
