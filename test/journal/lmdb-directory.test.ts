import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { afterAll, describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import type { EntityId } from '#base/ids.js'
import type { Journal } from '#journal/journal.js'
import { type LmdbJournalOptions, openLmdbJournal } from '#journal/lmdb/index.js'
import { collect, rowsOf } from '../contracts/journal-adapter.js'
import { ALARM_RAISED, batchOf, SAMPLED, TestWriter } from './writer.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-lmdb-'))
let count = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

const fresh = (): string => join(root, `log-${count++}`)

async function started(options: Partial<LmdbJournalOptions> = {}) {
  const directory = options.directory ?? fresh()
  const journal = await openLmdbJournal({ ...options, directory })
  return { directory, journal, writer: new TestWriter(await journal.register([SAMPLED, ALARM_RAISED])) }
}

async function fill(journal: Journal, writer: TestWriter, blocks: number, rows = 10): Promise<void> {
  for (let block = 0; block < blocks; block++) {
    await journal.append(batchOf(Array.from({ length: rows }, (_, row) => writer.sample(`press/press-${(block + row) % 7}`, block))))
  }
}

describe('the directory of a new log', () => {
  test('is for its owner alone, and says what can never change', async () => {
    const { directory, journal } = await started({ shardCount: 16, clock: new FakeClock() })
    await journal.close()

    const modes = readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return [path.slice(directory.length + 1), (statSync(path).mode & 0o777).toString(8)]
    })
    const format = JSON.parse(readFileSync(join(directory, 'format.json'), 'utf8'))

    expect(Object.fromEntries(modes)).toEqual({
      catalog: '700',
      'catalog/data.mdb': '600',
      'catalog/lock.mdb': '600',
      'format.json': '600',
      log: '700',
      'log/000000000000.active': '700',
      'log/000000000000.active/data.mdb': '600',
      'log/000000000000.active/lock.mdb': '600',
    })
    expect((statSync(directory).mode & 0o777).toString(8)).toBe('700')
    expect(format).toEqual({
      format: 1,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      shardCount: 16,
      shardHash: 'fnv1a-fmix32',
      created: '2026-01-01T00:00:00.000Z',
      check: expect.stringMatching(/^[0-9a-f]{8}$/),
    })
  })

  test('keeps its shard count whatever it is opened with later', async () => {
    const { directory, journal } = await started({ shardCount: 16 })
    await journal.close()

    const again = await openLmdbJournal({ directory, shardCount: 64 })

    expect(again.shardCount).toBe(16)
    await again.close()
  })

  test.each([
    ['a later format', '{"format":2}', 'ERR_FORMAT_NEWER'],
    ['another hash', '{"format":1,"id":"x","shardCount":64,"shardHash":"crc"}', 'ERR_LOG_FORMAT'],
    ['an impossible shard count', '{"format":1,"id":"x","shardCount":0,"shardHash":"fnv1a-fmix32"}', 'ERR_LOG_FORMAT'],
    ['half a file', '{"format":1,', 'ERR_LOG_FORMAT'],
  ])('is refused with %s', async (_, text, code) => {
    const { directory, journal } = await started()
    await journal.close()
    writeFileSync(join(directory, 'format.json'), text)

    await expect(openLmdbJournal({ directory })).rejects.toMatchObject({ code, action: 'operator' })
  })

  test('is not made a second time where only the format file is gone', async () => {
    const { directory, journal } = await started()
    await journal.close()
    rmSync(join(directory, 'format.json'))

    await expect(openLmdbJournal({ directory })).rejects.toMatchObject({ code: 'ERR_LOG_FORMAT' })
  })
})

