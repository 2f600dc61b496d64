import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32 } from '#base/hash.js'
import { BlockReader } from '#journal/block-reader.js'
import { BlockReplay } from '#journal/block-replay.js'
import { type BlockGroup, readHeader } from '#journal/block-format.js'
import { FieldColumn, RowGroup, type TypeSection } from '#journal/row-group.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import type { EventType, EventTypeDeclaration, Row } from '#journal/journal.js'
import { createCodec, type FieldSchema } from '#schema/index.js'
import { rowsOf } from '../contracts/journal-adapter.js'
import { batchOf, field, SAMPLED, type TestAppend, TestWriter } from './writer.js'

const KINDS = ['f64', 'f32', 'i32', 'i64', 'bool', 'label', 'text', 'time', 'json'] as const

const f64s = fc.oneof(fc.double(), fc.constantFrom(NaN, 0, -0, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 1.5), fc.integer())
const wholes = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom(0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1_700_000_000_000_000),
  fc.nat(300),
)
const texts = fc.oneof(fc.constantFrom('', 'RUNNING', 'IDLE', 'ÜBER', '🛠'), fc.string({ unit: 'grapheme', maxLength: 40 }))

const values: Readonly<Record<(typeof KINDS)[number], fc.Arbitrary<unknown>>> = {
  f64: f64s,
  f32: f64s.map(Math.fround).map((value) => (Math.abs(value) > 3e38 ? 1 : value)),
  i32: fc.oneof(fc.integer(), fc.nat(3)),
  i64: wholes,
  bool: fc.boolean(),
  label: texts,
  text: texts,
  time: wholes,
  json: fc.jsonValue({ maxDepth: 2 }),
}

interface Case {
  readonly types: readonly EventTypeDeclaration[]
  readonly batches: readonly (readonly TestAppend[])[]
}

const fieldsOf: fc.Arbitrary<FieldSchema[]> = fc
  .array(fc.record({ kind: fc.constantFrom(...KINDS), isOptional: fc.boolean() }), { maxLength: 6 })
  .map((fields) => fields.map(({ kind, isOptional }, index) => field(`field${index}`, kind, { isOptional })))

const cases: fc.Arbitrary<Case> = fc.tuple(fieldsOf, fieldsOf).chain(([first, second]) => {
  const types = [
    { entity: 'rig', event: 'First', fields: first },
    { entity: 'rig', event: 'Second', fields: second },
  ]
  const row = fc.constantFrom(...types).chain(({ event, fields }) => dataOf(fields).map((data) => ({ event, data })))
  const append: fc.Arbitrary<TestAppend> = fc.record({
    entity: fc.nat(12).map((number) => `rig/rig-${number}` as const),
    rows: fc.array(row, { maxLength: 3 }),
    at: fc.nat(1e9).map((offset) => 1_600_000_000_000_000 + offset),
    source: fc.constantFrom('', 'a.csv', 'device-é'),
    sequence: fc.nat(),
    correlation: fc.constantFrom('', 'order-7'),
    causation: fc.constantFrom('', 'rig/rig-1@3'),
    outcomeKind: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
    outcome: fc.uint8Array({ maxLength: 4 }),
    flags: fc.constantFrom(0, 1),
  })
  return fc.array(fc.array(append, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 }).map((batches) => ({ types, batches }))
})

function dataOf(fields: readonly FieldSchema[]): fc.Arbitrary<Record<string, unknown>> {
  const entries = fields.map(({ name, kind, isOptional }) => {
    const value = values[kind]
    return fc.tuple(fc.constant(name), isOptional ? fc.option(value, { nil: undefined }) : value)
  })
  return fc.tuple(...entries).map((pairs) => Object.fromEntries(pairs.filter(([, value]) => value !== undefined)))
}

async function journalOf({ types, batches }: Case) {
  const journal = createInMemoryJournal({ shardCount: 8 })
  const writer = new TestWriter(await journal.register(types), { shardCount: 8 })
  for (const appends of batches) await journal.append(batchOf(appends.map((append) => writer.append(append))))
  return journal
}

