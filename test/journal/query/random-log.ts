import fc from 'fast-check'
import type { EntityId } from '#base/ids.js'
import { FLAG_LATE } from '#journal/append-frame.js'
import type { EventType, EventTypeDeclaration, Journal, LogQuery } from '#journal/index.js'
import { batchOf, field, TestWriter } from '../writer.js'

const SAMPLED: EventTypeDeclaration = {
  entity: 'press',
  event: 'Sampled',
  fields: [
    field('temperature', 'f64', { unit: '°C' }),
    field('force', 'f32', { isOptional: true }),
    field('count', 'i32'),
    field('isHot', 'bool'),
    field('code', 'label'),
    field('note', 'text', { isOptional: true }),
    field('big', 'i64', { isOptional: true, defaultValue: 7 }),
  ],
}
/** As SAMPLED was later on. */
const SAMPLED_LATER: EventTypeDeclaration = {
  ...SAMPLED,
  fields: [...SAMPLED.fields, field('added', 'f64', { defaultValue: 2.5 }), field('when', 'time', { isOptional: true })],
}
const ALARM: EventTypeDeclaration = {
  entity: 'press',
  event: 'Alarm',
  fields: [field('code', 'label'), field('level', 'i32'), field('detail', 'json')],
}
const MILLED: EventTypeDeclaration = {
  entity: 'mill',
  event: 'Sampled',
  fields: [field('temperature', 'f64', { isOptional: true }), field('version', 'i32')],
}

const ENTITIES: readonly EntityId[] = ['press/a', 'press/b', 'press/lathe-a', 'mill/a', 'mill/b.c', 'press/ü']
const START = 1_700_000_000_000_000

const double = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -4, max: 4 }) },
  fc.double(),
  fc.constantFrom(NaN, -0, 0, Infinity, -Infinity, 1e308, -1e308, 5e-324, 0.1, 0.2, 1e16),
)
const code = fc.constantFrom('HOT', 'COLD', '', 'ÜBER', 'a b')
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })

const sampled = fc.record({
  temperature: double,
  force: optional(double.map(Math.fround)),
  count: fc.integer({ min: -3, max: 3 }),
  isHot: fc.boolean(),
  code,
  note: optional(code),
  big: optional(fc.constantFrom(7, 8, Number.MAX_SAFE_INTEGER)),
  added: fc.constantFrom(2.5, 3, NaN),
  when: optional(fc.integer({ min: START, max: START + 9 })),
})
const alarm = fc.record({ code, level: fc.integer({ min: 0, max: 2 }), detail: fc.constantFrom(null, { deep: [1, 'x'] }) })
const milled = fc.record({ temperature: optional(double), version: fc.integer({ min: 0, max: 3 }) })

const append = fc.record({
  entity: fc.constantFrom(...ENTITIES),
  rows: fc.array(fc.record({ isAlarm: fc.boolean(), sampled, alarm, milled }), { maxLength: 3 }),
  /** Late rows happened long before they came. */
  lag: fc.constantFrom(0, 0, 1, 40),
  step: fc.integer({ min: 0, max: 9 }),
  source: fc.constantFrom('', 'line-3'),
  correlation: fc.constantFrom('', 'order 7'),
})

/** A log as blocks of appends. Between the first ones and the rest the schema grows. */
export const logs = fc.record({
  before: fc.array(fc.array(append, { minLength: 1, maxLength: 12 }), { maxLength: 4 }),
  after: fc.array(fc.array(append, { minLength: 1, maxLength: 12 }), { maxLength: 4 }),
})
export type RandomLog = typeof logs extends fc.Arbitrary<infer T> ? T : never

/** Appends the log to a journal that has nothing yet. `between` runs after each block. */
export async function fill(journal: Journal, log: RandomLog, between: () => Promise<void> = async () => {}): Promise<void> {
  const types: EventType[] = [...(await journal.register([SAMPLED, ALARM, MILLED]))]
  const writer = new TestWriter(types, { shardCount: journal.shardCount })
  let accepted = START
  for (const [half, blocks] of [log.before, log.after].entries()) {
    if (half === 1) types.splice(0, types.length, ...(await journal.register([SAMPLED_LATER, ALARM, MILLED])))
    for (const block of blocks) {
      const frames = block.map((one) => {
        accepted += one.step
        const isMill = one.entity.startsWith('mill/')
        const rows = one.rows.map((row) => {
          if (isMill) return { event: 'Sampled', data: thereOf(row.milled) }
          if (row.isAlarm) return { event: 'Alarm', data: row.alarm }
          const { added, when, ...data } = row.sampled
          return { event: 'Sampled', data: thereOf(half === 0 ? data : { ...data, added, when }) }
        })
        const flags = one.lag > 1 ? FLAG_LATE : 0
        const { entity, source, correlation } = one
        return writer.append({ entity, rows, accepted, at: accepted - one.lag, flags, source, sequence: writer.number, correlation })
      })
      await journal.append(batchOf(frames))
      await between()
    }
  }
}

