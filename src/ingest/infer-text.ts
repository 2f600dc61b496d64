import { stringify } from 'yaml'
import type { FieldKind } from '#schema/index.js'
import type { InferredColumn } from './infer-columns.js'
import type { CsvLayout } from './ingest-map.js'

/** What an inferred map and its entity are written from. */
export interface Inference {
  /** Name of the data file. */
  readonly fileName: string
  readonly layout: CsvLayout
  readonly hasHeader: boolean
  readonly entityType: string
  /** Name of the entity's constant in code. */
  readonly className: string
  /** Each row names its entity there; undefined: a file is an entity. */
  readonly nameColumn: InferredColumn | undefined
  /** The file's own name says nothing, such as `0.csv`. */
  readonly isNamedByFolder: boolean
  readonly timeColumn: InferredColumn | undefined
  readonly fields: readonly InferredColumn[]
  readonly skipped: readonly InferredColumn[]
  readonly rowCount: number
}

/** The map file, with a comment where a person should look. */
export function mapTextOf(inference: Inference): string {
  const { layout, fields, skipped, hasHeader } = inference
  const lines = [
    `# How rows of ${inference.fileName} become commands, as its first ${inference.rowCount} rows suggest. Look at the lines with a comment.`,
    'format: csv',
    ...(layout.delimiter === ',' ? [] : [`delimiter: ${JSON.stringify(layout.delimiter)}`]),
    ...(hasHeader ? [] : ['header: false # columns have numbers from 1']),
    ...(layout.decimal === '.' ? [] : [`decimal: ','`]),
    ...(layout.encoding === 'utf-8' ? [] : [`encoding: ${layout.encoding} # the bytes are not UTF-8`]),
    ...timeLines(inference),
    'entity:',
    `  type: ${inference.entityType}`,
    inference.nameColumn === undefined
      ? `  name: { file: ${inference.isNamedByFolder ? 'folder-and-stem' : 'stem'} } # one file, one entity; or { column: … } where rows name theirs`
      : `  name: { column: ${refOf(inference.nameColumn, hasHeader)} }`,
    'command: sample',
    `module: ./${inference.entityType}.js`,
    'fields:',
    ...fields.map((column) => `  ${column.field}: ${fieldText(column, hasHeader)}`),
  ]
  if (skipped.length > 0) {
    lines.push('skip:', ...skipped.map((column) => `  - ${refOf(column, hasHeader)} # ${column.skip ?? ''}`.trimEnd()))
  }
  return `${lines.join('\n')}\n`
}

function timeLines({ timeColumn, hasHeader }: Inference): string[] {
  if (timeColumn?.time === undefined) {
    return ['time: { start: 2026-01-01T00:00:00Z, step: 1s } # no column tells the time: say when row 1 happened, and how long a row takes']
  }
  const { format, hasZone, isAmbiguous } = timeColumn.time
  const hint = isAmbiguous ? ' # is it the month or the day that comes first?' : ''
  return [
    ...(hasZone ? [] : ['zone: UTC # the times name no zone: put that of the machine, such as Europe/Berlin']),
    `time: { column: ${refOf(timeColumn, hasHeader)}, format: ${flow(format)} }${hint}`,
  ]
}

function fieldText(column: InferredColumn, hasHeader: boolean): string {
  const parts = [`column: ${refOf(column, hasHeader)}`]
  if (column.kind !== 'f64') parts.push(`kind: ${column.kind}`)
  if (column.time !== undefined) parts.push(`format: ${flow(column.time.format)}`)
  if (column.unit !== undefined) parts.push(`unit: ${flow(column.unit)}`)
  if (column.isOptional) parts.push('optional: true')
  return `{ ${parts.join(', ')} }`
}

/** By name, where the header gives it one that no other column has. */
function refOf(column: InferredColumn, hasHeader: boolean): string {
  return hasHeader && column.hasOwnName ? flow(column.name) : String(column.number)
}

/** A text as it may stand within braces. */
function flow(text: string): string {
  const [plain = ''] = stringify([text], { collectionStyle: 'flow', lineWidth: 0 }).trim().split('\n')
  const value = plain.replace(/^\[\s*/, '').replace(/\s*\]$/, '')
  return /^[^\s"'#][^#,[\]{}]*$/.test(value) || /^["']/.test(value) ? value : JSON.stringify(text)
}

/** The entity's module: one command, one event, and a state of the last values and their count. */
export function entityTextOf(inference: Inference): string {
  const { className, entityType, fields, fileName } = inference
  const builders = [...new Set(fields.map(({ kind }) => kind as string))].sort()
  const required = fields.filter(({ isOptional }) => !isOptional)
  return `import { ${['defineEntity', ...builders].sort().join(', ')} } from 'millrace'

// As the columns of ${fileName} suggest: rename, drop and add what you like, here and in the map.
const sample = {
${fields.map((column) => `  ${column.field}: ${builderText(column)},`).join('\n')}
}

/** Takes each sample, and remembers the last one and how many there were. */
export const ${className} = defineEntity({
  name: '${entityType}',
  events: { Sampled: sample },
  commands: { sample },
  initial: () => ({
    count: 0,
    last: {
${required.map(({ field, kind }) => `      ${field}: ${FIRST_VALUES[kind]},`).join('\n')}
    },
  }),
  decide: {
    sample(_state, command, { emit }) {
      emit.Sampled(command)
    },
  },
  apply: {
    Sampled(state, event) {
      state.count++
      Object.assign(state.last, event)
    },
  },
})
`
}

/** The plant's module. */
export function plantTextOf({ className, entityType }: Inference): string {
  return `import { definePlant } from 'millrace'
import { ${className} } from './${entityType}.js'

export default definePlant({ entities: [${className}] })
`
}

function builderText({ kind, unit, isOptional }: InferredColumn): string {
  const isNumber = /^[fi]\d/.test(kind)
  const args = [
    ...(isNumber && unit !== undefined ? [`'${unit.replace(/['\\]/g, '\\$&')}'`] : []),
    ...(isOptional ? ['{ optional: true }'] : []),
  ]
  return `${kind}(${args.join(', ')})`
}

const FIRST_VALUES: Readonly<Record<FieldKind, string>> = {
  f64: 'NaN',
  f32: 'NaN',
  i32: '0',
  i64: '0',
  bool: 'false',
  label: "''",
  text: "''",
  time: '0',
  json: 'null',
}
