import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { open } from 'lmdb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BackupFile } from '#backup/backup-list.js'
import { checkFiles } from '#backup/backup-list.js'
import { copyLog } from '#backup/copy-log.js'
import { readPairs } from '#backup/pairs-file.js'
import { Prng } from '#base/prng.js'
import type { FrozenLog, FrozenSegment } from '#journal/frozen-log.js'
import type { Journal } from '#journal/index.js'
import { openLmdbJournal, restoreLog } from '#journal/lmdb/index.js'
import { collect } from '../contracts/journal-adapter.js'
import { batchOf, SAMPLED, TestWriter } from '../journal/writer.js'
import { soakSeed, soakTimes } from '../soak.js'

const seed = soakSeed(11)
const copies = soakTimes({ smoke: 2, full: 200 })

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-copy-'))
})

afterEach(() => rmSync(folder, { recursive: true }))

interface Copied {
  readonly endPosition: number
  readonly files: readonly BackupFile[]
  readonly newCount: number
}

async function copy(journal: Journal, directory: string, known: readonly BackupFile[], between: () => Promise<void>): Promise<Copied> {
  const frozen = journal.freeze?.()
  if (frozen === undefined) throw new Error('this log can be frozen')
  const files: BackupFile[] = []
  let newCount = 0
  try {
    for await (const step of copyLog(frozen, { directory, known })) {
      expect(step.kind).not.toBe('damage')
      if (step.kind === 'file') {
        files.push(step.file)
        if (step.isNew && step.file.kind === 'segment') newCount++
      }
      await between()
    }
    return { endPosition: frozen.endPosition, files, newCount }
  } finally {
    frozen.release()
  }
}

async function restored(directory: string, files: readonly BackupFile[], to: string, isReadOnly = false): Promise<Journal> {
  const of = (kind: BackupFile['kind']) => files.filter((file) => file.kind === kind)
  const path = (file: BackupFile) => join(directory, file.path)
  await restoreLog(
    to,
    {
      format: readFileSync(path(of('format')[0] as BackupFile), 'utf8'),
      catalog: readPairs(path(of('catalog')[0] as BackupFile)),
      unsealed: of('active').map((file) => ({ name: file.name, blocks: readPairs(path(file)) })),
      sealed: of('segment').map((file) => ({ name: file.name, path: path(file), bytes: file.bytes })),
    },
    () => undefined,
  )
  return openLmdbJournal({ directory: to, isReadOnly })
}

describe(`a log that is copied while it is appended to, sealed and dropped from, seed ${seed}`, () => {
  test(
    'comes out as it was at one moment, and goes on',
    async () => {
      const prng = new Prng(seed)
      const journal = await openLmdbJournal({ directory: join(folder, 'log'), shardCount: 8, segmentRowsMax: 60 })
      const writer = new TestWriter(await journal.register([SAMPLED]), { shardCount: 8 })
      let isOver = false
      const append = async () => {
        while (!isOver) {
          const rows = Array.from({ length: 1 + prng.below(12) }, (_, index) => writer.sample(`press/p${index % 5}`, prng.below(100)))
          await journal.append(batchOf(rows))
          if (journal.sealedSegments().length > 4) await dropOldest(journal)
          await turn()
        }
      }
      const appending = append()
      const directory = join(folder, 'backup')
      mkdirSync(directory)
      let known: readonly BackupFile[] = []
      for (let times = 0; times < copies; times++) {
        for (const until = journal.endPosition + 40 + prng.below(120); journal.endPosition < until || journal.firstPosition === 0; )
          await turn()
        const copied = await copy(journal, directory, known, async () => {
          for (let turns = prng.below(20); turns > 0; turns--) await turn()
        })
        known = copied.files
        await checkFiles(directory, copied.files, () => undefined)
        const again = await restored(directory, copied.files, join(folder, `restored-${times}`))

        expect(again.endPosition).toBe(copied.endPosition)
        expect(await collect(again.verify())).toEqual([])
        const rows = await collect(again.read({ from: 0 }))
        const first = await collect(journal.read({ from: 0, to: copied.endPosition }))
        const from = Math.max(rows[0]?.position ?? 0, first[0]?.position ?? 0)
        expect(rows.filter(({ position }) => position >= from)).toEqual(first.filter(({ position }) => position >= from))
        expect(rows.map(({ position }) => position)).toEqual(rows.map((_, index) => (rows[0]?.position ?? 0) + index))
        const next = new TestWriter(again.eventTypes, { term: 9, shardCount: 8 })
        expect(await again.append(batchOf([next.sample('press/new', 1)]))).toMatchObject({ rowCount: 1, basePosition: copied.endPosition })
        await again.close()
        rmSync(join(folder, `restored-${times}`), { recursive: true })
      }
      isOver = true
      await appending
      expect(journal.firstPosition).toBeGreaterThan(0)
      await journal.close()
    },
    30_000 + copies * 5000,
  )
})

describe('a log without a row that is not sealed', () => {
  test.each([0, 40])('comes out with the %d rows that it has, before anybody has written to it', async (count) => {
    const journal = await openLmdbJournal({ directory: join(folder, 'log') })
    const writer = new TestWriter(await journal.register([SAMPLED]))
    if (count > 0) await journal.append(batchOf(Array.from({ length: count }, (_, index) => writer.sample(`press/p${index % 5}`, index))))
    await journal.seal()

    const { files } = await copy(journal, folder, [], () => Promise.resolve())
    const again = await restored(folder, files, join(folder, 'restored'), true)

    expect(again.endPosition).toBe(count)
    expect(await collect(again.verify())).toEqual([])
    expect(await collect(again.read({ from: 0 }))).toEqual(await collect(journal.read({ from: 0 })))
    await again.close()
    await journal.close()
  })
})

describe('a log that lost a block in silence', () => {
  test.each([
    ['in the middle', 40],
    ['at the end', 80],
  ])('is told to have lost it %s', async (_, position) => {
    const journal = await openLmdbJournal({ directory: join(folder, 'log') })
    const writer = new TestWriter(await journal.register([SAMPLED]))
    for (let block = 0; block < 5; block++) {
      await journal.append(batchOf(Array.from({ length: 20 }, (__, index) => writer.sample(`press/p${index % 5}`, block))))
    }
    const frozen = journal.freeze?.() as FrozenLog
    const [segment] = frozen.unsealed as readonly [FrozenSegment]
    const blocks = await collect(segment.blocks())
    const key = blocks.find((block) => Buffer.from(block.key).readBigUInt64BE() === BigInt(position))?.key as Uint8Array
    const database = open({ path: join(folder, 'log/log', segment.name), encoding: 'binary', keyEncoding: 'binary', noSubdir: false })
    await database.remove(key)
    const damage: string[] = []
    for await (const step of copyLog(frozen, { directory: folder, known: [] })) if (step.kind === 'damage') damage.push(step.what)

    expect(damage).toEqual([`segment 000000000000.active: blocks from ${position} to ${position + 20} are missing`])
    frozen.release()
    await database.close()
    await journal.close()
  })
})

/** As retention does, with bases that nobody folds here. */
async function dropOldest(journal: Journal): Promise<void> {
  const [oldest] = journal.sealedSegments()
  if (oldest === undefined) return
  const last = await collect(journal.lastVersions(oldest.name))
  await journal.saveBases(
    last.map(({ entity, version }) => ({
      entity,
      version,
      term: 1,
      appendNumber: 1,
      position: oldest.endPosition,
      bytes: new Uint8Array([1]),
    })),
  )
  await journal.dropOldest(oldest.name)
}
