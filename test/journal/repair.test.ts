import { closeSync, cpSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BlockHeader, readHeader, withPreviousHash } from '#journal/block-format.js'
import { FENCED_EVENT } from '#journal/fenced-block.js'
import type { EntityHead, Journal, Row } from '#journal/journal.js'
import { FileScan, type FoundBlock } from '#journal/lmdb/file-scan.js'
import { openLmdbJournal, repairLog, verifyFiles } from '#journal/lmdb/index.js'
import { collect, rowsOf } from '../contracts/journal-adapter.js'
import { batchOf, SAMPLED, TestWriter } from './writer.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-repair-'))
const SEGMENT = '000000000000.active'
const original = join(root, 'original')
let count = 0
let rows: Row[]
let heads: EntityHead[]
let writer: TestWriter
let blocks: Map<number, FoundBlock[]>

/** First position of each block. */
const [FIRST, LARGE, SMALL, LAST] = [0, 3, 203, 206]

beforeAll(async () => {
  const journal = await openLmdbJournal({ directory: original })
  writer = new TestWriter(await journal.register([SAMPLED]))
  const add = (entities: readonly string[]) =>
    journal.append(batchOf(entities.map((entity, index) => writer.sample(entity as 'press/x', index))))
  await add(['press/a', 'press/b', 'press/a'])
  await add(Array.from({ length: 200 }, (_, index) => `press/press-${index % 40}`))
  await add(['press/a', 'press/press-7', 'press/c'])
  await add(['press/b', 'press/press-7', 'press/press-8', 'press/d'])
  rows = await rowsOf(journal)
  heads = headsOf(journal)
  await journal.close()
  const scan = new FileScan(join(original, 'log', SEGMENT, 'data.mdb'))
  blocks = scan.blocks()
  scan.close()
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

function headsOf(journal: Journal): EntityHead[] {
  return Array.from({ length: journal.shardCount }, (_, shard) => [...journal.heads(shard)]).flat()
}

/** A copy of the log in which every copy of a block has one byte changed. */
function damaged(base: number, at: (header: BlockHeader) => number): string {
  const directory = join(root, `copy-${count++}`)
  cpSync(original, directory, { recursive: true })
  const file = openSync(join(directory, 'log', SEGMENT, 'data.mdb'), 'r+')
  for (const block of blocks.get(base) as FoundBlock[]) {
    const bytes = Buffer.alloc(block.bytes)
    readSync(file, bytes, 0, block.bytes, block.offset)
    const offset = at(readHeader(bytes))
    writeSync(file, Uint8Array.of((bytes[offset] as number) ^ 0x10), 0, 1, block.offset + offset)
  }
  closeSync(file)
  return directory
}

/** Puts something else of the same length in the place of every copy of a block. */
function changeBlocks(directory: string, base: number, change: (bytes: Buffer) => Uint8Array): void {
  const path = join(directory, 'log', SEGMENT, 'data.mdb')
  const scan = new FileScan(path)
  const found = scan.blocks().get(base) ?? []
  scan.close()
  const file = openSync(path, 'r+')
  for (const block of found) {
    const bytes = Buffer.alloc(block.bytes)
    readSync(file, bytes, 0, block.bytes, block.offset)
    writeSync(file, change(bytes), 0, block.bytes, block.offset)
  }
  closeSync(file)
}

const inValues = (header: BlockHeader) => (header.groups[0]?.offset ?? 0) + (header.groups[0]?.identityBytes ?? 0) + 20
const inIdentity = (header: BlockHeader) => (header.groups[0]?.offset ?? 0) + 3
const inHeader = () => 40

/** Each (entity, version) as it stands in `gone`. */
function goneOf(gone: Awaited<ReturnType<typeof repairLog>>['gone']): string[] {
  return gone.flatMap(({ entities }) =>
    entities.flatMap(({ entity, from, to }) => Array.from({ length: to - from + 1 }, (_, index) => `${entity} ${from + index}`)),
  )
}

describe('repair of a log with a damaged block', () => {
  const ends = new Map([
    [FIRST, LARGE],
    [LARGE, SMALL],
    [SMALL, LAST],
    [LAST, LAST + 4],
  ])

  test.each([
    ['the values of a large block', LARGE, inValues],
    ['the identity of a large block', LARGE, inIdentity],
    ['the header of a large block', LARGE, inHeader],
    ['the values of a small block', SMALL, inValues],
    ['the header of a small block', SMALL, inHeader],
    ['the values of the first block', FIRST, inValues],
    ['the header of the first block', FIRST, inHeader],
    ['the values of the newest block', LAST, inValues],
    ['the header of the newest block', LAST, inHeader],
  ])('in %s says exactly what is gone, and keeps the rest', async (_, base, at) => {
    const directory = damaged(base, at)
    const isGone = (row: Row) => row.position >= base && row.position < (ends.get(base) as number)

    const planned = await repairLog(directory, { isDryRun: true })
    const stillDamaged = (await collect(verifyFiles(directory))).filter(({ severity }) => severity === 'damaged')
    const done = await repairLog(directory, { isDryRun: false })
    const findings = await collect(verifyFiles(directory))
    const journal = await openLmdbJournal({ directory })
    const read = await rowsOf(journal)

    expect(planned).toEqual(done)
    expect(stillDamaged.length).toBeGreaterThan(0)
    expect(done).toMatchObject({ rewritten: [SEGMENT], givenUp: [], beyond: [] })
    expect(done.gone).toMatchObject([{ segment: SEGMENT, firstPosition: base, endPosition: ends.get(base) }])
    expect(goneOf(done.gone).sort()).toEqual(
      rows
        .filter(isGone)
        .map(({ entity, version }) => `${entity} ${version}`)
        .sort(),
    )
    expect(findings.filter(({ severity }) => severity === 'damaged')).toEqual([])
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'note', what: expect.stringContaining('fenced, known') }))
    expect(read.filter((row) => !isGone(row))).toEqual(rows.filter((row) => !isGone(row)))
    expect(read.filter(isGone).map(({ position, event }) => ({ position, event }))).toEqual(
      rows.filter(isGone).map(({ position }) => ({ position, event: FENCED_EVENT })),
    )
    expect(headsOf(journal).map(({ entity, version }) => ({ entity, version }))).toEqual(
      heads.map(({ entity, version }) => ({ entity, version })),
    )
    await journal.append(batchOf([new TestWriter(journal.eventTypes, { term: 2 }).sample('press/new', 1)]))
    await journal.seal()
    await journal.close()
    const after = await collect(verifyFiles(directory))
    expect(after.filter(({ severity }) => severity === 'damaged')).toEqual([])
  })
})