function thereOf(data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined))
}

const position = fc.integer({ min: 0, max: 60 })
const time = fc.integer({ min: START - 5, max: START + 200 })
const operator = fc.constantFrom('=', '!=', '<', '<=', '>', '>=')
const number = fc.constantFrom('0', '-0', '1', '-2', '0.1', '1e308', 'Infinity', '2.5')

const PRESS_WHERE = fc.oneof(
  fc.tuple(fc.constantFrom('temperature', 'force', 'count', 'big', 'added'), operator, number).map((words) => words.join(' ')),
  fc.tuple(fc.constantFrom('when', 'at', 'accepted'), operator, time).map((words) => words.join(' ')),
  fc.tuple(fc.constant('isHot'), fc.constantFrom('=', '!='), fc.boolean()).map((words) => words.join(' ')),
  fc
    .tuple(fc.constantFrom('code', 'note', 'entity', 'correlation', 'source'), operator, fc.constantFrom('HOT', '"a b"', '""', 'press/b'))
    .map((words) => words.join(' ')),
  fc
    .tuple(fc.constantFrom('position', 'row.version', 'data.count', 'sequence', 'level'), operator, fc.integer({ min: 0, max: 9 }))
    .map((words) => words.join(' ')),
  fc.constantFrom('isLate = true', 'event = Alarm', 'isLate != true'),
)

const COLUMNS = [
  'position',
  'entity',
  'row.version',
  'event',
  'typeNumber',
  'at',
  'accepted',
  'isLate',
  'source',
  'sequence',
  'correlation',
  'causation',
  'term',
  'appendNumber',
  'outcomeKind',
  'outcome',
  'data',
]
const FIELDS = ['temperature', 'force', 'count', 'isHot', 'code', 'note', 'big', 'added', 'when', 'level', 'detail']
const AGGREGATES = [
  ...[
    'count()',
    'count(force)',
    'count(note)',
    'count(at)',
    'min(temperature)',
    'max(temperature)',
    'mean(temperature)',
    'sum(temperature)',
  ],
  ...[
    'sum(force)',
    'mean(isHot)',
    'sum(count)',
    'mean(big)',
    'min(note)',
    'max(code)',
    'first(note)',
    'last(temperature)',
    'first(detail)',
  ],
  ...['last(when)', 'mean(when)', 'max(at)', 'min(row.version)', 'first(entity)', 'sum(added)', 'max(level)', 'last(position)', 'mean(at)'],
]

const shared = {
  entity: optional(fc.constantFrom('press/a', 'press/*', 'press/lathe-*', '*/a', 'p*s/*a', 'mill/a', 'press/none', 'press/ü')),
  from: optional(position),
  to: optional(position),
  versionMin: optional(fc.integer({ min: 1, max: 6 })),
  versionMax: optional(fc.integer({ min: 1, max: 9 })),
  since: optional(time),
  until: optional(time),
  acceptedSince: optional(time),
  acceptedUntil: optional(time),
  receipts: optional(fc.boolean()),
  event: optional(fc.constantFrom('Sampled', 'press.Sampled', 'Alarm')),
  where: optional(fc.array(PRESS_WHERE, { maxLength: 2 })),
}
const end = fc.oneof(fc.record({ limit: optional(fc.nat(9)) }), fc.record({ newest: optional(fc.nat(9)) }))
const distinct = (from: readonly string[], maxLength: number) => fc.uniqueArray(fc.constantFrom(...from), { minLength: 1, maxLength })

/** Questions to such a log; some make no sense. */
export const queries: fc.Arbitrary<LogQuery> = fc
  .oneof(
    fc.tuple(sparse(shared), fc.record({ columns: optional(distinct([...COLUMNS, ...FIELDS], 5)) }), end),
    fc.tuple(
      sparse(shared),
      fc.record({
        aggregates: distinct(AGGREGATES, 4),
        by: optional(distinct(['entity', 'event', 'code', 'isHot', 'count', 'source', 'temperature', 'isLate'], 3)),
        everyMicros: optional(fc.constantFrom(1, 7, 60)),
      }),
      fc.record({ limit: optional(fc.nat(5)) }),
    ),
  )
  .map((parts) => thereOf(Object.assign({}, ...parts) as Record<string, unknown>) as LogQuery)

/** Most bounds are left out, so that some rows are left. */
function sparse(model: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .tuple(fc.record(model), fc.subarray(Object.keys(model), { maxLength: 3 }))
    .map(([all, kept]) => Object.fromEntries(kept.map((name) => [name, all[name]])))
}
