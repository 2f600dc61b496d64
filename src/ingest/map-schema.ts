import { z } from 'zod'
import { isTypeName, wrongName } from '#schema/index.js'
import { parseJsonPath } from './json-path.js'
import { isZone } from './local-time.js'
import { TIME_FORMAT_HELP, wrongTimeFormat } from './time-format.js'

/**
 * The keys and values of a map file as they stand in YAML. What a key means is told in `ingest-map.ts`; examples/ingest shows whole files.
 *
 * One wrong value gives one issue whose message says what is allowed, so that `map-file.ts` can put file and line before it.
 */
const column = z.union([z.string(), z.number().int().positive()], { error: 'expected the name of a column, or its number from 1' })
const topicLevel = z.number({ error: 'expected a level of the topic as a number from 0' }).int().min(0)
const jsonPath = z.string({ error: 'expected a path such as data.temperature' }).refine((path) => parseJsonPath(path) !== undefined, {
  error: 'expected a path such as data.temperature or samples[0].value',
})
const DELIMITER = `expected one ASCII character, such as ';' or "\\t"`
const QUOTE = `expected one ASCII character, such as '"', or '' when nothing is quoted`
const text = (what: string) => z.string({ error: `expected ${what}` }).min(1, { error: `expected ${what}` })
const choice = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `expected one of ${values.join(', ')}` })
const yesOrNo = z.boolean({ error: 'expected true or false' })
const finite = z.number({ error: 'expected a number' })
const timeFormat = text(TIME_FORMAT_HELP).superRefine((format, context) => {
  const wrong = wrongTimeFormat(format)
  if (wrong !== undefined) context.addIssue({ code: 'custom', message: `${wrong}: expected ${TIME_FORMAT_HELP}` })
})
const from = { column: column.optional(), path: jsonPath.optional(), topic: topicLevel.optional() }

export const KINDS = ['f64', 'f32', 'i32', 'i64', 'bool', 'label', 'text', 'time', 'json'] as const

const nameSpec = z.union(
  [
    z.string(),
    z.strictObject({
      ...from,
      file: choice(['stem', 'name', 'folder-and-stem']).optional(),
      constant: text('a text').optional(),
      prefix: text('a text').optional(),
    }),
  ],
  {
    error:
      'expected a text, or one of { column }, { file: stem | name | folder-and-stem }, { constant }, { topic }, { path }, with an optional prefix',
  },
)

const fieldSpec = z.union(
  [
    z.string(),
    z.strictObject({
      ...from,
      kind: choice(KINDS).optional(),
      unit: text('a unit such as °C').optional(),
      scale: finite.optional(),
      offset: finite.optional(),
      optional: yesOrNo.optional(),
      format: timeFormat.optional(),
    }),
  ],
  {
    error: `expected the name of a column, or { column | path | topic, kind: ${KINDS.join(' | ')}, unit, scale, offset, optional, format }`,
  },
)

const fieldsSpec = z.record(z.string(), fieldSpec, {
  error: 'expected a list of command fields, such as temperature: { column: T1, unit: °C }',
})

export const mapSpec = z
  .strictObject({
    format: choice(['csv', 'json']),
    delimiter: z
      .string({ error: DELIMITER })
      .regex(/^[^\n\r"\u0080-\uffff]$/, { error: DELIMITER })
      .optional(),
    quote: z
      .string({ error: QUOTE })
      .regex(/^[^\n\r\u0080-\uffff]?$/, { error: QUOTE })
      .optional(),
    gzip: z.union([yesOrNo, z.literal('auto')], { error: 'expected true, false or auto' }).optional(),
    header: yesOrNo.optional(),
    decimal: choice(['.', ',']).optional(),
    encoding: choice(['utf-8', 'latin1']).optional(),
    zone: z
      .string({ error: 'expected a time zone such as Europe/Moscow' })
      .refine(isZone, { error: 'no such time zone: expected a name such as Europe/Moscow or UTC' })
      .optional(),
    overlap: choice(['earlier', 'later', 'reject']).optional(),
    gap: choice(['reject', 'shift']).optional(),
    time: z
      .strictObject(
        {
          ...from,
          format: timeFormat.optional(),
          start: text('a time such as 2020-01-01T00:00:00Z').optional(),
          step: text('a duration such as 100ms').optional(),
        },
        { error: objectError('expected { column, format }, { path, format } or { start, step }') },
      )
      .optional(),
    entity: z.strictObject(
      {
        type: z
          .string({ error: 'expected an entity type' })
          .refine(isTypeName, { error: 'expected an entity type: lower-case letters, digits and dashes' }),
        name: nameSpec,
      },
      { error: objectError('expected { type, name }') },
    ),
    command: text('the name of a command').superRefine(identifier),
    fields: fieldsSpec.superRefine((fields, context) => {
      for (const name of Object.keys(fields)) identifier(name, context, [name])
    }),
    skip: z
      .union([z.literal('rest'), z.array(column)], { error: 'expected a list of columns, or rest for all that the map does not name' })
      .optional(),
    sequence: z
      .strictObject(
        { path: jsonPath.optional(), property: text('an MQTT 5 user property').optional() },
        { error: objectError('expected { path } or { property }') },
      )
      .optional(),
    source: nameSpec.optional(),
    module: text('the path of a module').optional(),
  })
  .superRefine((spec, context) => {
    const add = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message })
    for (const [path, message] of crossProblems(spec)) add(path, message)
  })

