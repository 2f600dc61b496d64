import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Row } from '#journal/journal.js'
import { openLmdbJournal, type RepairPlan, repairLog, verifyFiles } from '#journal/lmdb/index.js'
import { collect, rowsOf } from '../contracts/journal-adapter.js'
import { batchOf, SAMPLED, TestWriter } from './writer.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-repair-steps-'))
const SEALED = '000000000000.segment'
const REPAIRED = '000000000000.1.segment'
const ACTIVE = '000000000040.active'
const damagedLog = join(root, 'damaged')
/** Of the log behind a repair that nothing ended. */
let plan: RepairPlan
let rows: Row[]
let notes: string[]
let count = 0

/** Rows for a sealed segment and one that is not, of which each has a wrong byte. */
beforeAll(async () => {
  const journal = await openLmdbJournal({ directory: damagedLog })
  const writer = new TestWriter(await journal.register([SAMPLED]))
  for (const isSealed of [true, false]) {
    for (let batch = 0; batch < 4; batch++)
      await journal.append(batchOf(Array.from({ length: 10 }, (_, index) => writer.sample(`press/press-${index % 7}`, batch + index))))
    if (isSealed) await journal.seal()
  }
  await journal.close()
  change(join(damagedLog, 'log', SEALED), (bytes) => bytes.indexOf('MRBLOCK\n') + 40)
  const isThird = (bytes: Buffer, at: number) => Number(bytes.readBigUInt64LE(at + 28)) === 60
  for (const at of blocksOf(join(damagedLog, 'log', ACTIVE, 'data.mdb'), isThird))
    change(join(damagedLog, 'log', ACTIVE, 'data.mdb'), (bytes) => at + bytes.readUInt32LE(at + 12) + 5)
  const directory = copyOf(damagedLog)
  plan = await repairLog(directory, { isDryRun: false })
  ;({ rows, notes } = await readAgain(directory))
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

function change(path: string, offset: (bytes: Buffer) => number): void {
  const bytes = readFileSync(path)
  const at = offset(bytes)
  bytes[at] = (bytes[at] as number) ^ 8
  writeFileSync(path, bytes)
}

function blocksOf(path: string, isWanted: (bytes: Buffer, at: number) => boolean): number[] {
  const bytes = readFileSync(path)
  const found: number[] = []
  for (let at = bytes.indexOf('MRBLOCK\n'); at >= 0; at = bytes.indexOf('MRBLOCK\n', at + 1)) if (isWanted(bytes, at)) found.push(at)
  return found
}

function copyOf(directory: string): string {
  const copy = join(root, `copy-${count++}`)
  cpSync(directory, copy, { recursive: true })
  return copy
}

/** What a log says that is whole, when a plant opens it. */
async function readAgain(directory: string) {
  const journal = await openLmdbJournal({ directory })
  const read = await rowsOf(journal)
  await journal.close()
  const findings = await collect(verifyFiles(directory))
  expect(findings.filter(({ severity }) => severity === 'damaged')).toEqual([])
  return { rows: read, notes: findings.map(({ segment, what }) => `${segment} ${what}`) }
}

const STEPS = ['written', 'kept', 'listed', 'unlinked', 'drafted', 'decided', 'forgotten', 'told', 'swapped', 'over']
const isDecided = (step: string) => STEPS.indexOf(step) >= STEPS.indexOf('decided')

describe('repair of sealed and other segments', () => {
  test('tells all that is gone', () => {
    expect(plan).toMatchObject({ rewritten: [SEALED, ACTIVE], beyond: [] })
    expect(plan.gone.map(({ segment, firstPosition, endPosition }) => [segment, firstPosition, endPosition])).toEqual([
      [SEALED, 0, 40],
      [ACTIVE, 60, 70],
    ])
    expect(rows.map(({ position }) => position)).toEqual(Array.from({ length: 80 }, (_, index) => index))
    expect(notes).toHaveLength(2)
  })

  test('that is killed behind any step leaves the old or the new of each, and is finished by the next', async () => {
    const directory = copyOf(damagedLog)
    const copies: { readonly step: string; readonly copy: string }[] = []
    await repairLog(directory, { isDryRun: false, onStep: (step) => copies.push({ step, copy: copyOf(directory) }) })

    expect(copies.map(({ step }) => step)).toEqual(STEPS)
    for (const { step, copy } of copies) {
      const names = readdirSync(join(copy, 'log'))
      const byPlant = isDecided(step) ? await readAgain(copyOf(copy)) : undefined
      const isUnfinished = existsSync(join(copy, 'repair.json'))
      const opened = await openLmdbJournal({ directory: copy, isReadOnly: true }).catch((error) => error)
      if (!(opened instanceof Error)) await opened.close()
      const planned = await repairLog(copy, { isDryRun: true })
      const done = await repairLog(copy, { isDryRun: false })

      expect([step, names.some((name) => name === SEALED || name === REPAIRED)]).toEqual([step, true])
      if (byPlant !== undefined) expect([step, byPlant]).toEqual([step, { rows, notes }])
      expect([step, opened.code]).toEqual([step, isUnfinished ? 'ERR_REPAIR_UNFINISHED' : undefined])
      expect([step, done]).toEqual([step, planned])
      expect([step, plan.gone]).toEqual([step, expect.arrayContaining(done.gone as unknown[])])
      expect([step, await readAgain(copy)]).toEqual([step, { rows, notes }])
      expect([step, readdirSync(join(copy, 'log')).sort()]).toEqual([step, [REPAIRED, ACTIVE]])
    }
  })

  test('for which the disk has no room, or fails, says so and can be run again', async () => {
    for (const step of ['written', 'listed', 'drafted', 'forgotten', 'swapped']) {
      const directory = copyOf(damagedLog)
      const isFull = step !== 'listed' && step !== 'swapped'
      const fail = (done: string) => {
        if (done === step) throw Object.assign(new Error('the disk says no'), { code: isFull ? 'ENOSPC' : 'EIO' })
      }

      const refused = await repairLog(directory, { isDryRun: false, onStep: fail }).catch((error) => error)

      expect([step, refused]).toMatchObject([
        step,
        {
          code: isFull ? 'ERR_DISK_FULL' : 'ERR_REPAIR_DISK',
          action: 'operator',
          message: expect.stringContaining('millrace log repair again'),
        },
      ])
      await repairLog(directory, { isDryRun: false })

      expect([step, await readAgain(directory)]).toEqual([step, { rows, notes }])
    }
  })
})
