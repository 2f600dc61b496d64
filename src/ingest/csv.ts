import { basename, join } from 'node:path'
import { messageOf } from '#base/errors.js'
import { fileCheckpointStore } from './checkpoint-store.js'
import { openCsvSource } from './csv-source.js'
import type { IngestMap } from './ingest-map.js'
import type { IngestProgress } from './ingest-options.js'
import { runIngest } from './ingest-run.js'
import { readMapFile } from './map-file.js'
import type { Speed } from './pacing.js'
import { type RunningSource, type SourceDefinition, sourcePath } from './source.js'

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
    async start({ door, clock, log, directory, base }): Promise<RunningSource> {
      const map = await mapOf(options.map, base)
      const source = await openCsvSource(sourcePath(options.file, base), map)
      const stop = new AbortController()
      let progress: IngestProgress | undefined
      let state: 'running' | 'finished' | 'failed' | 'stopped' = 'running'
      const rejectFile =
        options.rejects === undefined
          ? join(directory, `${name.replace(/[^\w.-]/g, '_')}.rejects.jsonl`)
          : sourcePath(options.rejects, base)
      const run = runIngest({
        source,
        door,
        clock,
        speed: options.speed ?? 'max',
        checkpoints: fileCheckpointStore(directory),
        rejectFile,
        signal: stop.signal,
        onProgress: (told) => (progress = told),
      }).then(
        (summary) => {
          state = summary.isComplete ? 'finished' : 'stopped'
          log('info', summary.isComplete ? 'the file is taken in' : 'the file is taken in up to here', { source: name, ...summary })
        },
        (error: unknown) => {
          state = 'failed'
          log('error', 'the file cannot be taken in', { source: name, error: messageOf(error) })
        },
      )
      return {
        async stop() {
          stop.abort()
          await run
        },
        stats: () => ({
          received: progress === undefined ? 0 : progress.rows + progress.inFlight,
          accepted: progress?.accepted ?? 0,
          rejected: progress?.rejected ?? 0,
          inFlight: progress?.inFlight ?? 0,
          full: progress?.full ?? 0,
          unnumbered: 0,
          state,
        }),
      }
    },
  }
}

/** A map as definitions name it. */
export async function mapOf(map: string | URL | IngestMap, base: string | undefined): Promise<IngestMap> {
  return typeof map === 'string' || map instanceof URL ? readMapFile(sourcePath(map, base)) : map
}
