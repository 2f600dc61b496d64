import { describe, expect, test } from 'vitest'
import type { BlockEntry, EventType, LogQuery } from '#journal/index.js'
import { entityFilterOf } from '#journal/query/entity-filter.js'
import { planScan, type QuerySchema } from '#journal/query/index.js'
import { field } from '../writer.js'

const SAMPLED: EventType = { number: 1, entity: 'press', event: 'Sampled', fields: [field('temperature', 'f64'), field('code', 'label')] }
const ALARM: EventType = { number: 2, entity: 'press', event: 'Alarm', fields: [field('code', 'label'), field('level', 'i32')] }
const MILLED: EventType = { number: 3, entity: 'mill', event: 'Milled', fields: [field('level', 'f32'), field('at', 'time')] }
const TEMPERATURE = 2

const head = { entity: 'press/a', shard: 3, number: 7, version: 9, term: 1, appendNumber: 1 } as const
const schema = { eventTypes: [SAMPLED, ALARM, MILLED], endPosition: 1000 }

/** A block of 100 rows of one type. `index` gives its place in the log, a clustered one is of segment `a`. */
function block(index: number, more: Partial<BlockEntry> & { type?: number; temperature?: readonly [number, number] } = {}): BlockEntry {
  const { type = 1, temperature = [0, 10], ...rest } = more
  const zones = new Map([[TEMPERATURE, { min: temperature[0], max: temperature[1], count: 100 }]])
  return {
    segment: rest.isClustered === true ? 'a' : 'active',
    id: index,
    isClustered: false,
    firstPosition: index * 100,
    endPosition: index * 100 + 100,
    rowCount: 100,
    bytes: 1000,
    acceptedMin: index * 1e6,
    acceptedMax: index * 1e6 + 999_999,
    atMin: index * 1e6,
    atMax: index * 1e6 + 999_999,
    shards: [{ shard: 3, rowCount: 100, entityMin: 5, entityMax: 9 }],
    types: new Map([[type, { rowCount: 100, zones }]]),
    ...rest,
  }
}

function plan(query: LogQuery, blocks: readonly BlockEntry[], more: Partial<QuerySchema> = {}) {
  return planScan(query, blocks, { ...schema, entity: entityFilterOf(query.entity, () => undefined), ...more })
}

describe('a plan', () => {
  const blocks = [
    block(0),
    block(1, { temperature: [80, 95] }),
    block(2, { type: 2 }),
    block(3, { shards: [{ shard: 4, rowCount: 100, entityMin: 0, entityMax: 9 }] }),
  ]

  test.each<[string, LogQuery, number[], string]>([
    ['position', { from: 150, to: 199 }, [1], 'position'],
    ['time that it happened', { since: 1_500_000, until: 2_100_000 }, [1, 2], 'time'],
    ['time that it was taken', { acceptedSince: 3_999_999 }, [3], 'time'],
    ['time in a comparison', { where: ['accepted < 1970-01-01T00:00:01Z'] }, [0], 'time'],
    ['event', { event: 'Alarm' }, [2], 'event'],
    ['entity type', { entity: 'mill/*' }, [], 'event'],
    ['field that events lack', { where: ['level = 1'], event: 'press.Alarm' }, [2], 'event'],
    ['values', { where: ['temperature > 90'] }, [1], 'values'],
  ])('skips blocks by %s', (_by, query, left, reason) => {
    const { shown, units } = plan(query, blocks)

    expect(units.map((unit) => unit.blocks[0]?.id)).toEqual(left)
    expect(shown.skipped[reason as 'time']).toBeGreaterThan(0)
    expect(shown.blocksToRead + Object.values(shown.skipped).reduce((sum, count) => sum + count, 0)).toBe(blocks.length)
    expect(shown.rowsToRead).toBe(left.length * 100)
  })

  test('skips blocks that cannot have rows of an entity, and all for one that is not there', () => {
    const one = plan({ entity: 'press/a' }, blocks, { entity: { kind: 'one', head } })
    const unknown = plan({ entity: 'press/none' }, blocks, { entity: { kind: 'unknown' } })

    expect(one.shown.skipped.entity).toBe(1)
    expect(unknown.shown).toMatchObject({ blocksToRead: 0, skipped: { entity: 4 } })
  })

  test('keeps blocks that may have receipts, and those of which nothing is known', () => {
    const mixed = [block(0, { rowCount: 101 }), block(1), { ...block(2), types: undefined }]
    const known = mixed.map(({ types, ...rest }) => (types === undefined ? rest : { ...rest, types }))

    expect(plan({ event: 'Alarm' }, known).units.map(({ blocks: [one] }) => one?.id)).toEqual([2])
    expect(plan({ receipts: true, entity: 'mill/*' }, known).units.map(({ blocks: [one] }) => one?.id)).toEqual([0, 2])
  })

  test('makes one unit of the blocks of a sealed segment, since their rows interleave', () => {
    const sealed = [block(0, { isClustered: true, endPosition: 300 }), block(1, { isClustered: true, firstPosition: 20, endPosition: 290 })]

    const { units } = plan({}, [...sealed, block(3), block(4)])

    expect(units.map(({ firstPosition, endPosition, blocks: own }) => [firstPosition, endPosition, own.length])).toEqual([
      [0, 300, 2],
      [300, 400, 1],
      [400, 500, 1],
    ])
  })

  test('tells what answers each condition, and what will be decoded', () => {
    const { shown } = plan(
      { where: ['temperature > 90', 'code = HOT', 'version != 3'], since: 5, aggregates: ['mean(temperature)'], by: ['entity'] },
      blocks,
    )

    expect(shown.conditions).toEqual([
      { text: 'at >= 1970-01-01T00:00:00.000005Z', skipsBy: 'time' },
      { text: 'temperature > 90', skipsBy: 'values' },
      { text: 'code = HOT', skipsBy: 'event' },
      { text: 'version != 3', skipsBy: 'nothing' },
    ])
    expect(shown.events).toEqual(['press.Sampled'])
    expect(shown.decoded).toEqual(['at', 'press.Sampled.temperature', 'press.Sampled.code', 'version', 'entity'])
    expect(shown.order).toBe('groups')
  })

  test('is the same for the same question, and plain JSON', () => {
    const { shown } = plan({ where: ['temperature > 90'] }, blocks)

    expect(plan({ where: ['temperature > 90'] }, blocks).shown).toEqual(shown)
    expect(JSON.parse(JSON.stringify(shown))).toEqual(shown)
  })
})