describe('a log opened for reading only', () => {
  test('is refused with a hint where there is none, and nothing is created', async () => {
    const directory = fresh()

    await expect(openLmdbJournal({ directory, isReadOnly: true })).rejects.toMatchObject({
      code: 'ERR_NO_JOURNAL',
      message: expect.stringContaining('millrace up'),
    })
    mkdirSync(directory)
    await expect(openLmdbJournal({ directory, isReadOnly: true })).rejects.toMatchObject({ code: 'ERR_NO_JOURNAL' })

    expect(readdirSync(directory)).toEqual([])
  })

  test('serves rows, heads, marks and snapshots, and leaves its files as they were', async () => {
    const { directory, journal, writer } = await started()
    await fill(journal, writer, 3)
    await journal.saveSnapshots([{ entity: 'press/press-1', version: 2, term: 1, appendNumber: 9, position: 20, bytes: Uint8Array.of(7) }])
    const rows = await rowsOf(journal)
    await journal.close()
    const before = sizes(directory)

    const reader = await openLmdbJournal({ directory, isReadOnly: true })

    expect(await rowsOf(reader)).toEqual(rows)
    expect(reader.endPosition).toBe(30)
    expect(reader.head('press/press-1')?.version).toBe(rows.filter((row) => row.entity === 'press/press-1').length)
    expect(reader.mark(0)).toEqual({ term: 1, number: 30 })
    expect(reader.snapshot('press/press-1')?.bytes).toEqual(Uint8Array.of(7))
    await reader.close()
    expect(sizes(directory)).toEqual(before)
  })
})

describe('a log that is open', () => {
  test('is not opened twice in one process', async () => {
    const { directory, journal } = await started()

    await expect(openLmdbJournal({ directory })).rejects.toMatchObject({ code: 'ERR_JOURNAL_OPEN' })
    await journal.close()
    const again = await openLmdbJournal({ directory })

    await again.close()
  })

  test('refuses a batch for which the disk has no room, and takes it when there is', async () => {
    let free = 10_000_000
    const { journal, writer } = await started({ freeBytes: () => free, reserveBytes: 1_000_000 })
    await fill(journal, writer, 1)
    const batch = batchOf([writer.sample('press/press-1', 1)])
    free = 1_000_000

    await expect(journal.append(batch)).rejects.toMatchObject({ code: 'ERR_JOURNAL_FULL', action: 'retry' })
    free = 10_000_000
    const answer = await journal.append(batch)

    expect(answer).toMatchObject({ rowCount: 1, rejected: [], basePosition: 10 })
    await journal.close()
  })

  test('refuses a batch beyond the limit of its segment', async () => {
    const { journal, writer } = await started({ mapBytes: 2 ** 18 })

    const filled = fill(journal, writer, 100, 200)

    await expect(filled).rejects.toMatchObject({ code: 'ERR_JOURNAL_FULL', action: 'operator' })
    await journal.close()
  })
})

describe('the heads of a log that was not closed', () => {
  const crashed = async (headsEveryRows: number) => {
    const { directory, journal, writer } = await started({ headsEveryRows })
    await fill(journal, writer, 40)
    const copy = fresh()
    const { cpSync } = await import('node:fs')
    cpSync(directory, copy, { recursive: true })
    const heads = headsOf(journal)
    await journal.close()
    return { copy, heads, writer }
  }

  test.each([50, 1_000_000])('are right when they are saved every %i rows', async (headsEveryRows) => {
    const { copy, heads, writer } = await crashed(headsEveryRows)

    const again = await openLmdbJournal({ directory: copy, headsEveryRows })

    expect(headsOf(again)).toEqual(heads)
    expect(await again.append(batchOf([writer.sample('press/press-3', 0)]))).toMatchObject({ rowCount: 1, rejected: [] })
    await again.close()
  })

  test('are right when what was saved of them is damaged', async () => {
    const { copy, heads } = await crashed(50)
    await damageCatalog(copy, 4)

    const again = await openLmdbJournal({ directory: copy })

    expect(headsOf(again)).toEqual(heads)
    await again.close()
  })
})

