import { cpSync, mkdtempSync, openSync, closeSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readHeader } from '#journal/block-format.js'
import type { Finding } from '#journal/journal.js'
import { FileScan, type FoundBlock } from '#journal/lmdb/file-scan.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { collect, rowsOf } from '../contracts/journal-adapter.js'
import { batchOf, SAMPLED, TestWriter } from './writer.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-verify-'))
const SEGMENT = '000000000000.active'
const original = join(root, 'original')
let count = 0
/** Entities per block: the small ones lie in leaf pages, the large one on overflow pages. */
const entitiesOf = new Map<number, string[]>()
let blocks: Map<number, FoundBlock[]>

beforeAll(async () => {
  const journal = await openLmdbJournal({ directory: original })
  const writer = new TestWriter(await journal.register([SAMPLED]))
  const add = async (entities: readonly string[]) => {
    entitiesOf.set(journal.endPosition, [...new Set(entities)].sort())
    await journal.append(batchOf(entities.map((entity, index) => writer.sample(entity as 'press/x', index))))
  }
  await add(['press/a', 'press/b', 'press/a'])
  await add(Array.from({ length: 3000 }, (_, index) => `press/press-${index % 500}`))
  await add(['press/a', 'press/press-7'])
  await add(['press/c'])
  await add(Array.from({ length: 500 }, (_, index) => `press/press-${index}`))
  await journal.close()
  const scan = new FileScan(dataFile(original))
  blocks = scan.blocks()
  scan.close()
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

const dataFile = (directory: string): string => join(directory, 'log', SEGMENT, 'data.mdb')

function copy(): string {
  const directory = join(root, `copy-${count++}`)
  cpSync(original, directory, { recursive: true })
  return directory
}

/** A copy of the log with one byte changed in every copy of a block that its file has. */
function flipped(base: number, at: (header: ReturnType<typeof readHeader>, bytes: Uint8Array) => number): string {
  const directory = copy()
  const file = openSync(dataFile(directory), 'r+')
  for (const block of blocks.get(base) as FoundBlock[]) {
    const bytes = Buffer.alloc(block.bytes)
    readSync(file, bytes, 0, block.bytes, block.offset)
    const offset = at(readHeader(bytes), bytes)
    writeSync(file, Uint8Array.of((bytes[offset] as number) ^ 0x10), 0, 1, block.offset + offset)
  }
  closeSync(file)
  return directory
}

async function findingsOf(directory: string): Promise<Finding[]> {
  const journal = await openLmdbJournal({ directory, isReadOnly: true })
  const findings = await collect(journal.verify())
  await journal.close()
  return findings.filter((finding) => finding.severity === 'damaged')
}

const LARGE = 3
const SMALL = 3003
const LAST = 3006

describe('verify of a whole log', () => {
  test('finds nothing, and says how far it is', async () => {
    const journal = await openLmdbJournal({ directory: copy(), isReadOnly: true })
    const steps: number[][] = []

    const findings = await collect(journal.verify((done, total) => steps.push([done, total])))

    expect(findings).toEqual([])
    expect(steps.at(-1)?.[0]).toBe(steps.at(-1)?.[1])
    await journal.close()
  })
})

describe('verify of a log with one byte changed', () => {
  test('in the values of a block names segment, block, positions and exactly the entities of the group', async () => {
    const findings = await findingsOf(
      flipped(LARGE, (header) => (header.groups[0]?.offset ?? 0) + (header.groups[0]?.identityBytes ?? 0) + 2000),
    )

    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({
      segment: SEGMENT,
      block: LARGE,
      what: expect.stringMatching(/rows at positions 3 to \d+ is wrong$/),
    })
    expect(findings[0]?.entities.length).toBeGreaterThan(100)
    expect(entitiesOf.get(LARGE)).toEqual(expect.arrayContaining([...(findings[0]?.entities ?? [])]))
  })

  test('in the columns that say whose rows they are finds the entities by the versions that are missing', async () => {
    const directory = flipped(LARGE, (header) => (header.groups[0]?.offset ?? 0) + (header.groups[0]?.identityBytes ?? 0) - 3)
    const shards = new Set(readHeader(bytesOf(LARGE)).groups[0]?.shards.map((one) => one.shard))

    const findings = await findingsOf(directory)

    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({ segment: SEGMENT, block: LARGE, what: expect.stringContaining('cannot be read') })
    const journal = await openLmdbJournal({ directory: original, isReadOnly: true })
    const hit = (entitiesOf.get(LARGE) as string[]).filter((entity) => shards.has(journal.head(entity as 'press/x')?.shard ?? -1))
    await journal.close()
    expect(findings[0]?.entities).toEqual(hit)
  })

  test.each([
    ['the header', (): number => 30],
    ['the magic', (): number => 3],
    ['the new entities', (header: ReturnType<typeof readHeader>): number => header.headerBytes - 10],
  ])('in %s of a block names the positions and all entities that have rows there', async (_, at) => {
    const findings = await findingsOf(flipped(LARGE, at))

    expect(findings).toEqual([
      {
        severity: 'damaged',
        segment: SEGMENT,
        block: LARGE,
        what: expect.stringContaining('positions 3 to 3002'),
        entities: entitiesOf.get(LARGE),
      },
    ])
  })

  test('in a small block names it too', async () => {
    const findings = await findingsOf(flipped(SMALL, (header) => header.headerBytes + 30))

    expect(findings).toEqual([
      { severity: 'damaged', segment: SEGMENT, block: SMALL, what: expect.any(String), entities: entitiesOf.get(SMALL) },
    ])
  })

  test('in the newest block names it too, header or body', async () => {
    const body = await findingsOf(flipped(LAST, (header) => header.headerBytes + 1500))
    const header = await findingsOf(flipped(LAST, () => 40))

    expect(body).toEqual([{ severity: 'damaged', segment: SEGMENT, block: LAST, what: expect.any(String), entities: entitiesOf.get(LAST) }])
    expect(header).toEqual([
      { severity: 'damaged', segment: SEGMENT, block: LAST, what: expect.any(String), entities: entitiesOf.get(LAST) },
    ])
  })

  test('anywhere in any block is found, and its rows are never served', async () => {
    for (const [base, [block]] of blocks) {
      for (let step = 0; step < 12; step++) {
        const directory = flipped(base, () => Math.floor(((block as FoundBlock).bytes * (step + 0.5)) / 12))
        const journal = await openLmdbJournal({ directory, isReadOnly: true })

        const findings = await collect(journal.verify())

        expect(findings.some((finding) => finding.severity === 'damaged' && finding.block === base)).toBe(true)
        await expect(rowsOf(journal)).rejects.toMatchObject({ code: 'ERR_BLOCK_DAMAGED', values: { segment: SEGMENT, block: base } })
        await journal.close()
        rmSync(directory, { recursive: true })
      }
    }
  })
})

describe('verify of a log whose index is wrong', () => {
  const change = async (action: (database: ReturnType<typeof open<Buffer, Uint8Array>>) => Promise<unknown>) => {
    const directory = copy()
    const database = open<Buffer, Uint8Array>({
      path: join(directory, 'log', SEGMENT),
      encoding: 'binary',
      keyEncoding: 'binary',
      noSubdir: false,
      overlappingSync: false,
    })
    await action(database)
    await database.close()
    return findingsOf(directory)
  }

  test('names a block that it has lost', async () => {
    const findings = await change((database) => database.remove(key(SMALL)))

    expect(findings).toContainEqual(expect.objectContaining({ block: SMALL, entities: entitiesOf.get(SMALL) }))
  })

  test('names a block that stands where another belongs', async () => {
    const findings = await change((database) => database.put(key(SMALL), Buffer.from(database.getBinary(key(3005)) as Buffer)))

    expect(findings.map((finding) => finding.block)).toContain(SMALL)
  })
})

function bytesOf(base: number): Uint8Array {
  const scan = new FileScan(dataFile(original))
  const bytes = scan.read((blocks.get(base) as FoundBlock[])[0] as FoundBlock)
  scan.close()
  return bytes
}

function key(position: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(position))
  return bytes
}
