import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FAULT_KINDS } from '#drills/fault.js'
import { HEALTHS } from '#recovery/health.js'
import { openPlant } from '#runtime/inline-plant.js'
import { Counter } from '../faults/counter.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { runCli } from './cli/run-cli.js'
import { PlantFolder } from './plant-folder.js'
import { ranDrill } from './ran-drill.js'

/** Of chaos. The first round, every kind once, takes longer than the smoke's. */
const minutes = soakTimes({ smoke: 0.01, full: 60 })
const seed = soakSeed(7)
const clean = { ackedMissing: 0, duplicated: 0, outOfOrder: 0, torn: 0 }

describe('a chaos', () => {
  test(`of seed ${seed} does every kind of fault, loses, doubles and swaps nothing, and leaves nothing behind`, async () => {
    const folder = emptyFolder()
    const html = join(folder, 'report.html')

    const { code, stderr, report, left } = await ranDrill([
      'drill',
      '--chaos',
      '--minutes',
      String(minutes),
      '--seed',
      String(seed),
      '--html',
      html,
      '--json',
    ])

    if (isSoak)
      process.stderr.write(
        `drill: ${JSON.stringify({ ...report, recoveries: report.recoveries.length, incidents: report.incidents?.length })}\n`,
      )
    expect(stderr).toBe('')
    expect(report).toMatchObject(clean)
    expect(report.acked).toBe(report.sent)
    expect(report.stateHash.replayed).toBe(report.stateHash.live)
    expect(report.faults?.map(({ kind }) => kind).sort()).toEqual([...FAULT_KINDS].sort())
    for (const { kind, count, skipped, reasons } of report.faults ?? []) {
      expect(count + skipped, kind).toBeGreaterThan(0)
      expect(reasons.length > 0, kind).toBe(skipped > 0)
    }
    expect(report.incidents?.every(({ atMs, endMs }) => endMs > atMs)).toBe(true)
    expect(HEALTHS).toContain(report.health)
    expect(readFileSync(html, 'utf8')).toMatch(/^<!doctype html>/)
    expect(code).toBe(0)
    expect(left).toEqual([])
  })
})

describe('a drill on a data directory', () => {
  test('is refused where the log of another plant is', async () => {
    const folder = new PlantFolder()
    onTestFinished(() => void folder.remove())
    const plant = await openPlant({ entities: [Counter], data: folder.data })
    await plant.close()

    const { code, stderr } = await runCli(['drill', '--data', folder.data])

    expect(code).toBe(1)
    expect(stderr).toMatch(/a log in this data directory already, and not of a drill/)
    expect(existsSync(join(folder.data, 'drills'))).toBe(false)
  })
})

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kept-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