describe('a log that was repaired', () => {
  test('has its fenced block named as damaged when that is hit again, and is repaired again', async () => {
    const directory = damaged(SMALL, inValues)
    const first = await repairLog(directory, { isDryRun: false })
    await (await openLmdbJournal({ directory })).close()
    changeBlocks(directory, SMALL, (bytes) => {
      const at = inIdentity(readHeader(bytes))
      bytes[at] = (bytes[at] as number) ^ 0x10
      return bytes
    })

    const found = await collect(verifyFiles(directory))
    const again = await repairLog(directory, { isDryRun: false })
    const after = await collect(verifyFiles(directory))

    expect(found).toContainEqual(expect.objectContaining({ severity: 'damaged', block: SMALL }))
    expect(goneOf(again.gone).sort()).toEqual(goneOf(first.gone).sort())
    expect(after.filter(({ severity }) => severity === 'damaged')).toEqual([])
  })
})

describe('repair of a log in which whole blocks do not continue each other', () => {
  test('says that it cannot help, and changes nothing', async () => {
    const directory = join(root, `copy-${count++}`)
    cpSync(original, directory, { recursive: true })
    changeBlocks(directory, SMALL, (bytes) => withPreviousHash(bytes, new Uint8Array(32).fill(7)))

    const done = await repairLog(directory, { isDryRun: false })

    expect(done).toMatchObject({ rewritten: [], gone: [] })
    expect(done.beyond).toContainEqual(expect.objectContaining({ block: SMALL, what: expect.stringContaining('chain is broken') }))
  })
})

describe('repair of a log whose index is damaged', () => {
  test('makes it anew from its blocks, and nothing is gone', async () => {
    const directory = join(root, `copy-${count++}`)
    cpSync(original, directory, { recursive: true })
    const path = join(directory, 'log', SEGMENT, 'data.mdb')
    const file = openSync(path, 'r+')
    for (const page of [0, 1]) {
      const byte = Buffer.alloc(1)
      readSync(file, byte, 0, 1, page * 4096 + 96 + 40)
      writeSync(file, Uint8Array.of((byte[0] as number) ^ 0x40), 0, 1, page * 4096 + 96 + 40)
    }
    closeSync(file)

    await expect(openLmdbJournal({ directory })).rejects.toMatchObject({ code: 'ERR_SEGMENT_UNREADABLE', values: { file: path } })
    const done = await repairLog(directory, { isDryRun: false })
    const journal = await openLmdbJournal({ directory })

    expect(done).toEqual({ rewritten: [SEGMENT], gone: [], givenUp: [], beyond: [] })
    expect(await rowsOf(journal)).toEqual(rows)
    expect(headsOf(journal)).toEqual(heads)
    await journal.close()
  })

  test('of a whole log does nothing', async () => {
    const directory = join(root, `copy-${count++}`)
    cpSync(original, directory, { recursive: true })

    expect(await repairLog(directory, { isDryRun: false })).toEqual({ rewritten: [], gone: [], givenUp: [], beyond: [] })
  })
})
