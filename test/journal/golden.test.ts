import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { rowsOf } from '#journal/block-rows.js'
import type { EventType, Row } from '#journal/index.js'
import { checkSegmentFile, readBack } from '#journal/segments/check-segment.js'
import { orderedBlocks } from '#journal/segments/ordered-blocks.js'
import { segmentFromBytes } from '#journal/segments/segment-file.js'
import { collect } from '../contracts/journal-adapter.js'
import { readSegment } from './format-reader.js'
import { writeGolden } from './golden/write.js'
import { rowText, unpackLines } from './golden/row-text.js'

/** What some version once stored: see golden/write.ts. */
interface Golden {
  readonly types: readonly EventType[]
  readonly names: readonly (readonly [shard: number, number: number, entity: EntityId])[]
  readonly blocks: readonly string[]
  readonly segment: string
  /** Of rowText, packed. */
  readonly rows: string
}

const folder = new URL('golden/', import.meta.url)
const files = readdirSync(folder).filter((name) => name.endsWith('.json'))

/** To make one: `MILLRACE_GOLDEN=name npx vitest run --config test/vitest.config.ts test/journal/golden.test.ts`, once per version of the format. */
const fresh = process.env.MILLRACE_GOLDEN

describe('what was stored once', () => {
  test.runIf(fresh !== undefined)('is written', async () => {
    await writeGolden(fresh as string)

    expect(readdirSync(folder)).toContain(`${fresh}.json`)
  })

  test.each(files)('is read as it was meant: %s', async (name) => {
    const golden = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Golden
    const rows = unpackLines(golden.rows)
    const names = {
      eventTypes: golden.types,
      entityName: (shard: number, number: number) => golden.names.find((one) => one[0] === shard && one[1] === number)?.[2],
    }
    const read = (block: Uint8Array): Row[] => rowsOf(block, names)
    const bytes = new Uint8Array(Buffer.from(golden.segment, 'base64'))
    const open = () => segmentFromBytes(bytes, name)

    const stored = golden.blocks.flatMap((block) => read(new Uint8Array(Buffer.from(block, 'base64')))).map(rowText)
    const clustered = open().footer.blocks.flatMap((_, id) => read(open().block(id).check().bytes))
    const ordered = (await collect(orderedBlocks(open(), golden.types, { from: 0, to: Infinity }))).flatMap(read)

    expect(stored).toEqual(rows.slice(0, stored.length))
    expect(clustered.sort((a, b) => a.position - b.position).map(rowText)).toEqual(rows)
    expect(ordered.map(rowText)).toEqual(rows)
    expect(readBack({ segment: name, bytes, types: golden.types }).rowsHash).toEqual(open().footer.rowsHash)
    expect(await checkSegmentFile(open, golden.types, undefined)).toEqual([])
    const entities = new Map(golden.names.map(([shard, number, entity]) => [`${shard}:${number}`, entity as string]))
    const byTheBook = readSegment(bytes, entities, new Map(golden.types.map((type) => [type.number, type]))).rows
    expect(byTheBook.map(({ position, entity, version }) => [position, entity, version])).toEqual(
      ordered.map(({ position, entity, version }) => [position, entity, version]),
    )
    expect(byTheBook.map(({ data }) => data)).toEqual(ordered.map(({ data }) => data))
  })
})
