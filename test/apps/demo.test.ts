import { beforeAll, describe, expect, test } from 'vitest'
import { WITHOUT_SPARES } from '#runtime/plant-session.js'
import { type RanDrill, ranDrill } from './ran-drill.js'

const clean = { ackedMissing: 0, duplicated: 0, outOfOrder: 0, torn: 0 }
const HASH = /^[0-9a-f]{64}$/

describe('millrace demo', () => {
  let demo: RanDrill

  beforeAll(async () => {
    demo = await ranDrill(['demo', '--machines', '200', '--seconds', '3', '--json'])
  })

  test('ends well, and its report keeps to its schema', () => {
    expect(demo).toMatchObject({ code: 0, stderr: '' })
    expect(demo.report).toMatchObject(clean)
    expect(demo.report.sent).toBeGreaterThan(2000)
    expect(demo.report.acked).toBe(demo.report.sent)
    expect(demo.report.durable).toBe(demo.report.sent)
  })

  test('has replaced a worker, the journal and the gateway', () => {
    const { recoveries, rtoMs } = demo.report

    expect(recoveries.map(({ process, cause }) => `${process} ${cause}`)).toEqual([
      'worker/0 SIGKILL',
      'journal/0 SIGKILL',
      'gateway/0 SIGKILL',
    ])
    expect(recoveries[0]?.entities).toBeGreaterThan(0)
    expect(recoveries[0]?.events).toBeGreaterThan(0)
    for (const { rtoMs: own, phases } of recoveries) {
      const { noticed = 0, reaped = 0, started = 0, ready = 0 } = phases
      expect(noticed + reaped + started + ready).toBeCloseTo(own, 3)
    }
    expect(rtoMs.max).toBe(Math.max(...recoveries.map((one) => one.rtoMs)))
  })

  test('replays the log to the state that was live', () => {
    const { live, replayed } = demo.report.stateHash

    expect(live).toMatch(HASH)
    expect(replayed).toBe(live)
  })

  test('measures bus, acknowledgements and bytes', () => {
    const { busRttNs, ackMs, eventsPerSecond, bytesPerEvent } = demo.report

    expect(busRttNs).toBeGreaterThan(10)
    expect(ackMs.p50).toBeGreaterThan(0)
    expect(ackMs.p99).toBeGreaterThanOrEqual(ackMs.p50)
    expect(eventsPerSecond).toBeGreaterThan(100)
    expect(bytesPerEvent).toBeGreaterThan(1)
  })

  test('leaves nothing behind', () => {
    expect(demo.left).toEqual([])
  })
})

describe('a sabotage', () => {
  // A lost one is found on a log that has been drilled before: the feature about drills. Who starts a demo and who starts a drill find the same.
  test.each([
    ['demo', 'duplicate', { ...clean, duplicated: 1 }],
    ['drill', 'reorder', { ...clean, outOfOrder: 1 }],
    ['drill', 'tear', { ...clean, torn: 1 }],
    ['drill --scenario timers', 'repeat-timer', { ...clean, timers: { repeated: 1, missing: 0, unwanted: 0, early: 0, outOfOrder: 0 } }],
  ])('of a %s to %s finds exactly that one and fails', async (command, sabotage, faults) => {
    const length = command === 'demo' ? ['--seconds', '1'] : ['--times', '1']

    const { code, report, left } = await ranDrill(
      [...command.split(' '), ...length, '--machines', '200', '--sabotage', sabotage, '--json'],
      WITHOUT_SPARES,
    )

    expect(report).toMatchObject(faults)
    expect(code).toBe(1)
    expect(left).toEqual([])
  })

  test('that never came to it fails, and says what would help', async () => {
    const { code, stderr, left } = await ranDrill(['drill', '--times', '1', '--machines', '5', '--sabotage', 'lose'], WITHOUT_SPARES)

    expect(code).toBe(1)
    expect(stderr).toMatch(/the run was too short for its sabotage.* sabotage=lose .*--machines, --seconds/)
    expect(left).toEqual([])
  })
})
