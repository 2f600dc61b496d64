import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseReport } from '#recovery/report-schema.js'
import type { PlantReport } from '#recovery/report.js'
import { soakSeed, soakTimes } from '../soak.js'
import { type CliResult, runCli } from './cli/run-cli.js'
import { livingProcesses } from './plant-folder.js'

/** Kills in each drill. */
const times = soakTimes({ smoke: 2, full: 200 })
const seed = soakSeed(1)
const clean = { ackedMissing: 0, duplicated: 0, outOfOrder: 0 }
const HASH = /^[0-9a-f]{64}$/

describe('millrace demo', () => {
  let demo: Ran

  beforeAll(async () => {
    demo = await ran(['demo', '--machines', '200', '--seconds', '5', '--json'])
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

describe('millrace demo with a sabotage', () => {
  test.each([
    ['lose', { ...clean, ackedMissing: 1 }],
    ['duplicate', { ...clean, duplicated: 1 }],
    ['reorder', { ...clean, outOfOrder: 1 }],
  ])('to %s finds exactly that one and fails', async (sabotage, faults) => {
    const { code, report, left } = await ran(['demo', '--machines', '200', '--seconds', '1', '--sabotage', sabotage, '--json'])

    expect(report).toMatchObject(faults)
    expect(code).toBe(1)
    expect(left).toEqual([])
  })

  test('that never came to it fails, and says what would help', async () => {
    const { code, stderr, left } = await ran(['demo', '--machines', '5', '--seconds', '1', '--sabotage', 'lose'])

    expect(code).toBe(1)
    expect(stderr).toMatch(/the run was too short for its sabotage.* sabotage=lose .*--machines, --seconds/)
    expect(left).toEqual([])
  })

  test('tells a person what is wrong, with the command', async () => {
    const { code, stdout } = await ran(['demo', '--machines', '200', '--seconds', '1', '--sabotage', 'lose'])

    expect(code).toBe(1)
    expect(stdout).toMatch(/WRONG: 1 acknowledged command missing from the log/)
    expect(stdout).toMatch(/lost machine\/\S+ at \d+/)
  })
})

describe('millrace drill', () => {
  test.each(['worker', 'journal', 'gateway', 'supervisor'])(
    `that kills a %s ${times} times loses, doubles and swaps nothing`,
    async (role) => {
      const { code, report, left } = await ran(['drill', '--kill', role, '--times', String(times), '--seed', String(seed), '--json'])

      expect(report).toMatchObject(clean)
      expect(report.recoveries.map(({ process }) => process.split('/')[0])).toEqual(Array.from({ length: times }, () => role))
      expect(report.stateHash.live).toMatch(HASH)
      expect(report.stateHash.replayed).toBe(report.stateHash.live)
      expect(report.acked).toBe(report.sent)
      expect(code).toBe(0)
      expect(left).toEqual([])
    },
  )

  test('that kills each in turn keeps the directory it is given, and refuses one with a log', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-kept-'))
    afterAll(() => rmSync(folder, { recursive: true, force: true }))
    const data = join(folder, 'data')

    const drill = await ran(['drill', '--kill', 'worker,journal,gateway,supervisor', '--times', '4', '--data', data, '--json'])
    const verified = await runCli(['log', 'verify', '--data', data, '--json'])
    const again = await ran(['drill', '--times', '1', '--data', data, '--json'])

    expect(drill.report).toMatchObject(clean)
    expect(drill.report.recoveries.map(({ process }) => process)).toEqual(['worker/0', 'journal/0', 'gateway/0', 'supervisor/0'])
    expect(JSON.parse(verified.stdout)).toEqual({ ok: true, findings: [] })
    expect(again.code).toBe(1)
    expect(again.stdout).toMatch(/ERR_DRILL_DIRECTORY/)
    expect([...drill.left, ...again.left]).toEqual([])
  })
})

interface Ran extends CliResult {
  readonly report: PlantReport
  /** Processes that the command left. */
  readonly left: readonly unknown[]
}

/** A drill in a folder for temporary files of its own, by which its processes are known. */
async function ran(words: readonly string[]): Promise<Ran> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-drilled-'))
  try {
    const result = await runCli(words, { env: { TMPDIR: folder } })
    const isReport = words.includes('--json') && !result.stdout.includes('"error"')
    return { ...result, report: isReport ? parseReport(JSON.parse(result.stdout)) : ({} as PlantReport), left: livingProcesses(folder) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
