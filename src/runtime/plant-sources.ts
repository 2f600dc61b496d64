import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '#base/clock.js'
import type { Door } from '#ingest/door.js'
import type { RunningSource, SourceDefinition, SourceLog } from '#ingest/source.js'

export interface SourcePlace {
  readonly door: Door
  readonly clock: Clock
  readonly log: SourceLog
  /** Each source has a folder of its name in it. */
  readonly directory: string
  /** Where relative paths in definitions start; the working directory when left out. */
  readonly base?: string
}

/** Starts the sources of a plant, in order. When one cannot start, those before it are stopped and its error is thrown. */
export async function startSources(definitions: readonly SourceDefinition[], place: SourcePlace): Promise<RunningSource[]> {
  const { log, directory, ...rest } = place
  if (definitions.length > 0) mkdirSync(directory, { recursive: true, mode: 0o700 })
  const running: RunningSource[] = []
  try {
    for (const source of definitions) {
      const ownLog: SourceLog = (level, message, values) => log(level, message, { source: source.name, ...values })
      running.push(await source.start({ ...rest, log: ownLog, directory: join(directory, source.name) }))
    }
  } catch (error) {
    await Promise.all(running.map((source) => source.stop()))
    throw error
  }
  return running
}