describe('a log that lost blocks', () => {
  test('is refused when it ends before what was durable', async () => {
    const { directory, journal, writer } = await started()
    await fill(journal, writer, 4)
    await journal.close()
    await withSegment(directory, async (database) => {
      await database.remove(key(30))
    })

    await expect(openLmdbJournal({ directory })).rejects.toMatchObject({ code: 'ERR_LOG_INCOMPLETE', action: 'operator' })
  })

  test('is refused when the tail does not continue what is before it', async () => {
    const { directory, journal, writer } = await started()
    await fill(journal, writer, 4)
    await journal.close()
    await damageCatalog(directory, 4)
    await withSegment(directory, async (database) => {
      await database.remove(key(10))
    })

    await expect(openLmdbJournal({ directory })).rejects.toMatchObject({
      code: 'ERR_BLOCK_DAMAGED',
      values: { segment: '000000000000.active', block: 10 },
    })
  })
})

describe('a damaged catalog', () => {
  test('passes over a damaged snapshot for an older one, and verify says so', async () => {
    const { directory, journal, writer } = await started()
    await fill(journal, writer, 6)
    const entity: EntityId = 'press/press-1'
    const at = (version: number) => ({ entity, version, term: 1, appendNumber: 1, position: 10, bytes: new Uint8Array(40).fill(version) })
    await journal.saveSnapshots([at(2)])
    await journal.saveSnapshots([at(3)])
    await journal.close()
    await damageCatalog(directory, 2, (stored) => stored.at(-1) === 3)

    const again = await openLmdbJournal({ directory })

    expect(again.snapshot(entity)).toEqual(at(2))
    expect(await collect(again.verify())).toEqual([expect.objectContaining({ severity: 'note', segment: 'catalog' })])
    await again.close()
  })

  test('with a damaged event type is refused for writing and named by verify', async () => {
    const { directory, journal, writer } = await started()
    await fill(journal, writer, 2)
    await journal.close()
    await damageCatalog(directory, 1)

    await expect(openLmdbJournal({ directory })).rejects.toMatchObject({ code: 'ERR_CATALOG_DAMAGED' })
    const reader = await openLmdbJournal({ directory, isReadOnly: true })

    expect(() => reader.eventTypes).toThrowError(expect.objectContaining({ code: 'ERR_CATALOG_DAMAGED' }))
    expect(await collect(reader.verify())).toContainEqual(expect.objectContaining({ severity: 'damaged', segment: 'catalog' }))
    await reader.close()
  })
})

function headsOf(journal: Journal): unknown[] {
  return Array.from({ length: journal.shardCount }, (_, shard) => [...journal.heads(shard)]).flat()
}

function sizes(directory: string): unknown {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => [name, statSync(join(directory, name)).size, existsSync(join(directory, name))])
}

function key(position: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(position))
  return bytes
}

const RAW = { encoding: 'binary', keyEncoding: 'binary', noSubdir: false, overlappingSync: false, cache: false } as const

async function withSegment(
  directory: string,
  change: (database: ReturnType<typeof open<Buffer, Uint8Array>>) => Promise<void>,
): Promise<void> {
  const database = open<Buffer, Uint8Array>({ path: join(directory, 'log', '000000000000.active'), ...RAW })
  await change(database)
  await database.close()
}

/** Flips a bit in the last byte of every value of a kind that is to be damaged. */
async function damageCatalog(directory: string, kind: number, isHit: (stored: Uint8Array) => boolean = () => true): Promise<void> {
  const database = open<Buffer, Uint8Array>({ path: join(directory, 'catalog'), ...RAW })
  for (const found of [...database.getKeys({ start: Uint8Array.of(kind), end: Uint8Array.of(kind + 1) })]) {
    const stored = Uint8Array.from(database.getBinary(found) as Buffer)
    if (!isHit(stored)) continue
    stored[stored.length - 1] = (stored[stored.length - 1] as number) ^ 4
    await database.put(Uint8Array.from(found), Buffer.from(stored))
  }
  await database.close()
}
