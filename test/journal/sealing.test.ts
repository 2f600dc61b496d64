import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { type Journal, readRows } from '#journal/index.js'
import { type LmdbJournalOptions, openLmdbJournal } from '#journal/lmdb/index.js'
import { collect, rowsOf } from '../contracts/journal-adapter.js'
import { ALARM_RAISED, batchOf, SAMPLED, TestWriter } from './writer.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-sealing-'))
let count = 0
const fresh = () => join(root, `log-${count++}`)

afterAll(() => rmSync(root, { recursive: true, force: true }))

async function started(options: Partial<LmdbJournalOptions> = {}) {
  const directory = options.directory ?? fresh()
  const journal = await openLmdbJournal({ ...options, directory })
  const writer = new TestWriter(await journal.register([SAMPLED, ALARM_RAISED]))
  return { directory, journal, writer }
}

/** Batches of some 20 rows. */
async function fill(journal: Journal, writer: TestWriter, batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch++)
    await journal.append(batchOf(Array.from({ length: 20 }, (_, index) => writer.sample(`press/press-${(index * 7) % 13}`, batch + index))))
}

const RAW = { encoding: 'binary', keyEncoding: 'binary', noSubdir: false, overlappingSync: false, cache: false } as const

const segmentsIn = (directory: string) => readdirSync(join(directory, 'log')).sort()

describe('a log that is verified', () => {
  test('is whole while segments of it are sealed and dropped', async () => {
    const { journal, writer } = await started()
    await fill(journal, writer, 10)
    await journal.seal()
    // So that sealing them ends before verifying them does.
    await fill(journal, writer, 150)
    const [oldest] = journal.sealedSegments()
    let meanwhile: Promise<unknown> | undefined

    const findings = await collect(
      journal.verify(() => {
        meanwhile ??= Promise.all([journal.seal(), journal.dropOldest(oldest?.name as string)])
      }),
    )
    await meanwhile

    expect(findings).toEqual([])
    expect(journal.sealedSegments().map(({ firstPosition }) => firstPosition)).toEqual([200])
    expect(await collect(journal.verify())).toEqual([])
    await journal.close()
  })
})

describe('a log that is sealed by itself', () => {
  test('closes a segment with so many rows, and has them in sealed files soon', async () => {
    const { directory, journal, writer } = await started({ segmentRowsMax: 60 })

    await fill(journal, writer, 10)
    await journal.seal()

    const positions = journal.sealedSegments().map(({ firstPosition, endPosition }) => [firstPosition, endPosition])
    expect(positions).toEqual([
      [0, 60],
      [60, 120],
      [120, 180],
      [180, 200],
    ])
    expect(segmentsIn(directory)).toEqual([
      '000000000000.segment',
      '000000000060.segment',
      '000000000120.segment',
      '000000000180.segment',
      '000000000200.active',
    ])
    await journal.close()
  })

  test('lets appends wait while too many segments wait to be sealed, which else pile up', async () => {
    const unsealedAtMost = async (options: Partial<LmdbJournalOptions>) => {
      const { directory, journal, writer } = await started({ ...options, segmentRowsMax: 20 })
      let most = 0
      for (let batch = 0; batch < 25; batch++) {
        await fill(journal, writer, 1)
        most = Math.max(most, segmentsIn(directory).filter((name) => name.endsWith('.active')).length)
      }
      await journal.close()
      return most
    }
    let waits = 0

    const most = await unsealedAtMost({ unsealedMax: 2, onUnsealedMax: () => waits++ })

    expect(most).toBeLessThanOrEqual(4)
    expect(waits).toBeGreaterThan(0)
    expect(await unsealedAtMost({})).toBeGreaterThan(4)
  })

  test('closes a segment with so many bytes', async () => {
    const { journal, writer } = await started({ segmentBytesMax: 3000 })

    await fill(journal, writer, 12)
    await journal.seal()

    expect(journal.sealedSegments().length).toBeGreaterThan(2)
    expect((await rowsOf(journal)).map((row) => row.position)).toEqual(Array.from({ length: 240 }, (_, index) => index))
    await journal.close()
  })

  test('closes a segment whose oldest row is old, also when it was opened again meanwhile', async () => {
    let now = 1_700_000_000_000_000
    const clock = { nowMicros: () => now, monotonicMs: () => now / 1000 } as LmdbJournalOptions['clock'] & object
    const { directory, journal, writer } = await started({ segmentAgeMs: 3_600_000, clock })
    await fill(journal, writer, 1)
    now += 3_000_000_000
    await fill(journal, writer, 1)
    await journal.close()
    const again = await openLmdbJournal({ directory, segmentAgeMs: 3_600_000, clock })
    now += 1_000_000_000

    await fill(again, writer, 1)
    await again.append(batchOf([writer.sample('press/press-1', 1)]))
    await again.seal()

    expect(again.sealedSegments().map(({ firstPosition }) => firstPosition)).toEqual([0, 60])
    await again.close()
  })
})

