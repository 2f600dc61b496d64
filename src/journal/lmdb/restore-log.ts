import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { constants } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FrozenRecord } from '#journal/frozen-log.js'
import { Catalog } from './catalog.js'
import { logPaths } from './directory.js'
import { DATA_FILE, type Database, diskFailed, openEnvironment, syncDirectory, syncFile } from './environment.js'
import { CATALOG_BYTES_MAX, MAP_BYTES_DEFAULT } from './open-lmdb-journal.js'

/** What a log is made of, as a FrozenLog had it. */
export interface LogParts {
  readonly format: string
  readonly catalog: AsyncIterable<FrozenRecord>
  readonly unsealed: readonly { readonly name: string; readonly blocks: AsyncIterable<FrozenRecord> }[]
  readonly sealed: readonly { readonly name: string; readonly path: string; readonly bytes: number }[]
}

/** LMDB puts what is stored while a transaction is written into the next one together. */
const RECORDS_AT_ONCE = 1024

/** Makes a log of its parts in a directory that is not there yet. Durable when it resolves; a crash leaves a directory to be removed. `onBytes` hears of bytes written. */
export async function restoreLog(directory: string, parts: LogParts, onBytes: (bytes: number) => void): Promise<void> {
  const paths = logPaths(directory)
  for (const path of [directory, paths.log]) {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    chmodSync(path, 0o700)
  }
  writeFileSync(paths.format, parts.format, { mode: 0o600 })
  syncFile(paths.format)

  const catalogDatabase = await openEnvironment(paths.catalog, { isReadOnly: false, mapBytes: CATALOG_BYTES_MAX })
  try {
    const catalog = new Catalog(catalogDatabase, join(paths.catalog, DATA_FILE))
    await inGroups(parts.catalog, onBytes, (records) => catalog.putRecords(records))
  } finally {
    await catalogDatabase.close()
  }
  for (const { name, blocks } of parts.unsealed) {
    const path = join(paths.log, name)
    const database = await openEnvironment(path, { isReadOnly: false, mapBytes: MAP_BYTES_DEFAULT })
    try {
      await inGroups(blocks, onBytes, (records) => putAll(database, records, join(path, DATA_FILE)))
    } finally {
      await database.close()
    }
  }
  for (const { name, path, bytes } of parts.sealed) {
    const file = join(paths.log, name)
    await copyFile(path, file, constants.COPYFILE_FICLONE)
    chmodSync(file, 0o600)
    syncFile(file)
    onBytes(bytes)
  }
  syncDirectory(paths.log)
  syncDirectory(directory)
}

async function putAll(database: Database, records: readonly FrozenRecord[], file: string): Promise<void> {
  try {
    await Promise.all(records.map(({ key, value }) => database.put(key, Buffer.from(value))))
  } catch (error) {
    throw diskFailed(error, file)
  }
}

const GROUP_BYTES_MAX = 16 << 20

async function inGroups(
  records: AsyncIterable<FrozenRecord>,
  onBytes: (bytes: number) => void,
  put: (group: readonly FrozenRecord[]) => Promise<void>,
): Promise<void> {
  let group: FrozenRecord[] = []
  let bytes = 0
  const store = async () => {
    await put(group)
    onBytes(bytes)
    group = []
    bytes = 0
  }
  for await (const record of records) {
    group.push(record)
    bytes += record.key.length + record.value.length
    if (group.length >= RECORDS_AT_ONCE || bytes >= GROUP_BYTES_MAX) await store()
  }
  if (group.length > 0) await store()
}
