import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { onTestFinished } from 'vitest'
import { parseMap } from '#ingest/map-file.js'
import type { IngestMap } from '#ingest/ingest-map.js'
import { type CsvRow, openCsvSource } from '#ingest/csv-source.js'

/** Real machine data that is not part of the repository: beside it, or where the variable says. */
const DATA = process.env.MILLRACE_TEST_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url))

const REMOVAL_TRIES = 100

/** Why tests on a set of real data are skipped, or undefined when it is there. */
export function missingData(folder: string): string | undefined {
  return existsSync(join(DATA, folder)) ? undefined : `${join(DATA, folder)} is not here; set MILLRACE_TEST_DATA`
}

export function dataFiles(folder: string, ending: string): string[] {
  return readdirSync(join(DATA, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(DATA, folder, name))
}

/** A directory of its own that goes away with the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-ingest-'))
  onTestFinished(() => removeAll(directory))
  return directory
}

/** Also while a source that was stopped writes its last lines: the retries of rmSync leave behind what came after the first. */
async function removeAll(directory: string): Promise<void> {
  for (let triesLeft = REMOVAL_TRIES; ; triesLeft--) {
    try {
      return rmSync(directory, { recursive: true, force: true })
    } catch (error) {
      if (triesLeft === 1 || (error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error
    }
    await delay(20)
  }
}

export function fileOf(content: string | Buffer, name = 'press.csv'): string {
  const path = join(temporaryDirectory(), name)
  writeFileSync(path, name.endsWith('.gz') ? gzipSync(content) : content)
  return path
}

export const PRESS_MAP = `
format: csv
time: { column: time }
entity: { type: press, name: { column: press } }
command: sample
fields:
  temperature: { column: T }
  mode: { column: mode, kind: label }
`

export function pressMap(more = ''): IngestMap {
  return parseMap(PRESS_MAP + more, 'press.map.yaml')
}

export async function rowsOf(path: string, map: IngestMap, options: { readonly rowBytesMax?: number } = {}): Promise<CsvRow[]> {
  const source = await openCsvSource(path, map, options)
  const rows: CsvRow[] = []
  for await (const group of source.rows()) rows.push(...group)
  return rows
}

/** The temperatures of the rows that can be taken, and the reasons of the others. */
export function outcomesOf(rows: readonly CsvRow[]): unknown[] {
  return rows.map(({ command }) => (typeof command === 'string' ? command : command.data.temperature))
}

/** For `expect.poll`: a condition that comes soon, even on a busy machine. */
export const SOON = { timeout: 20_000, interval: 5 }