describe('a question that makes no sense', () => {
  test.each<[string, LogQuery, string]>([
    [
      'an unknown column',
      { where: ['temperatur > 9'] },
      'there is no column temperatur where=temperatur: the columns are temperature (f64), code (label), level (i32 or f32), at (time), position,',
    ],
    [
      'an unknown event',
      { event: 'Samled' },
      'there is no event Samled event=Samled: the events are press.Sampled, press.Alarm, mill.Milled',
    ],
    [
      'a field that hides a shared column',
      { columns: ['at'] },
      'at is a column of every row and a field of mill.Milled columns=at: say row.at or data.at',
    ],
    ['a value of another kind', { where: ['temperature > hot'] }, 'temperature is a number where="temperature > hot" character=15'],
    ['text for a number', { where: ['temperature = "90"'] }, 'temperature is a number'],
    ['two comparisons in one', { where: ['temperature > 90 and level < 3'] }, 'give each comparison a --where of its own'],
    ['a time that is none', { where: ['accepted > yesterday'] }, 'accepted is a time'],
    ['an order of truths', { where: ['isLate > true'] }, 'isLate is true or false and has no order'],
    ['a truth that is none', { where: ['isLate = yes'] }, 'isLate is true or false'],
    ['JSON', { where: ['data = 1'] }, 'data is JSON and cannot be compared'],
    ['an aggregate that is none', { aggregates: ['avg(temperature)'] }, '"avg(temperature)" is no aggregate'],
    ['a mean of text', { aggregates: ['mean(code)'] }, 'there is no mean of code, which is label'],
    ['groups of nothing', { by: ['entity'] }, 'groups need something to work out of them'],
    ['groups of JSON', { aggregates: ['count()'], by: ['data'] }, 'data has no groups, since it is JSON'],
    ['columns and aggregates', { columns: ['temperature'], aggregates: ['count()'] }, 'columns of rows or aggregates, not both'],
    ['first and newest', { limit: 1, newest: 1 }, 'the first rows or the newest ones, not both'],
    ['a bucket of no width', { aggregates: ['count()'], everyMicros: 0 }, 'a time bucket is a whole number of microseconds'],
    ['a column twice', { columns: ['code', 'code'] }, 'code is there twice'],
    ['a part that queries lack', { wher: [] } as LogQuery, 'a query has no part wher'],
    ['a bound that is no number', { since: 'today' } as unknown as LogQuery, 'since is not a number'],
    ['a list that is none', { where: 'temperature > 1' } as unknown as LogQuery, 'where is not a list of texts'],
  ])('is refused: %s', (_what, query, message) => {
    expect(() => plan(query, [])).toThrow(expect.objectContaining({ code: 'ERR_QUERY' }) as Error)
    expect(() => plan(query, [])).toThrow(message)
  })

  test('is refused when events differ in what they compare, unless it is said which is meant', () => {
    const labelled = { ...ALARM, fields: [field('temperature', 'label')] }
    const eventTypes = [SAMPLED, labelled]

    expect(() => plan({ where: ['temperature > 9'] }, [], { eventTypes })).toThrow(
      'temperature is ambiguous: it is f64 in press.Sampled and label in press.Alarm where=temperature: ask for one event, or for entities of one type',
    )
    expect(plan({ where: ['temperature > 9'], event: 'Sampled' }, [], { eventTypes }).shown.events).toEqual(['press.Sampled'])
  })

  test('is refused when a label can never have the value', () => {
    const eventTypes = [{ ...ALARM, fields: [field('code', 'label', { oneOf: ['HOT', 'COLD'] })] }]

    expect(() => plan({ where: ['code = HOTT'] }, [], { eventTypes })).toThrow(
      'code is never "HOTT" where="code = HOTT" character=8: it is one of HOT, COLD',
    )
    expect(plan({ where: ['code = HOT'] }, [], { eventTypes }).shown.events).toEqual(['press.Alarm'])
  })
})
