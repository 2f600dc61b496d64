import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { systemClock } from '#base/clock.js'
import { fileCheckpointStore, type IngestMap, openCsvSource, readMapFile, runIngest, type Speed } from '#ingest/index.js'
import { dataPaths } from '#runtime/data-directory.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import { readPlantRecord } from '#runtime/plant-record.js'
import type { Run } from './command.js'
import { runInfer } from './ingest-infer.js'
import { usageError } from './number-option.js'
import { placeOf, textOption } from './place.js'
import { INTERRUPTED, onInterrupt } from './signals.js'

/** Takes a CSV file into the plant, going on where an earlier run stopped; starts the plant for it where none runs. */
export const runIngestCsv: Run = async (args, options, output) => {
  const [file = ''] = args
  if (options['infer'] === true) return runInfer(args, options, output)
  const mapFile = textOption(options, 'map')
  if (mapFile === undefined)
    throw usageError('which column is what? there is no --map', { file }, 'name a map file, or let --infer --write propose one')
  const map = await readMapFile(mapFile)
  const place = placeOf(options)
  const source = await openCsvSource(resolve(file), map)
  const session = await PlantSession.open({ ...place, plantFile: plantFileFor(place, map, mapFile), env: WITHOUT_SPARES })
  const stop = new AbortController()
  onInterrupt(() => stop.abort())
  try {
    const door = await connectDoor(session.dataDirectory)
    const directory = dataPaths(session.dataDirectory).ingest
    const rejectFile = resolve(textOption(options, 'rejects') ?? join(directory, `${source.checkpointName}.rejects.jsonl`))
    let bar: ReturnType<typeof output.progress> | undefined
    try {
      const summary = await runIngest({
        source,
        door,
        clock: systemClock,
        speed: speedOf(textOption(options, 'speed')),
        checkpoints: fileCheckpointStore(directory),
        rejectFile,
        signal: stop.signal,
        onProgress: (progress) => {
          bar ??= output.progress(progress.bytesTotal, 'bytes')
          bar.update(progress.bytesRead)
        },
      })
      bar?.stop()
      if (output.isJson) output.json({ ...summary, ...(summary.rejected > 0 ? { rejectFile } : {}) })
      else {
        output.line(`${summary.rows} rows: ${summary.accepted} accepted and durable, ${summary.rejected} rejected`)
        if (summary.resumedAfter > 0) output.line(`Earlier runs had taken the first ${summary.resumedAfter}.`)
        if (summary.rejected > 0) output.line(`Rejected rows with their reasons: ${rejectFile}`)
        if (!summary.isComplete) output.line('Interrupted: the same command goes on from here.')
      }
      return summary.isComplete ? 0 : INTERRUPTED
    } finally {
      bar?.stop()
      await door.close()
    }
  } finally {
    await session.close()
  }
}

/** The plant to start where none runs: the one named, the one that last ran there, the map's module, or a plant.js beside the map. */
export function plantFileFor(place: ReturnType<typeof placeOf>, map: IngestMap, mapFile: string): string | undefined {
  if (place.plantFile !== undefined) return place.plantFile
  const recorded = readPlantRecord(place.dataDirectory)?.plantFile
  if (recorded !== undefined) return recorded
  if (map.module !== undefined) return resolve(dirname(mapFile), map.module)
  return [join(dirname(mapFile), 'plant.js'), 'plant.js'].find((path) => existsSync(path))
}

function speedOf(text: string | undefined): Speed {
  if (text === undefined || text === 'max') return 'max'
  if (text === 'real') return 'real'
  const factor = Number(text)
  if (!(factor > 0) || !Number.isFinite(factor))
    throw usageError('not a speed', { '--speed': text }, 'use max, real, or how many times faster than real')
  return factor
}
