import { mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '#base/assert.js'
import type { FieldKind } from '#schema/index.js'
import { loadRival } from './rivals.js'
import { type SizeData, type SizeRow, type SizeType, TERM } from './size-rows.js'

/** How the rows were laid out as Parquet, and what that took. */
export interface ParquetSize {
  readonly layout: string
  readonly bytes: number
}

/** What is used of @duckdb/node-api. */
interface DuckDb {
  readonly DuckDBInstance: { create(path: string): Promise<{ connect(): Promise<Connection> }> }
  readonly DuckDBDataChunk: { create(types: readonly unknown[]): { setColumns(columns: readonly (readonly unknown[])[]): void } }
  readonly [type: string]: unknown
}

interface Connection {
  run(sql: string): Promise<unknown>
  runAndReadAll(sql: string): Promise<{ getRows(): unknown[][] }>
  createAppender(table: string): Promise<{ appendDataChunk(chunk: unknown): void; closeSync(): void }>
  closeSync(): void
}

interface Column {
  readonly name: string
  readonly type: string
  readonly valueOf: (row: SizeRow) => unknown
}

const SQL_TYPES: Readonly<Record<FieldKind, string>> = {
  ...{ f64: 'DOUBLE', f32: 'FLOAT', i32: 'INTEGER', i64: 'BIGINT', bool: 'BOOLEAN' },
  ...{ label: 'VARCHAR', text: 'VARCHAR', time: 'BIGINT', json: 'VARCHAR' },
}

/** Times are microseconds in a BIGINT: what Parquet makes of a TIMESTAMP too. What a row has not is NULL, as one would have it in a table. */
const SHARED: readonly Column[] = [
  { name: 'entity', type: 'VARCHAR', valueOf: (row) => row.entity },
  { name: 'version', type: 'INTEGER', valueOf: (row) => row.version },
  { name: 'event', type: 'VARCHAR', valueOf: (row) => row.type.event },
  { name: 'at', type: 'BIGINT', valueOf: (row) => BigInt(row.at) },
  { name: 'accepted', type: 'BIGINT', valueOf: (row) => BigInt(row.accepted) },
  { name: 'flags', type: 'INTEGER', valueOf: () => 0 },
  { name: 'source', type: 'VARCHAR', valueOf: (row) => row.source },
  { name: 'sequence', type: 'BIGINT', valueOf: (row) => BigInt(row.sequence) },
  { name: 'outcome_kind', type: 'INTEGER', valueOf: () => 1 },
  { name: 'outcome', type: 'VARCHAR', valueOf: () => null },
  { name: 'correlation', type: 'VARCHAR', valueOf: () => null },
  { name: 'causation', type: 'VARCHAR', valueOf: () => null },
  { name: 'term', type: 'INTEGER', valueOf: () => TERM },
  { name: 'append_number', type: 'INTEGER', valueOf: (row) => row.appendNumber },
]

const ORDERS = { 'as taken in': 'append_number', 'by entity': 'entity, version' }
/** The newer version of the format has encodings that the default one lacks. */
const VERSIONS = ['V1', 'V2']
/** Of zstd: the default, and the best. The best takes so long that only the layouts that are smallest by default are written with it. */
const LEVEL = 3
const LEVEL_BEST = 22
const BEST_LAYOUTS = 3
const ROWS_PER_CHUNK = 2048

/**
 * Writes the rows as Parquet with zstd in every layout that is tried (one table or one per event type, two orders, two versions of the
 * format), the smallest with the best level too, and tells the sizes, smallest first. DuckDB reads each back and must count the same rows.
 */
export async function parquetSizes(data: SizeData, folder: string): Promise<ParquetSize[]> {
  const duckDb = loadRival('@duckdb/node-api') as DuckDb
  const connection = await (await duckDb.DuckDBInstance.create(':memory:')).connect()
  mkdirSync(folder, { recursive: true })
  const found: ParquetSize[] = []
  try {
    const tables = data.types.map((type, index) => ({
      name: `type_${index}`,
      columns: [...SHARED, ...fieldColumns([type])],
      types: [type],
    }))
    const all = { name: 'everything', columns: [...SHARED, ...fieldColumns(data.types)], types: data.types }
    for (const { name, columns, types } of tables.length > 1 ? [...tables, all] : tables)
      await fill(duckDb, connection, name, columns, types.length === 1 ? data.rows.filter((row) => row.type === types[0]) : data.rows)
    const apart = tables.map(({ name }) => name)
    const files = tables.length > 1 ? { 'a file per event type': apart, 'one file': [all.name] } : { 'a file': apart }
    const layouts = Object.entries(files).flatMap(([name, parts]) =>
      Object.entries(ORDERS).flatMap(([order, by]) =>
        VERSIONS.map((version) => ({ name: `${name}, ${order}, ${version}`, parts, by, version })),
      ),
    )
    const write = async ({ name, parts, by, version }: (typeof layouts)[number], level: number): Promise<void> => {
      let [bytes, rows] = [0, 0]
      for (const table of parts) {
        const path = join(folder, `${table}.parquet`)
        const how = `FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL ${level}, PARQUET_VERSION ${version}`
        await connection.run(`COPY (SELECT * FROM ${table} ORDER BY ${by}) TO '${path}' (${how})`)
        const counted = await connection.runAndReadAll(`SELECT count(*) FROM '${path}'`)
        bytes += statSync(path).size
        rows += Number(counted.getRows()[0]?.[0])
      }
      assert(rows === data.rows.length, 'Parquet holds as many rows as there are')
      found.push({ layout: `${name}, level ${level}`, bytes })
    }
    for (const layout of layouts) await write(layout, LEVEL)
    const smallest = new Set(
      found
        .toSorted(bySize)
        .slice(0, BEST_LAYOUTS)
        .map(({ layout }) => layout),
    )
    for (const layout of layouts) if (smallest.has(`${layout.name}, level ${LEVEL}`)) await write(layout, LEVEL_BEST)
  } finally {
    connection.closeSync()
    rmSync(folder, { recursive: true, force: true })
  }
  return found.sort(bySize)
}

function bySize(a: ParquetSize, b: ParquetSize): number {
  return a.bytes - b.bytes
}

/** Fields of one name and kind share a column. */
function fieldColumns(types: readonly SizeType[]): Column[] {
  const columns = new Map<string, Column>()
  for (const field of types.flatMap((type) => type.fields)) {
    const valueOf = (row: SizeRow): unknown =>
      row.type.fields.some(({ name, kind }) => name === field.name && kind === field.kind) ? (row.data[field.name] ?? null) : null
    columns.set(`${field.name} ${field.kind}`, { name: `${field.name}_${field.kind}`, type: SQL_TYPES[field.kind], valueOf })
  }
  return [...columns.values()]
}

async function fill(
  duckDb: DuckDb,
  connection: Connection,
  table: string,
  columns: readonly Column[],
  rows: readonly SizeRow[],
): Promise<void> {
  await connection.run(`CREATE TABLE ${table} (${columns.map(({ name, type }) => `"${name}" ${type}`).join(', ')})`)
  const appender = await connection.createAppender(table)
  const types = columns.map(({ type }) => duckDb[type])
  for (let start = 0; start < rows.length; start += ROWS_PER_CHUNK) {
    const some = rows.slice(start, start + ROWS_PER_CHUNK)
    const chunk = duckDb.DuckDBDataChunk.create(types)
    chunk.setColumns(columns.map(({ valueOf }) => some.map(valueOf)))
    appender.appendDataChunk(chunk)
  }
  appender.closeSync()
}
