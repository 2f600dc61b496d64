import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import type { Journal } from '#journal/journal.js'
import { openLmdbJournal, repairLog } from '#journal/lmdb/index.js'
import { type BlockPart, damageBlockAt } from '../faults/damage-block.js'
import { batchOf, SAMPLED, TestWriter } from './writer.js'

const NAMES = ['a', 'b', 'c', 'd', 'e'] as const
/** The rows of a TestWriter are years old. */
const NEVER_SEALED = { segmentAgeMs: Infinity }
const idOf = (name: string): EntityId => `press/${name}`

/**
 * A log of one shard, so that entities a to e have the numbers 0 to 4 there. Heads are saved at position 5. Behind that, in a plant that was killed then: rows of a, c and d at 5,
 * of e at 8, of d at 9.
 */
const HIT = 5

describe('a log with a damaged block', () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-damaged-'))
  const closed = join(root, 'closed')
  const killed = join(root, 'killed')
  let copies = 0

  beforeAll(async () => {
    const journal = await openLmdbJournal({ directory: join(closed, 'journal'), shardCount: 1, ...NEVER_SEALED })
    const writer = new TestWriter(await journal.register([SAMPLED]), { shardCount: 1 })
    await journal.append(batchOf(NAMES.map((name) => writer.sample(idOf(name), 1))))
    await journal.close()
    cpSync(closed, killed, { recursive: true })
    const going = await openLmdbJournal({ directory: join(killed, 'journal'), ...NEVER_SEALED })
    for (const names of [['a', 'c', 'd'], ['e'], ['d']]) await going.append(batchOf(names.map((name) => writer.sample(idOf(name), 2))))
    cpSync(killed, join(root, 'copy'), { recursive: true })
    await going.close()
    rmSync(killed, { recursive: true })
    cpSync(join(root, 'copy'), killed, { recursive: true })
  })

  afterAll(() => rmSync(root, { recursive: true, force: true }))

  function copyOf(folder: string): string {
    const data = join(root, `${++copies}`)
    cpSync(folder, data, { recursive: true })
    return data
  }

  const open = async (data: string): Promise<Journal> => openLmdbJournal({ directory: join(data, 'journal'), ...NEVER_SEALED })

  /** Whose appends are taken that build on what the journal says is their newest row. */
  async function takers(journal: Journal): Promise<string[]> {
    const writer = new TestWriter(journal.eventTypes, { shardCount: 1, term: 9 })
    const frames = NAMES.map((name) => {
      const { version = 0, term = 0, appendNumber = 0 } = journal.head(idOf(name)) ?? {}
      return writer.sample(idOf(name), 3, { expectedVersion: version, baseTerm: term, baseNumber: appendNumber })
    })
    const { rejected } = await journal.append(batchOf(frames))
    return NAMES.filter((_, index) => !rejected.some((one) => one.index === index))
  }

  test.each<[BlockPart, number, string, readonly string[]]>([
    ['values', HIT, 'doubts those who have rows in it and none behind it', ['b', 'd', 'e']],
    ['identity', HIT, 'doubts all who may have rows in it, unless a row behind it tells', ['d', 'e']],
    ['identity', 8, 'knows who it was where it can have been only one', ['a', 'b', 'c', 'd']],
    ['values', 9, 'doubts who has rows in its newest one', ['a', 'b', 'c', 'e']],
  ])('whose %s are wrong at %d, behind the saved heads, opens and %s', async (part, position, _, known) => {
    const data = copyOf(killed)
    damageBlockAt(data, position, part)
    const journal = await open(data)

    const taken = await takers(journal)
    await journal.close()

    expect(taken).toEqual(known)
  })

  test('takes nothing on for an entity in doubt, whatever row that builds on', async () => {
    const data = copyOf(killed)
    damageBlockAt(data, HIT, 'identity')
    const journal = await open(data)
    const writer = new TestWriter(journal.eventTypes, { shardCount: 1, term: 9 })
    const bases = [
      { expectedVersion: 1, baseTerm: 1, baseNumber: 2 },
      { expectedVersion: 2, baseTerm: 0, baseNumber: 0 },
      { expectedVersion: 0, baseTerm: 0, baseNumber: 0 },
    ]

    const { rejected } = await journal.append(batchOf(bases.map((base) => writer.sample(idOf('b'), 3, base))))
    const head = journal.head(idOf('b'))
    await journal.close()

    expect(rejected.map(({ kind }) => kind)).toEqual(['conflict', 'conflict', 'conflict'])
    expect(head).toMatchObject({ version: 2, term: 0 })
  })

  test('saves no doubt: once the bytes are as they were, it goes on where it stood', async () => {
    const data = copyOf(killed)
    damageBlockAt(data, HIT, 'identity')
    const damaged = await open(data)
    const taken = await takers(damaged)
    await damaged.close()
    const reopened = await open(data)
    const takenAgain = await takers(reopened)
    await reopened.close()
    damageBlockAt(data, HIT, 'identity')

    const journal = await open(data)
    const versions = NAMES.map((name) => journal.head(idOf(name))?.version)
    await journal.close()

    expect([taken, takenAgain]).toEqual([['d', 'e'], []])
    expect(versions).toEqual([2, 1, 2, 4, 3])
  })

  test('knows where an entity stands whose snapshot covers the rows that are gone', async () => {
    const data = copyOf(killed)
    const before = await open(data)
    const { term, appendNumber } = before.head(idOf('a')) as { term: number; appendNumber: number }
    await before.saveSnapshots([{ entity: idOf('a'), version: 2, term, appendNumber, position: 6, bytes: Uint8Array.of(1) }])
    cpSync(data, join(root, 'snapshot'), { recursive: true })
    await before.close()
    const [exact, open1] = [copyOf(join(root, 'snapshot')), copyOf(join(root, 'snapshot'))]
    damageBlockAt(exact, HIT, 'values')
    damageBlockAt(open1, HIT, 'identity')

    const heads = []
    for (const one of [exact, open1]) {
      const journal = await open(one)
      heads.push([journal.head(idOf('a')), (await takers(journal)).includes('a')])
      await journal.close()
    }

    expect(heads).toMatchObject([
      [{ version: 2, term, appendNumber }, true],
      [{ version: 3, term: 0 }, false],
    ])
  })

  test('is repaired so that nobody who may be hit goes on unseen', async () => {
    const [exact, between] = [copyOf(killed), copyOf(killed)]
    damageBlockAt(exact, HIT, 'values')
    damageBlockAt(between, HIT, 'identity')

    const repaired = []
    for (const data of [exact, between]) {
      const [gone] = (await repairLog(join(data, 'journal'), { isDryRun: false })).gone
      const journal = await open(data)
      repaired.push([gone?.entities.map(({ entity, from, to }) => [entity, from, to]), gone?.undecided, await takers(journal)])
      await journal.close()
    }

    // What takes appends again is fenced by what stands there: it is folded by nobody.
    expect(repaired).toEqual([
      [['a', 'c', 'd'].map((name) => [idOf(name), 2, 2]), undefined, [...NAMES]],
      [['a', 'b', 'd'].map((name) => [idOf(name), 2, 2]), [idOf('c')], [...NAMES]],
    ])
  })

  test('is repaired so that an entity whose snapshot covers what is gone builds on the row that the snapshot is of', async () => {
    const data = copyOf(killed)
    const before = await open(data)
    const { term, appendNumber } = before.head(idOf('a')) as { term: number; appendNumber: number }
    await before.saveSnapshots([{ entity: idOf('a'), version: 2, term, appendNumber, position: 6, bytes: Uint8Array.of(1) }])
    cpSync(data, join(root, 'covered'), { recursive: true })
    await before.close()
    damageBlockAt(join(root, 'covered'), HIT, 'values')

    await repairLog(join(root, 'covered', 'journal'), { isDryRun: false })
    const journal = await open(join(root, 'covered'))
    const head = journal.head(idOf('a'))
    await journal.close()

    expect(head).toMatchObject({ version: 2, term, appendNumber })
  })

  test('whose header is wrong behind the saved heads is not opened, and names the file and what to do', async () => {
    for (const position of [HIT, 9]) {
      const data = copyOf(killed)
      damageBlockAt(data, position, 'header')

      const opened = open(data)

      await expect(opened).rejects.toMatchObject({ code: 'ERR_BLOCK_DAMAGED', values: { block: position } })
      await expect(opened).rejects.toThrow(join(data, 'journal', 'log', '000000000000.active', 'data.mdb'))
      await expect(opened).rejects.toThrow(`\`millrace log repair --data ${data}\``)
    }
  })

  test('whose newest header is wrong is opened where saved heads tell what it had', async () => {
    const data = copyOf(closed)
    damageBlockAt(data, 0, 'header')
    const journal = await open(data)

    const { endPosition } = journal
    const taken = await takers(journal)
    await journal.close()
    const again = await open(data)
    const versions = NAMES.map((name) => again.head(idOf(name))?.version)
    await again.close()

    expect([endPosition, taken]).toEqual([5, [...NAMES]])
    expect(versions).toEqual([2, 2, 2, 2, 2])
  })
})