/** What must come back, in the plainest way: per entity its rows in order. */
function expected({ types, batches }: Case): Map<string, unknown[]> {
  const rows = new Map<string, unknown[]>()
  let accepted = 1_700_000_000_000_000
  let appendNumber = 0
  for (const append of batches.flat()) {
    const own = rows.get(append.entity) ?? []
    rows.set(append.entity, own)
    const events = append.rows.length === 0 ? [undefined] : append.rows
    appendNumber++
    events.forEach((one, index) => {
      const isLast = index === events.length - 1
      const type = types.find(({ event }) => event === one?.event)
      own.push({
        entity: append.entity,
        version: own.length + 1,
        event: one?.event,
        at: append.at,
        accepted,
        isLate: append.flags === 1,
        source: append.source,
        sequence: append.source === '' ? undefined : append.sequence,
        correlation: append.correlation,
        causation: append.causation,
        term: 1,
        appendNumber,
        outcomeKind: isLast ? append.outcomeKind : 0,
        outcome: isLast ? append.outcome : new Uint8Array(0),
        data: type === undefined ? {} : createCodec(type.fields).normalise(one?.data ?? {}),
      })
    })
    accepted++
  }
  return rows
}

function byEntity(rows: readonly Row[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>()
  for (const { position: _, typeNumber: __, ...row } of rows) found.set(row.entity, [...(found.get(row.entity) ?? []), row])
  return found
}

describe('a block of any rows', () => {
  test('gives them back as they were', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (one) => {
        const journal = await journalOf(one)

        const found = await rowsOf(journal)

        expect(byEntity(found)).toEqual(expected(one))
        expect(found.map((row) => row.position)).toEqual(found.map((_, index) => index))
      }),
      { numRuns: 120 },
    )
  })

  test('keeps the bits of every double, also of NaNs that are not the usual one', async () => {
    const patterns = fc.array(
      fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constantFrom(0x7ff8000000000001n, 0xfff8deadbeef0000n, 0x8000000000000000n)),
      { minLength: 1, maxLength: 40 },
    )
    const types = [{ entity: 'rig', event: 'First', fields: [field('value', 'f64')] }]
    await fc.assert(
      fc.asyncProperty(patterns, async (bits) => {
        const journal = createInMemoryJournal()
        const writer = new TestWriter(await journal.register(types))
        const frames = bits.map((pattern) => {
          const frame = writer.append({ entity: 'rig/rig-1', rows: [{ event: 'First', data: { value: 0 } }] })
          new DataView(frame.buffer).setBigUint64(frame.length - 8, pattern, true)
          return frame
        })

        await journal.append(batchOf(frames))

        const block = journal.stored.blocks[0] as Uint8Array
        expect(bitsOf(block, journal.eventTypes[0] as EventType)).toEqual(bits)
      }),
      { numRuns: 200 },
    )
  })

  test('of many rows is cut at shard boundaries, and each shard decodes alone', async () => {
    const journal = createInMemoryJournal({ shardCount: 16 })
    const writer = new TestWriter(await journal.register([SAMPLED]), { shardCount: 16 })
    await journal.append(batchOf(Array.from({ length: 5000 }, (_, index) => writer.sample(`press/press-${index % 700}`, index))))
    const block = journal.stored.blocks[0] as Uint8Array
    const { groups, shards } = readHeader(block)
    const other = groups[2]
    if (other === undefined) throw new Error('expected at least three groups')
    const damaged = new Uint8Array(block)
    damaged[other.offset + 40] = (damaged[other.offset + 40] as number) ^ 1

    const replay = new BlockReplay(damaged, journal.eventTypes)
    let rows = 0
    for (const { shard } of groups[0]?.shards ?? []) replay.forEachRow(shard, () => rows++)

    expect(shards.map((one) => one.shard)).toEqual([...Array(16).keys()])
    expect(groups.every((group) => group.rowCount >= 1024 || group === groups.at(-1))).toBe(true)
    expect(rows).toBe(groups[0]?.rowCount)
    expect(() => replay.forEachRow(other.shards[0]?.shard as number, () => rows++)).toThrowError(
      expect.objectContaining({ code: 'ERR_BLOCK_DAMAGED' }),
    )
  })
})