describe('a journal that dies behind a step of sealing', () => {
  test('has each row once and a whole log, and seals on', { timeout: 60_000 }, async () => {
    const copies: { readonly step: string; readonly copy: string; readonly rows: number }[] = []
    const directory = fresh()
    const options: LmdbJournalOptions = {
      directory,
      segmentRowsMax: 60,
      onSealStep(step) {
        const copy = fresh()
        cpSync(directory, copy, { recursive: true })
        copies.push({ step, copy, rows: journal.endPosition })
      },
    }
    const { journal, writer } = await started(options)
    await fill(journal, writer, 4)
    await journal.seal()
    const expected = await rowsOf(journal)
    await journal.close()

    expect(new Set(copies.map(({ step }) => step))).toEqual(
      new Set(['rotated', 'read', 'encoded', 'written', 'synced', 'verified', 'renamed', 'listed', 'unlinked']),
    )
    for (const { step, copy, rows } of copies) {
      const reader = await openLmdbJournal({ directory: copy, isReadOnly: true })
      const read = await rowsOf(reader)
      await reader.close()
      const again = await openLmdbJournal({ directory: copy, segmentRowsMax: 60 })
      const found = await rowsOf(again)
      const findings = await collect(again.verify())
      await again.append(batchOf([new TestWriter(again.eventTypes, { term: 2 }).sample('press/new', 1)]))
      await again.seal()
      const sealed = await rowsOf(again)
      const names = segmentsIn(copy)
      await again.close()

      // The batch that was under way may be there, as a whole.
      const kept = expected.slice(0, found.length === rows + 20 ? rows + 20 : rows)
      expect([step, read]).toEqual([step, kept])
      expect([step, found, findings]).toEqual([step, kept, []])
      expect([step, sealed.slice(0, -1), sealed.at(-1)?.position]).toEqual([step, kept, kept.length])
      expect([step, names.filter((name) => !/^\d{12}\.segment$/.test(name)).length]).toEqual([step, 1])
    }
  })

  test('keeps the old segment when the new one cannot be made, says why, and seals it later', async () => {
    let isBroken = true
    const said: unknown[] = []
    const { journal, writer } = await started({
      onSealStep(step) {
        if (step === 'synced' && isBroken)
          throw new MillraceError('ERR_DISK_FULL', { fact: 'no room', action: 'retry', values: {}, next: 'make room' })
      },
      onSealFailed: (error) => said.push(error),
    })
    await fill(journal, writer, 3)
    const before = await rowsOf(journal)

    await expect(journal.seal()).rejects.toMatchObject({ code: 'ERR_DISK_FULL' })
    const during = await rowsOf(journal)
    await fill(journal, writer, 1)
    isBroken = false
    await journal.seal()

    expect(said.map((error) => isMillraceError(error, 'ERR_DISK_FULL'))).toEqual([true])
    expect(during).toEqual(before)
    expect(journal.sealedSegments().map(({ firstPosition }) => firstPosition)).toEqual([0, 60])
    expect((await rowsOf(journal)).slice(0, 60)).toEqual(before)
    await journal.close()
  })
})