describe('a log in which it is not known where an entity stands', () => {
  test('drops no segment, and seals none that is damaged', async () => {
    const root = mkdtempSync(join(tmpdir(), 'millrace-damaged-'))
    try {
      const [data, killed] = [join(root, 'data'), join(root, 'killed')]
      const journal = await openLmdbJournal({ directory: join(data, 'journal'), shardCount: 1, ...NEVER_SEALED })
      const writer = new TestWriter(await journal.register([SAMPLED]), { shardCount: 1 })
      await journal.append(batchOf([writer.sample(idOf('a'), 1)]))
      await journal.seal()
      // The first append behind a new segment has heads saved, the second one has not.
      for (const value of [2, 3]) await journal.append(batchOf([writer.sample(idOf('a'), value)]))
      cpSync(data, killed, { recursive: true })
      await journal.close()
      damageBlockAt(killed, 2, 'values', '000000000001.active')
      const damaged = await openLmdbJournal({ directory: join(killed, 'journal'), ...NEVER_SEALED })
      const [oldest] = damaged.sealedSegments()

      await expect(damaged.dropOldest(oldest?.name as string)).rejects.toMatchObject({ code: 'ERR_BLOCK_DAMAGED', values: { entities: 1 } })
      await expect(damaged.seal()).rejects.toMatchObject({ code: 'ERR_NOT_SEALED' })
      expect(damaged.firstPosition).toBe(0)
      await damaged.close()
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })
})

describe('a log whose newest sealed segment is damaged', () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-damaged-'))

  afterAll(() => rmSync(root, { recursive: true, force: true }))

  test.each([
    ['its footer', -20],
    ['a block', 200],
  ])('in %s opens, and meets an append that was sent again with a conflict', async (_, offset) => {
    const directory = join(root, `${offset}`, 'journal')
    const journal = await openLmdbJournal({ directory, shardCount: 1 })
    const writer = new TestWriter(await journal.register([SAMPLED]), { shardCount: 1 })
    const frames = NAMES.map((name) => writer.sample(idOf(name), 1))
    await journal.append(batchOf(frames))
    await journal.seal()
    await journal.close()
    const path = join(directory, 'log', '000000000000.segment')
    const bytes = readFileSync(path)
    const at = offset < 0 ? bytes.length + offset : offset
    bytes[at] = (bytes[at] as number) ^ 4
    writeFileSync(path, bytes)

    const again = await openLmdbJournal({ directory })
    const { rejected } = await again.append(batchOf(frames))
    const { rejected: new_ } = await again.append(batchOf(NAMES.map((name) => writer.sample(idOf(name), 2))))
    await again.close()

    expect(rejected.map(({ kind }) => kind)).toEqual(NAMES.map(() => 'conflict'))
    expect(new_).toEqual([])
  })
})
