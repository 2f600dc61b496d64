import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { compileEntity, defineEntity } from '#entity/index.js'
import { FENCED_EVENT } from '#journal/fenced-block.js'
import type { Journal, Row } from '#journal/journal.js'
import { openLmdbJournal, type RepairPlan, repairLog, verifyFiles } from '#journal/lmdb/index.js'
import { openSegmentFile, type SegmentFile } from '#journal/segments/segment-file.js'
import { entityRowsOf, readEntityState } from '#reading/entity-state.js'
import { f64 } from '#schema/index.js'
import { collect, rowsOf } from '../contracts/journal-adapter.js'
import { batchOf, SAMPLED, TestWriter } from './writer.js'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64(), force: f64() } },
  commands: {},
  initial: () => ({ count: 0 }),
  decide: {},
  apply: {
    Sampled(state) {
      state.count++
    },
  },
})

const root = mkdtempSync(join(tmpdir(), 'millrace-sealed-repair-'))
const original = join(root, 'original')
const SEGMENT = '000000000000.segment'
const REPAIRED = '000000000000.1.segment'
const ENTITIES = 24
const ROUNDS = 430
let count = 0
let rows: Row[]
let names: Map<string, string>
let bytes: Buffer
let segment: SegmentFile
/** Where the second block begins, in bytes and in rows of the segment's own order. */
let secondBlock: { offset: number; rank: number }
let footerOffset: number

beforeAll(async () => {
  const journal = await openLmdbJournal({ directory: original })
  const writer = new TestWriter(await journal.register([SAMPLED]))
  const addRounds = async (rounds: number) => {
    for (let round = 0; round < rounds; round += 10)
      await journal.append(
        batchOf(Array.from({ length: 10 * ENTITIES }, (_, index) => writer.sample(`press/press-${index % ENTITIES}`, round + index / 7))),
      )
  }
  await addRounds(ROUNDS)
  await journal.seal()
  await addRounds(10)
  await journal.seal()
  await addRounds(10)
  rows = await rowsOf(journal)
  names = new Map(headsOf(journal).map(({ shard, number, entity }) => [`${shard} ${number}`, entity]))
  await journal.close()
  const path = join(original, 'log', SEGMENT)
  bytes = readFileSync(path)
  segment = openSegmentFile(path, SEGMENT)
  secondBlock = { offset: segment.footer.blocks[1]?.offset ?? 0, rank: segment.ranks[1] as number }
  expect(segment.footer.blocks.map(({ rowCount }) => rowCount)).toEqual([8600, 1720])
  footerOffset = Number(bytes.readBigUInt64LE(bytes.length - 32))
})

afterAll(() => {
  segment.close()
  rmSync(root, { recursive: true, force: true })
})

function headsOf(journal: Journal) {
  return Array.from({ length: journal.shardCount }, (_, shard) => [...journal.heads(shard)]).flat()
}

/** A copy of the log in which the first sealed file is another one. */
function withFile(change: (file: Buffer) => Buffer): string {
  const directory = join(root, `copy-${count++}`)
  cpSync(original, directory, { recursive: true })
  writeFileSync(join(directory, 'log', SEGMENT), change(Buffer.from(bytes)))
  return directory
}

function flip(file: Buffer, offset: number): Buffer {
  file[offset] = (file[offset] as number) ^ 0x10
  return file
}

/** Entity and version of the rows from a rank on, by the index of the whole file. */
function rowsFrom(from: number, to = Infinity): string[] {
  return [...segment.entities()].flatMap(({ shard, number, rank, rowCount }) =>
    Array.from({ length: rowCount }, (_, index) => index)
      .filter((index) => rank + index >= from && rank + index < to)
      .map((index) => `${names.get(`${shard} ${number}`)} ${index + 1}`),
  )
}

function goneOf({ gone }: RepairPlan): string[] {
  return gone.flatMap(({ entities }) =>
    entities.flatMap(({ entity, from, to }) => Array.from({ length: to - from + 1 }, (_, index) => `${entity} ${from + index}`)),
  )
}

/** By entity its versions in order of position. */
function versionsOf(all: readonly Row[]): Map<string, number[]> {
  const versions = new Map<string, number[]>()
  for (const { entity, version } of all) {
    const own = versions.get(entity)
    if (own === undefined) versions.set(entity, [version])
    else own.push(version)
  }
  return versions
}

const isDamaged = ({ severity }: { severity: string }) => severity === 'damaged'
const textOf = (all: readonly Row[]) => all.map((row) => JSON.stringify(row))