describe('the oldest sealed segment', () => {
  const sealedThrice = async () => {
    const { directory, journal, writer } = await started()
    for (let segment = 0; segment < 3; segment++) {
      await fill(journal, writer, 2)
      await journal.seal()
    }
    await journal.append(batchOf([writer.sample('press/late', 1)]))
    return { directory, journal, writer }
  }

  test('is dropped with its rows; the rest reads on, also after a reopen, and verifies', async () => {
    const { directory, journal, writer } = await sealedThrice()
    const before = await rowsOf(journal)
    const heads = [...journal.heads(3)]

    await journal.dropOldest('000000000000.segment')
    const after = await rowsOf(journal)
    await journal.close()
    const again = await openLmdbJournal({ directory })

    expect(again.firstPosition).toBe(40)
    expect(after).toEqual(before.slice(40))
    expect(await rowsOf(again)).toEqual(before.slice(40))
    expect([...again.heads(3)]).toEqual(heads)
    expect(await collect(again.verify())).toEqual([])
    expect(segmentsIn(directory)).not.toContain('000000000000.segment')
    expect(await again.append(batchOf([writer.sample('press/press-1', 1)]))).toMatchObject({ rowCount: 1, rejected: [] })
    await again.close()
  })

  test('stays gone when the journal died before its file was', async () => {
    const { directory, journal } = await sealedThrice()
    const file = readFileSync(join(directory, 'log', '000000000000.segment'))
    await journal.dropOldest('000000000000.segment')
    await journal.close()
    writeFileSync(join(directory, 'log', '000000000000.segment'), file)

    const again = await openLmdbJournal({ directory })

    expect(again.firstPosition).toBe(40)
    expect(segmentsIn(directory)).not.toContain('000000000000.segment')
    await again.close()
  })

  test('may be dropped down to the last, with nothing unsealed behind', async () => {
    const { directory, journal, writer } = await sealedThrice()
    await journal.seal()
    for (const { name } of journal.sealedSegments()) await journal.dropOldest(name)
    await journal.close()

    const again = await openLmdbJournal({ directory })
    await again.append(batchOf([writer.sample('press/press-1', 1)]))
    await again.seal()

    expect([again.firstPosition, again.endPosition]).toEqual([121, 122])
    expect(await rowsOf(again)).toEqual([expect.objectContaining({ position: 121, version: 13 })])
    expect(await collect(again.verify())).toEqual([])
    await again.close()
  })

  test('is read to its end by whoever had begun', async () => {
    const { journal } = await sealedThrice()
    const expected = await rowsOf(journal)
    const reader = readRows(journal, { from: 0 })
    const found = [(await reader.next()).value]

    await journal.dropOldest('000000000000.segment')
    await journal.dropOldest('000000000040.segment')
    for await (const row of reader) found.push(row)

    expect(found).toEqual(expected)
    await journal.close()
  })

  test('tells the newest version that each entity has in it', async () => {
    const { journal } = await sealedThrice()
    const rows = (await rowsOf(journal)).slice(40, 80)

    const told = await collect(journal.lastVersions('000000000040.segment'))

    const expected = new Map(rows.map((row) => [row.entity, row.version]))
    expect(new Map(told.map(({ entity, version }) => [entity, version]))).toEqual(expected)
    await journal.close()
  })
})

