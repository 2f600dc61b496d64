import { join } from 'node:path'
import { messageOf } from '#base/errors.js'
import { fileCheckpointStore } from './checkpoint-store.js'
import type { CsvOptions } from './csv.js'
import { openCsvSource } from './csv-source.js'
import type { IngestProgress } from './ingest-options.js'
import { runIngest } from './ingest-run.js'
import { loadMap } from './map-file.js'
import { type RunningSource, type SourceContext, sourcePath } from './source.js'

/** Starts to take a file in; see `csv`. Throws ERR_MAP_FILE, ERR_CSV_FILE and ERR_CSV_EMPTY. */
export async function startCsv(options: CsvOptions & { readonly name: string }, context: SourceContext): Promise<RunningSource> {
  const { name } = options
  const { door, clock, log, directory, base } = context
  const map = await loadMap(options.map, base)
  const source = await openCsvSource(sourcePath(options.file, base), map)
  const stop = new AbortController()
  let progress: IngestProgress | undefined
  let state: 'running' | 'finished' | 'failed' | 'stopped' = 'running'
  const rejectFile =
    options.rejects === undefined ? join(directory, `${name.replace(/[^\w.-]/g, '_')}.rejects.jsonl`) : sourcePath(options.rejects, base)
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
}