describe('repair of a log with a damaged sealed file', () => {
  const thirdGroup = () => segment.block(0).header.groups[2] ?? { offset: 0, rank: 0 }
  const partAt = (tag: number) => segment.footer.parts.get(tag)?.offset ?? 0
  const firstBlock = () => segment.footer.blocks[0]?.offset ?? 0

  test.each<[string, (file: Buffer) => Buffer, () => string[]]>([
    [
      'the third group of a block',
      (file) => flip(file, firstBlock() + thirdGroup().offset + 50),
      () => rowsFrom(thirdGroup().rank, segment.block(0).header.groups[3]?.rank),
    ],
    ['the header of a block', (file) => flip(file, secondBlock.offset + 60), () => rowsFrom(secondBlock.rank)],
    ['the footer', (file) => flip(file, footerOffset + 5), () => []],
    ['its header, its index of entities and its names', (file) => [20, partAt(1), partAt(2)].reduce(flip, file), () => []],
    ['footer and a block', (file) => flip(flip(file, footerOffset + 5), firstBlock() + 60), () => rowsFrom(0, secondBlock.rank)],
    ['its tail, which is cut off', (file) => file.subarray(0, firstBlock() + thirdGroup().offset + 200), () => rowsFrom(thirdGroup().rank)],
  ])('in %s says exactly what is gone, and keeps the rest', async (_, change, expectedGone) => {
    const directory = withFile(change)
    const gone = new Set(expectedGone())
    const isGone = (row: Row) => gone.has(`${row.entity} ${row.version}`)

    const planned = await repairLog(directory, { isDryRun: true })
    const untouched = readdirSync(join(directory, 'log'))
    const done = await repairLog(directory, { isDryRun: false })
    const findings = await collect(verifyFiles(directory))
    const again = await repairLog(directory, { isDryRun: false })
    const journal = await openLmdbJournal({ directory })
    const read = await rowsOf(journal)
    const own = await journal.lastRows('press/press-3', 1000)
    await journal.close()

    expect(planned).toEqual(done)
    expect(untouched).toEqual(readdirSync(join(original, 'log')))
    expect(done).toMatchObject({ rewritten: [SEGMENT], givenUp: [], beyond: [] })
    expect(goneOf(done).sort()).toEqual([...gone].sort())
    expect(positionsOf(done)).toEqual(rows.filter(isGone).map(({ position }) => position))
    expect(findings.filter(isDamaged)).toEqual([])
    expect(findings.map(({ segment: name }) => name)).toEqual(gone.size > 0 ? [REPAIRED] : [])
    expect(again).toEqual({ rewritten: [], gone: [], givenUp: [], beyond: [] })
    expect(readdirSync(join(directory, 'log'))).not.toContain(SEGMENT)
    expect(existsSync(join(directory, 'damaged', `${SEGMENT}-1`))).toBe(true)
    expect(textOf(read.filter(({ event }) => event !== FENCED_EVENT))).toEqual(textOf(rows.filter((row) => !isGone(row))))
    expect(read.map(({ position }) => position)).toEqual(rows.map(({ position }) => position))
    expect(own).toEqual(read.filter(({ entity }) => entity === 'press/press-3'))
    expect(versionsOf(read)).toEqual(versionsOf(rows))
  })
})

function positionsOf({ gone }: RepairPlan): number[] {
  return gone.flatMap(({ positions }) =>
    (positions ?? []).flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index)),
  )
}

describe('repair of a sealed file', () => {
  test('leaves an entity without a state where it lost rows, and all others as they were', async () => {
    const [hit] = rowsFrom(secondBlock.rank)
    const directory = withFile((file) => flip(file, secondBlock.offset + 60))
    const other = rowsFrom(0, 1)[0]?.split(' ')[0] as EntityId
    const lost = hit?.split(' ')[0] as EntityId

    await repairLog(directory, { isDryRun: false })
    const journal = await openLmdbJournal({ directory })
    const stateOf = (entity: EntityId) => readEntityState(entityRowsOf(journal), compileEntity(Press), entity)

    await expect(stateOf(lost)).rejects.toMatchObject({ code: 'ERR_ROWS_FENCED', values: { entity: lost, version: 1 } })
    expect(await stateOf(other)).toMatchObject({ version: 450, state: { count: 450 } })
    await journal.close()
  })

  test('of which nothing can be read is refused, and changes nothing', async () => {
    const directory = withFile((file) => file.subarray(0, 150))

    const done = await repairLog(directory, { isDryRun: false })

    expect(done).toMatchObject({ rewritten: [], gone: [], beyond: [{ severity: 'damaged', segment: SEGMENT }] })
    expect(readdirSync(join(directory, 'log'))).toContain(SEGMENT)
  })

  test('is finished after one that died before the manifest or before the old file was gone', async () => {
    const directory = withFile((file) => flip(file, secondBlock.offset + 60))
    const old = readFileSync(join(directory, 'log', SEGMENT))
    writeFileSync(join(directory, 'log', REPAIRED), 'half of it')
    writeFileSync(join(directory, 'log', `${REPAIRED}.new`), 'half of it')

    await repairLog(directory, { isDryRun: false })
    writeFileSync(join(directory, 'log', SEGMENT), old)
    const findings = await collect(verifyFiles(directory))
    const journal = await openLmdbJournal({ directory })
    await journal.close()

    expect(findings.filter(isDamaged)).toEqual([])
    expect(readdirSync(join(directory, 'log'))).toEqual(
      readdirSync(join(original, 'log')).map((name) => (name === SEGMENT ? REPAIRED : name)),
    )
  })

  test('damaged once more is found out, and repaired once more', async () => {
    const directory = withFile((file) => flip(file, secondBlock.offset + 60))
    await repairLog(directory, { isDryRun: false })
    const path = join(directory, 'log', REPAIRED)
    const file = openSegmentFile(path, REPAIRED)
    const offset = file.footer.blocks[0]?.offset ?? 0
    file.close()
    writeFileSync(path, flip(readFileSync(path), offset + 60))

    const found = await collect(verifyFiles(directory))
    const done = await repairLog(directory, { isDryRun: false })
    const after = await collect(verifyFiles(directory))

    expect(found.filter(isDamaged)).not.toEqual([])
    expect(done).toMatchObject({ rewritten: [REPAIRED], beyond: [] })
    expect(after.filter(isDamaged)).toEqual([])
  })
})
