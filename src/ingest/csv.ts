import { basename } from 'node:path'
import type { IngestMap } from './ingest-map.js'
import type { Speed } from './pacing.js'
import type { SourceDefinition } from './source.js'

export interface CsvOptions {
  /** Path or file URL of the data, plain or gzip. */
  readonly file: string | URL
  /** Path or file URL of the map file, or what `parseMap` made of it. */
  readonly map: string | URL | IngestMap
  /** Default `max`. */
  readonly speed?: Speed
  /** Default: the file's name. */
  readonly name?: string
  /** Where rejected rows go. Default: `NAME.rejects.jsonl` in the source's directory. */
  readonly rejects?: string
}

/** A file as a source of a plant: taken in once, gone on with after a restart. See `runIngest`. */
export function csv(options: CsvOptions): SourceDefinition {
  const name = options.name ?? basename(String(options.file))
  return {
    kind: 'csv',
    name,
    // Plant modules are loaded by every process; what reads files is loaded by the one that starts it.
    start: async (context) => (await import('./csv-start.js')).startCsv({ ...options, name }, context),
  }
}
