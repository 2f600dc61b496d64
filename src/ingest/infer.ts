import { realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { messageOf, MillraceError } from '#base/errors.js'
import { FIELDS_MAX } from '#schema/schema-check.js'
import { inferColumns, type InferredColumn } from './infer-columns.js'
import { inferLayout } from './infer-layout.js'
import { entityTextOf, type Inference, mapTextOf, plantTextOf } from './infer-text.js'

/** A proposal for a data file: three texts and the names to write them under, beside each other. */
export interface InferredMap {
  readonly mapName: string
  readonly mapText: string
  readonly entityName: string
  readonly entityText: string
  readonly plantName: string
  readonly plantText: string
  readonly entityType: string
  readonly columnCount: number
  /** Rows looked at. */
  readonly rowCount: number
}

const ROWS_MAX_DEFAULT = 10_000
const NAME_TITLES = /^(machine|device|sensor|asset|equipment|station|unit|line|press|pump|motor|tool)([ _-]?(id|name|no|number|code))?$/i

/**
 * Proposes a map and an entity from the header and the first rows of a CSV file, plain or gzip. Types are those that fit every row looked at.
 * `entityType` replaces the one made of the file's name. Nothing is written. Throws ERR_CSV_FILE, ERR_CSV_EMPTY, ERR_INFER.
 */
export async function inferMap(
  file: string,
  options: { readonly rowsMax?: number; readonly entityType?: string } = {},
): Promise<InferredMap> {
  const path = await realpath(file).catch((cause: unknown) => {
    throw new MillraceError('ERR_CSV_FILE', {
      fact: 'the file cannot be opened',
      action: 'operator',
      values: { file },
      next: messageOf(cause),
      cause,
    })
  })
  const { layout, header, rows } = await inferLayout(path, options.rowsMax ?? ROWS_MAX_DEFAULT)
  const columns = inferColumns(header, rows, layout.decimal)
  const timeColumn = timeColumnOf(columns)
  const nameColumn = columns.find(
    (column) => NAME_TITLES.test(column.name) && !column.isOptional && column.distinct.every(isEntityName) && column !== timeColumn,
  )
  const others = columns.filter((column) => column !== timeColumn && column !== nameColumn)
  const fields = others.filter(({ skip }) => skip === undefined)
  if (fields.length === 0 || fields.length > FIELDS_MAX) {
    throw new MillraceError('ERR_INFER', {
      fact: fields.length === 0 ? 'no column holds anything to sample' : 'more columns than an event has fields',
      action: 'operator',
      values: { file: path, columns: columns.length, max: FIELDS_MAX },
      next: 'write the map by hand, with skip for what is not wanted',
    })
  }
  const named = entityTypeOf(path)
  const entityType = options.entityType ?? named.type
  const inference: Inference = {
    // It ends up in comments.
    fileName: basename(path).replace(/[\u0000-\u001f\u007f\u2028\u2029]/g, '?'),
    layout,
    hasHeader: header !== undefined,
    entityType,
    className: classNameOf(entityType),
    nameColumn,
    isNamedByFolder: named.isByFolder,
    timeColumn,
    fields,
    skipped: others.filter(({ skip }) => skip !== undefined),
    rowCount: rows.length,
  }
  return {
    mapName: `${entityType}.map.yaml`,
    mapText: mapTextOf(inference),
    entityName: `${entityType}.js`,
    entityText: entityTextOf(inference),
    plantName: 'plant.js',
    plantText: plantTextOf(inference),
    entityType,
    columnCount: columns.length,
    rowCount: rows.length,
  }
}

/** The first that no row leaves empty; one with a telling name first. */
function timeColumnOf(columns: readonly InferredColumn[]): InferredColumn | undefined {
  const candidates = columns.filter(({ time, isOptional }) => time !== undefined && !isOptional)
  return candidates.find(({ name }) => /time|date|zeit|^ts$/i.test(name)) ?? candidates[0]
}

function isEntityName(text: string): boolean {
  return text.length <= 100 && !/[\u0000-\u001f\u007f]/.test(text)
}

/** `press-07.csv` is a press; `valve1/0.csv`, whose name says nothing, is a valve. */
function entityTypeOf(path: string): { readonly type: string; readonly isByFolder: boolean } {
  const stem = basename(path).replace(/(?<=.)\..*$/, '')
  for (const [isByFolder, name] of [
    [false, stem],
    [true, basename(dirname(path))],
  ] as const) {
    const type = name
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .replace(/(\p{Ll})(\p{Lu})/gu, '$1-$2')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^[^a-z]+|[-\d]+$/g, '')
      .slice(0, 40)
      .replace(/-+$/, '')
    if (type !== '') return { type, isByFolder }
  }
  return { type: 'machine', isByFolder: false }
}

/** Never a name that the module imports, such as f64 or defineEntity, since it begins in upper case. */
function classNameOf(entityType: string): string {
  return entityType
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}