describe('a damaged block', () => {
  const build = async () => {
    const one: Case = fc.sample(cases, { seed: 7, numRuns: 40 }).find(({ batches }) => batches.flat().length > 20) as Case
    const journal = await journalOf(one)
    return { types: journal.eventTypes, blocks: journal.stored.blocks }
  }

  test('is found at every single flipped bit', async () => {
    const { types, blocks } = await build()
    const block = blocks[0] as Uint8Array
    const undetected: number[] = []
    for (let bit = 0; bit < block.length * 8; bit++) {
      const damaged = new Uint8Array(block)
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
      if (!isRefused(damaged, types)) undetected.push(bit)
    }

    expect(undetected).toEqual([])
  })

  test('is found at every truncation and at every byte too many', async () => {
    const { types, blocks } = await build()
    const block = blocks[0] as Uint8Array
    const undetected = Array.from({ length: block.length }, (_, length) => length).filter(
      (length) => !isRefused(block.subarray(0, length), types),
    )

    expect(undetected).toEqual([])
    expect(isRefused(Buffer.concat([block, Uint8Array.of(0)]), types)).toBe(true)
  })

  test('with checksums that are right all the same gives an error or rows, never anything else', async () => {
    const { types, blocks } = await build()
    const block = blocks[0] as Uint8Array
    const group = readHeader(block).groups[0]
    if (group === undefined) throw new Error('expected a group')
    fc.assert(
      fc.property(fc.nat(group.bytes - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = new Uint8Array(block)
        damaged[group.offset + at] = (damaged[group.offset + at] as number) ^ change
        const replay = new BlockReplay(resealed(damaged), types)
        try {
          for (const { shard } of replay.header.shards)
            replay.forEachRow(shard, (row) => void [row.data(), row.outcome, row.source, row.correlation, row.accepted])
        } catch (error) {
          expect(error).toMatchObject({ name: 'MillraceError' })
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a block of a later version', () => {
  const build = async () => {
    const journal = createInMemoryJournal()
    const writer = new TestWriter(await journal.register([SAMPLED]))
    await journal.append(batchOf([writer.sample('press/press-1', 1)]))
    return { block: new Uint8Array(journal.stored.blocks[0] as Uint8Array), types: journal.eventTypes }
  }

  test.each([
    ['format version', 8, 2],
    ['flag', 10, 2],
  ])('is refused by its %s', async (_, at, value) => {
    const { block } = await build()
    block[at] = value

    expect(() => new BlockReader(resealed(block))).toThrowError(expect.objectContaining({ code: 'ERR_FORMAT_NEWER', action: 'operator' }))
  })

  test.each([
    [9, 'msgpack'],
    [60, 'chunk encoding'],
  ])('is refused by a chunk encoding of number %i, by name', async (encoding, name) => {
    const { block, types } = await build()
    const group = readHeader(block).groups[0]?.offset as number
    // The directory begins with the count of its entries, then column and encoding of the first.
    block[group + 2] = encoding

    expect(() => eachRow(resealed(block), types, () => undefined)).toThrowError(
      expect.objectContaining({ code: 'ERR_FORMAT_NEWER', message: expect.stringContaining(name) }),
    )
  })
})

/** The bits of a one-field event type, in row order, without passing through a JavaScript number, which may change a NaN. */
function bitsOf(block: Uint8Array, type: EventType): bigint[] {
  const group = new RowGroup()
  return readHeader(block).groups.flatMap((one) => {
    group.open(block, one)
    const section = group.sections[0] as TypeSection
    const { words } = new FieldColumn().open(section, 0, type, group.blockReader).values
    return Array.from(
      { length: section.rowCount },
      (_, row) => (BigInt(words[2 * row + 1] as number) << 32n) | BigInt(words[2 * row] as number),
    )
  })
}

/** The block with the checksums of its groups and its header made to fit what it holds now. */
function resealed(block: Uint8Array): Uint8Array {
  const view = new DataView(block.buffer)
  const groups = groupsOf(block)
  const headerBytes = view.getUint32(12, true)
  for (const group of groups) {
    const crc = crc32(block.subarray(group.offset, group.offset + group.bytes))
    const stored = Buffer.alloc(4)
    stored.writeUInt32LE(group.crc)
    view.setUint32(Buffer.from(block.buffer).indexOf(stored), crc, true)
  }
  view.setUint32(16, crc32(block.subarray(20, headerBytes), crc32(block.subarray(0, 16))), true)
  return block
}

/** The groups of a block; none when its header is of a version that cannot be read. */
function groupsOf(block: Uint8Array): readonly BlockGroup[] {
  try {
    return readHeader(block).groups
  } catch {
    return []
  }
}

function eachRow(block: Uint8Array, types: readonly EventType[], each: (value: unknown) => void): void {
  const replay = new BlockReplay(block, types)
  for (const { shard } of replay.header.shards) replay.forEachRow(shard, (row) => each(row.data().value))
}

function isRefused(block: Uint8Array, types: readonly EventType[]): boolean {
  try {
    new BlockReader(block).check()
    eachRow(block, types, () => undefined)
    return false
  } catch (error) {
    return (error as { code?: string }).code === 'ERR_BLOCK_DAMAGED'
  }
}