export type MapSpec = z.infer<typeof mapSpec>
export type NameSpec = z.infer<typeof nameSpec>
export type FieldSpec = z.infer<typeof fieldSpec>

/** Problems of keys that are right one by one. */
function* crossProblems(spec: MapSpec0): Generator<[(string | number)[], string]> {
  const isCsv = spec.format === 'csv'
  const right = isCsv ? 'column' : 'path or topic'
  const wrongFrom = (value: FromSpec): string | undefined => {
    const given = (['column', 'path', 'topic'] as const).filter((key) => value[key] !== undefined)
    if (given.length !== 1) return `expected one ${right}`
    return isCsv === (given[0] === 'column') ? undefined : `a ${given[0]} is not for format ${spec.format}: expected ${right}`
  }
  for (const [name, field] of Object.entries(spec.fields)) {
    if (typeof field === 'string') {
      if (!isCsv && parseJsonPath(field) === undefined) yield [['fields', name], 'expected a path such as data.temperature']
      continue
    }
    const wrong = wrongFrom(field)
    if (wrong !== undefined) yield [['fields', name], wrong]
    const isNumber = field.kind === undefined || /^[fi]/.test(field.kind)
    if (!isNumber && (field.scale !== undefined || field.offset !== undefined))
      yield [['fields', name], `scale and offset are for numbers, not for ${field.kind}`]
    if (field.kind !== 'time' && field.format !== undefined) yield [['fields', name, 'format'], 'only a field of kind time has a format']
  }
  if (Object.keys(spec.fields).length === 0) yield [['fields'], 'expected at least one field']
  for (const [path, name] of [[['entity', 'name'], spec.entity.name] as const, [['source'], spec.source] as const]) {
    const wrong = name === undefined ? undefined : wrongNameSpec(name, isCsv, wrongFrom)
    if (wrong !== undefined) yield [[...path], wrong]
  }
  if (isCsv && typeof spec.source === 'object' && spec.source.column !== undefined)
    yield [['source'], 'a file has one source: expected a text, file or constant']
  if (spec.time !== undefined) {
    const { start, step, format } = spec.time
    const isStep = start !== undefined || step !== undefined
    if (isStep && (start === undefined || step === undefined)) yield [['time'], 'expected both start and step']
    else if (isStep && !isCsv) yield [['time'], 'start and step are for format csv']
    else if (isStep && (format ?? spec.time.column) !== undefined)
      yield [['time'], 'expected either start and step, or a column and its format']
    else if (!isStep) {
      const wrong = wrongFrom(spec.time)
      if (wrong !== undefined) yield [['time'], `${wrong}, or start and step`]
    }
  }
  if (spec.sequence !== undefined) {
    if (isCsv) yield [['sequence'], 'the sequence of a csv file is the row number: leave this key out']
    else if ((spec.sequence.path === undefined) === (spec.sequence.property === undefined))
      yield [['sequence'], 'expected one of path and property']
  }
  for (const key of ['delimiter', 'quote', 'gzip', 'header', 'decimal', 'encoding', 'skip'] as const) {
    if (!isCsv && spec[key] !== undefined) yield [[key], 'only for format csv: leave this key out']
  }
  for (const [name, field] of Object.entries(spec.header === false ? spec.fields : {})) {
    const isNamed = typeof (typeof field === 'string' ? field : field.column) === 'string'
    if (isNamed) yield [['fields', name], 'a file without a header has no column names: use numbers from 1']
  }
}

function wrongNameSpec(name: NameSpec, isCsv: boolean, wrongFrom: (value: FromSpec) => string | undefined): string | undefined {
  if (typeof name === 'string') return name === '' ? 'expected a text' : undefined
  const count = [name.column, name.path, name.topic, name.file, name.constant].filter((one) => one !== undefined).length
  if (count !== 1) return `expected one of ${isCsv ? 'column, file, constant' : 'path, topic, constant'}`
  if (name.constant !== undefined) return undefined
  if (name.file !== undefined) return isCsv ? undefined : 'a message has no file: expected path, topic or constant'
  return wrongFrom(name)
}

type FromSpec = { column?: string | number | undefined; path?: string | undefined; topic?: number | undefined }
type MapSpec0 = {
  format: 'csv' | 'json'
  fields: Record<string, FieldSpec>
  entity: { name: NameSpec }
  source?: NameSpec | undefined
  time?: (FromSpec & { start?: string | undefined; step?: string | undefined; format?: string | undefined }) | undefined
  sequence?: { path?: string | undefined; property?: string | undefined } | undefined
} & { readonly [key in 'delimiter' | 'quote' | 'gzip' | 'header' | 'decimal' | 'encoding' | 'skip']?: unknown }

function identifier(name: string, context: z.core.$RefinementCtx, path: string[] = []): void {
  const wrong = wrongName(name)
  if (wrong !== undefined) context.addIssue({ code: 'custom', path, message: wrong })
}

/** A strict object has two ways to be wrong: not an object, and an unknown key, whose own message names the keys. */
function objectError(message: string): z.core.$ZodErrorMap {
  return (issue) => (issue.code === 'invalid_type' ? message : undefined)
}
