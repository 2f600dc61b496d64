import { describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { rowsOf } from '#journal/block-rows.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { type Journal, type Row, readRows } from '#journal/index.js'
import { checkSegmentFile, readBack } from '#journal/segments/check-segment.js'
import { orderedBlocks } from '#journal/segments/ordered-blocks.js'
import { sealSegment } from '#journal/segments/seal-segment.js'
import { type SegmentFile, segmentFromBytes } from '#journal/segments/segment-file.js'
import { collect } from '../../contracts/journal-adapter.js'
import { ALARM_RAISED, batchOf, field, SAMPLED, TestWriter } from '../writer.js'
import { collectGarbage } from '../../garbage.js'

const NOTED = {
  entity: 'oven',
  event: 'Noted',
  fields: [
    field('text', 'text', { isOptional: true }),
    field('more', 'json', { isOptional: true }),
    field('single', 'f32'),
    field('small', 'i32'),
    field('flag', 'bool'),
    field('when', 'time', { isOptional: true }),
  ],
}

/** A log of many small batches, of all kinds of rows. */
async function logOf(seed: string, batches: number): Promise<Journal & { stored: { blocks: Uint8Array[] } }> {
  const prng = new Prng(seed)
  const journal = createInMemoryJournal()
  const writer = new TestWriter(await journal.register([SAMPLED, ALARM_RAISED, NOTED]))
  const odd = [Number.NaN, -0, Number.POSITIVE_INFINITY, 5e-324, Number.MAX_VALUE]
  for (let batch = 0; batch < batches; batch++) {
    const frames = Array.from({ length: 1 + prng.below(80) }, () => {
      const kind = prng.below(10)
      const value = prng.below(4) === 0 ? (odd[prng.below(odd.length)] as number) : prng.next() * 100
      if (kind < 5) return writer.sample(`press/press-${prng.below(kind === 0 ? 3 : 40)}`, value)
      if (kind === 5)
        return writer.append({ entity: `press/press-${prng.below(40)}`, rows: [], outcomeKind: 2, outcome: Uint8Array.of(batch & 0xff) })
      if (kind < 8) {
        const rows = Array.from({ length: 1 + prng.below(3) }, () => ({
          event: 'AlarmRaised',
          data: { code: `code ${prng.below(3)}`, value },
        }))
        return writer.append({
          entity: `press/press-${prng.below(40)}`,
          rows,
          source: `line-${prng.below(3)}`,
          sequence: batch,
          correlation: 'a',
        })
      }
      const data = {
        ...(prng.below(2) ? { text: 'é'.repeat(prng.below(9)) } : {}),
        ...(prng.below(2) ? { more: { batch, list: [null, 'x'] } } : {}),
        single: Math.fround(value),
        small: prng.below(2 ** 31) - 2 ** 30,
        flag: prng.below(2) === 1,
        ...(prng.below(2) ? { when: 1_700_000_000_000_000 + batch } : {}),
      }
      return writer.append({ entity: `oven/oven-${prng.below(5)}`, rows: [{ event: 'Noted', data }], causation: 'b' })
    })
    await journal.append(batchOf(frames))
  }
  return journal
}

function sealed(journal: Journal & { stored: { blocks: Uint8Array[] } }, cut = CUT): { file: SegmentFile; bytes: Uint8Array } {
  const { pieces } = sealSegment({ segment: 'memory', blocks: journal.stored.blocks, types: journal.eventTypes, cut })
  const bytes = new Uint8Array(Buffer.concat(pieces))
  return { file: segmentFromBytes(bytes, 'sealed'), bytes }
}

/** Small enough for entities over several groups and blocks. */
const CUT = { groupRows: 40, groupRowsMax: 60, blockRows: 200, groupStringBytes: 1 << 20 }

const sortedByPosition = (rows: readonly Row[]) => [...rows].sort((a, b) => a.position - b.position)

describe('a segment that is sealed', () => {
  test('has every row of its blocks, with its position, clustered by entity', async () => {
    const journal = await logOf('sealed', 60)
    const expected = await collect(readRows(journal, { from: 0 }))

    const { file } = sealed(journal)

    const rows = file.footer.blocks.flatMap((_, id) => rowsOf(file.block(id).check().bytes, journal))
    expect(sortedByPosition(rows)).toEqual(expected)
    const places = rows.map(
      (row) => [journal.head(row.entity)?.shard, journal.head(row.entity)?.number, row.version] as [number, number, number],
    )
    expect(places).toEqual([...places].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]))
  })

  test('in memory is given back as soon as nobody has it any more, whatever was asked of it', async () => {
    const journal = await logOf('given back', 10)
    const read = (): WeakRef<SegmentFile> => {
      const { file } = sealed(journal)
      expect([...file.entities()].length).toBeGreaterThan(0)
      return new WeakRef(file)
    }

    const known = read()
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()

    expect(known.deref()).toBeUndefined()
  })

  test('has no group whose texts would fill the memory of who reads it, also where they are all the same', async () => {
    const journal = createInMemoryJournal()
    const writer = new TestWriter(await journal.register([NOTED]))
    const lengths = [0, 300, 700, 1500]
    for (let batch = 0; batch < 4; batch++) {
      const data = { text: 'x'.repeat(lengths[batch] as number), single: 0, small: 0, flag: true }
      const note = (index: number) => writer.append({ entity: `oven/oven-${index % 2}`, rows: [{ event: 'Noted', data }] })
      await journal.append(batchOf(Array.from({ length: 20 }, (_, index) => note(index))))
    }
    const expected = await collect(readRows(journal, { from: 0 }))

    const { file } = sealed(journal, { ...CUT, groupStringBytes: 1000 })

    const texts = file.footer.blocks.flatMap((_, id) => {
      const block = file.block(id)
      const own = rowsOf(block.check().bytes, journal)
      return block.header.groups.map(({ rank, rowCount }) =>
        own.slice(rank, rank + rowCount).map(({ data }) => String(data['text']).length),
      )
    })
    for (const group of texts) expect(group.length === 1 || group.reduce((sum, bytes) => sum + bytes, 0) <= 1000).toBe(true)
    expect(texts.length).toBeLessThan(60)
    const rows = file.footer.blocks.flatMap((_, id) => rowsOf(file.block(id).bytes, journal))
    expect(sortedByPosition(rows)).toEqual(expected)
  })

  test('gives its original blocks back', async () => {
    const journal = await logOf('ordered', 40)
    const { file } = sealed(journal)

    const blocks = await collect(orderedBlocks(file, journal.eventTypes, { from: 700, to: 1100 }))

    const before = journal.stored.blocks
      .map((block) => rowsOf(block, journal))
      .filter((rows) => {
        const last = rows.at(-1)?.position as number
        return last >= 700 && (rows[0]?.position as number) < 1100
      })
    expect(blocks.map((block) => rowsOf(block, journal))).toEqual(before)
  })

  test('leads to the rows of each entity', async () => {
    const journal = await logOf('entities', 40)
    const { file } = sealed(journal)
    const rows = file.footer.blocks.flatMap((_, id) => rowsOf(file.block(id).bytes, journal))

    const found = [...file.entities()].map(({ shard, number, rank, rowCount }) => {
      expect(file.find(shard, number)).toEqual({ shard, number, rank, rowCount })
      return rows.slice(rank, rank + rowCount).map((row) => row.entity === journal.entityName(shard, number))
    })

    expect(found.flat()).toEqual(rows.map(() => true))
    expect(file.find(0, 4_000_000)).toBeUndefined()
  })

  test('reads back as what it was sealed from, and says where it is damaged', async () => {
    const journal = await logOf('damage', 30)
    const { file, bytes } = sealed(journal)
    const { rowsHash } = readBack({ segment: 'sealed', bytes, types: journal.eventTypes })
    const prng = new Prng('flips')

    for (let flip = 0; flip < 60; flip++) {
      const damaged = bytes.slice()
      const at = prng.below(bytes.length)
      damaged[at] = (damaged[at] as number) ^ (1 << prng.below(8))
      const faults = await checkSegmentFile(() => segmentFromBytes(damaged, 'sealed'), journal.eventTypes, undefined)

      const inBlock = file.footer.blocks.find((block) => at >= block.offset && at < block.offset + block.bytes)
      expect(faults.map((fault) => fault.block)).toEqual([inBlock?.firstPosition])
      expect(() => readBack({ segment: 'sealed', bytes: damaged, types: journal.eventTypes })).toThrowError(/damaged|later version/)
    }

    expect(rowsHash).toEqual(file.footer.rowsHash)
  })
})