describe('damage in a sealed file', () => {
  test('is named by the read that meets it, with file and block, or with the file alone', async () => {
    const { directory, journal, writer } = await started()
    await fill(journal, writer, 4)
    await journal.seal()
    await journal.close()
    const path = join(directory, 'log', '000000000000.segment')
    const intact = readFileSync(path)
    const readWith = async (at: number) => {
      const bytes = Buffer.from(intact)
      bytes[at] = (bytes[at] as number) ^ 4
      writeFileSync(path, bytes)
      const reader = await openLmdbJournal({ directory, isReadOnly: true })
      try {
        await rowsOf(reader)
        return undefined
      } catch (error) {
        return error
      } finally {
        await reader.close()
      }
    }

    expect(await readWith(400)).toMatchObject({ code: 'ERR_BLOCK_DAMAGED', values: { segment: '000000000000.segment', block: 0 } })
    expect(await readWith(intact.length - 10)).toMatchObject({ code: 'ERR_SEGMENT_DAMAGED', values: { segment: '000000000000.segment' } })
    expect(await readWith(20)).toMatchObject({ code: 'ERR_SEGMENT_DAMAGED' })
  })

  test('that is not there any more is said at opening', async () => {
    const { directory, journal, writer } = await started()
    await fill(journal, writer, 2)
    await journal.seal()
    await journal.close()
    rmSync(join(directory, 'log', '000000000000.segment'))

    await expect(openLmdbJournal({ directory })).rejects.toMatchObject({
      code: 'ERR_LOG_INCOMPLETE',
      values: { missing: '000000000000.segment' },
    })
  })
})

describe('damage in an old block of the segment that is being written', () => {
  test('does not keep the log from being opened: who reads the block hears of it', async () => {
    const { directory, journal, writer } = await started()
    await fill(journal, writer, 3)
    await journal.close()
    const path = join(directory, 'log', '000000000000.active', 'data.mdb')
    const bytes = readFileSync(path)
    const blocks: number[] = []
    for (let at = bytes.indexOf('MRBLOCK\n'); at >= 0; at = bytes.indexOf('MRBLOCK\n', at + 1)) blocks.push(at)
    for (const at of blocks.filter((one) => bytes.readBigUInt64LE(one + 28) === 0n)) bytes[at + 70] = (bytes[at + 70] as number) ^ 1
    writeFileSync(path, bytes)

    const again = await openLmdbJournal({ directory, recentAppends: 8 })
    const answer = await again.append(batchOf([new TestWriter(again.eventTypes, { term: 2 }).sample('press/new', 1)]))

    expect(answer).toMatchObject({ basePosition: 60, rowCount: 1 })
    expect(await rowsOf(again, 20)).toHaveLength(41)
    await expect(rowsOf(again)).rejects.toMatchObject({ code: 'ERR_BLOCK_DAMAGED', values: { block: 0 } })
    await again.close()
  })
})

describe('a sealed log whose saved heads are lost', () => {
  /** Takes away what was saved of heads and marks. */
  const forget = async (directory: string) => {
    const { open } = await import('lmdb')
    const catalog = open<Buffer, Uint8Array>({ path: join(directory, 'catalog'), ...RAW })
    for (const key of [...catalog.getKeys({})].filter((one) => one[0] === 4 || one[0] === 5)) await catalog.remove(key)
    await catalog.close()
  }
  const headsOf = (journal: Journal) => Array.from({ length: journal.shardCount }, (_, shard) => [...journal.heads(shard)])

  test.each([
    ['from all of its rows', 0],
    ['from what is left and the copy made when rows were dropped', 2],
  ])('has them again %s', async (_, drops) => {
    const { directory, journal, writer } = await started()
    for (let segment = 0; segment < 4; segment++) {
      await fill(journal, writer, 2)
      await journal.append(batchOf([writer.sample(`press/only-${segment}`, 1)], segment))
      await journal.seal()
    }
    for (const { name } of journal.sealedSegments().slice(0, drops)) await journal.dropOldest(name)
    await fill(journal, writer, 1)
    const expected = { heads: headsOf(journal), marks: [0, 1, 2, 3].map((slot) => journal.mark(slot)), rows: await rowsOf(journal) }
    await journal.close()
    await forget(directory)

    const again = await openLmdbJournal({ directory })

    expect({ heads: headsOf(again), marks: [0, 1, 2, 3].map((slot) => again.mark(slot)), rows: await rowsOf(again) }).toEqual(expected)
    expect(await collect(again.verify())).toEqual([])
    expect(await again.append(batchOf([writer.sample('press/only-0', 2)], 9))).toMatchObject({ rowCount: 1, rejected: [] })
    await again.close()
  })
})
