import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { isClean, type PlantReport, percentile, rtoOf, whatIsWrong } from '#recovery/report.js'
import { parseReport, reportJsonSchema } from '#recovery/report-schema.js'
import { renderReport } from '#recovery/render-report.js'
import { drillReport, HASH, recoveryOf, reportOf, SUPERVISION, TIMERS } from './sample-report.js'

describe('a report of a run without loss', () => {
  test('is clean', () => {
    expect(isClean(reportOf({}))).toBe(true)
  })

  test('passes its schema unchanged', () => {
    const report = reportOf({ recoveries: [recoveryOf({})], busRttNs: 180, bytesPerEvent: 12.5 })

    expect(parseReport(JSON.parse(JSON.stringify(report)))).toEqual(report)
  })

  test('passes its schema unchanged with faults, incidents and health', () => {
    expect(parseReport(JSON.parse(JSON.stringify(drillReport())))).toEqual(drillReport())
  })

  test('is rendered with its faults and its health', () => {
    const text = renderReport(drillReport())

    expect(text).toMatch(/^full-disk +1 +2 +/m)
    expect(text).toContain('skipped: others made <room> on it')
    expect(text).toContain('health: GOOD')
    expect(text).toMatch(/^timers +102 +30 cancelled, 114 times one went off, late p50 0.2 ms, max 81.5 ms$/m)
    expect(text).toMatch(/^children erred +21 +in 3 trees of supervision: 48 restarts, 3 went on, 6 escalated$/m)
  })

  test('is rendered with every number of it', () => {
    const text = renderReport(
      reportOf({
        sent: 123_456,
        acked: 123_454,
        durable: 123_455,
        recoveries: [recoveryOf({ rtoMs: 23.25 })],
        bytesPerEvent: 12.5,
        busRttNs: 181,
      }),
    )

    for (const shown of ['123,456', '123,455', '123,454', 'worker/0', 'SIGKILL', '23.3 ms', 'noticed', '12.5', '181 ns', HASH, 'equal'])
      expect(text).toContain(shown)
    expect(text).toContain('clean:')
  })

  test('is rendered with phases that only one process reported', () => {
    const text = renderReport(
      reportOf({ recoveries: [recoveryOf({}), recoveryOf({ process: 'journal/0', phases: { ready: 2, fsync: 7 } })] }),
    )

    expect(text.split('\n').find((line) => line.startsWith('journal/0'))).toContain('7.0 ms')
  })
})

describe('a report of a run with a fault', () => {
  test.each<[Partial<PlantReport>, string]>([
    [{ ackedMissing: 1, durable: 99 }, '1 acknowledged command missing'],
    [{ duplicated: 2 }, '2 commands stored twice'],
    [{ outOfOrder: 1 }, '1 command out of order'],
    [{ torn: 1 }, '1 command stored with other values'],
    [{ invented: 2 }, '2 commands in the log that nobody sent'],
    [{ timers: { ...TIMERS, missing: 1 } }, '1 timer that never went off'],
    [{ timers: { ...TIMERS, repeated: 2 } }, '2 timers that went off twice'],
    [{ timers: { ...TIMERS, unwanted: 1 } }, '1 timer that went off though cancelled'],
    [{ timers: { ...TIMERS, early: 1 } }, '1 timer that went off too early'],
    [{ timers: { ...TIMERS, outOfOrder: 1 } }, '1 timer that went off behind a later one'],
    [{ supervision: { ...SUPERVISION, wrong: 2 } }, '2 trees of supervision not as the strategy says'],
    [{ durable: 99 }, 'fewer commands durable'],
    [{ stateHash: { live: HASH, replayed: 'cd'.repeat(32) } }, 'another state'],
  ])('is not clean and says so once: %j', (fault, said) => {
    const report = reportOf(fault)

    expect(isClean(report)).toBe(false)
    expect(whatIsWrong(report)).toEqual([expect.stringContaining(said)])
    expect(renderReport(report)).toContain('WRONG')
  })
})

describe('the schema of the report', () => {
  test('stands in config as it is in code', () => {
    const file = new URL('../../config/report.schema.json', import.meta.url)

    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(reportJsonSchema())
  })

  test.each([{ sent: -1 }, { stateHash: { live: 'short', replayed: HASH } }, { lost: 0 }, { rtoMs: { p50: 1, p99: 1 } }])(
    'refuses %j',
    (wrong) => {
      expect(() => parseReport({ ...reportOf({}), ...wrong })).toThrow()
    },
  )
})

describe('percentiles', () => {
  test('lie between neighbours in proportion', () => {
    expect(percentile([10, 20, 30, 40], 0.5)).toBe(25)
    expect(percentile([10, 20, 30, 40], 1)).toBe(40)
    expect(percentile([7], 0.99)).toBe(7)
    expect(percentile([], 0.5)).toBe(0)
  })

  test('of recoveries do not depend on their order', () => {
    const recoveries = [30, 10, 20].map((rtoMs) => recoveryOf({ rtoMs }))

    expect(rtoOf(recoveries)).toEqual({ p50: 20, p99: 29.8, max: 30 })
  })
})
