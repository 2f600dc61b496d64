import { existsSync, writeFileSync } from 'node:fs'
import type { EntityId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import { rowsOf } from '#journal/block-rows.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { sealSegment } from '#journal/segments/seal-segment.js'
import { batchOf, field, TestWriter } from '../writer.js'
import { packLines, rowText } from './row-text.js'

/**
 * Writes a golden file of the format as it is now. Files that are there are never written again: what was once stored must be readable for ever. Rows are of all
 * kinds, some 600 in blocks of up to 40.
 */
export async function writeGolden(name: string): Promise<void> {
  const file = new URL(`${name}.json`, import.meta.url)
  if (existsSync(file)) throw new Error('a golden file is never written again')
  const prng = new Prng('golden')
  const journal = createInMemoryJournal({ shardCount: 8 })
  const fields = [
    ...[
      field('decimal', 'f64'),
      field('noise', 'f64'),
      field('counter', 'i64'),
      field('single', 'f32'),
      field('small', 'i32'),
      field('flag', 'bool'),
    ],
    ...[
      field('state', 'label'),
      field('text', 'text', { isOptional: true }),
      field('more', 'json', { isOptional: true }),
      field('when', 'time'),
    ],
  ]
  const types = await journal.register([
    { entity: 'probe', event: 'Measured', fields },
    { entity: 'probe', event: 'Warned', fields: [field('level', 'i32')] },
  ])
  const writer = new TestWriter(types, { shardCount: 8 })
  const odd = [Number.NaN, -0, Infinity, -Infinity, 5e-324, Number.MAX_VALUE]
  for (let row = 0; row < 600; ) {
    const frames = Array.from({ length: 1 + prng.below(40) }, () => {
      row++
      const entity: EntityId = `probe/p-${prng.below(3)}`
      const more = { accepted: 1_767_000_000_000_000 + row * 1000, at: 1_767_000_000_000_000 + row * 1000 - prng.below(5000) }
      if (row % 37 === 0) return writer.append({ entity, rows: [], outcomeKind: 2, outcome: Uint8Array.of(146, 161, 65, 1), ...more })
      const data = {
        decimal: Math.round(20_000 + prng.next() * 500) / 100,
        noise: row % 50 === 0 ? odd[(row / 50) % odd.length] : prng.next(),
        counter: 1e12 + row * 7,
        single: Math.fround(prng.below(400) / 10),
        small: prng.below(100) - 50,
        flag: row % 3 === 0,
        state: ['RUNNING', 'IDLE', 'Überlauf'][Math.floor(row / 20) % 3],
        ...(row % 4 === 0 ? { text: `note ${row % 12}` } : {}),
        ...(row % 90 === 0 ? { more: { row, list: [1, 'two', null] } } : {}),
        when: 1_767_000_000_000_000 + row,
      }
      const rows = [{ event: 'Measured', data }, ...(row % 25 === 0 ? [{ event: 'Warned', data: { level: row } }] : [])]
      const source = row % 2 === 0 ? { source: `line-${row % 3}`, sequence: row } : {}
      return writer.append({ entity, rows, ...source, ...(row % 5 === 0 ? { correlation: `order ${row % 7}` } : {}), ...more })
    })
    await journal.append(batchOf(frames))
  }
  const { blocks } = journal.stored
  const { pieces } = sealSegment({
    segment: 'golden',
    blocks,
    types: journal.eventTypes,
    cut: { groupRows: 300, groupRowsMax: 400, blockRows: 400, groupStringBytes: 1 << 25 },
  })
  const names: unknown[] = []
  for (let shard = 0; shard < journal.shardCount; shard++)
    for (const { number, entity } of journal.heads(shard)) names.push([shard, number, entity])
  const golden = {
    types: journal.eventTypes,
    names,
    blocks: blocks.slice(0, 3).map((block) => Buffer.from(block).toString('base64')),
    segment: Buffer.concat(pieces).toString('base64'),
    rows: packLines(blocks.flatMap((block) => rowsOf(block, journal)).map(rowText)),
  }
  writeFileSync(file, `${JSON.stringify(golden, null, 1)}\n`)
}
