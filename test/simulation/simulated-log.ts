import { type Clock, FakeClock } from '#base/clock.js'
import { PlantModel } from '#entity/index.js'
import type { Journal } from '#journal/index.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { registerSchemas } from '#journal/register-schemas.js'
import { unsealedName } from '#journal/segments/opening-plan.js'
import { TermCounter } from '#processes/term-counter.js'
import { SimulatedDisk } from './disk.js'
import { useDisk } from './simulated-fs.js'
import { killEnvironments, stepEnvironment } from './simulated-lmdb.js'
import { Tally } from './tally.js'

/** The data directory, and the environments of the log in it. Nothing is ever sealed, so there is one segment. */
export const DATA = '/plant'
const JOURNAL = `${DATA}/journal`
export const ENVIRONMENTS = { log: `${JOURNAL}/log/${unsealedName(0)}`, catalog: `${JOURNAL}/catalog` } as const
export type EnvironmentName = keyof typeof ENVIRONMENTS

export const SHARDS = 4
export const MODEL = new PlantModel([Tally])

const RECENT_APPENDS = 1024

/** The real log on the disk of the moment. */
export function openSimulatedLog(clock: Clock, disk: SimulatedDisk, headsEveryRows: number): Promise<Journal> {
  return openLmdbJournal({
    directory: JOURNAL,
    clock,
    shardCount: SHARDS,
    reserveBytes: 0,
    freeBytes: () => disk.freeBytes,
    segmentAgeMs: Number.POSITIVE_INFINITY,
    recentAppends: RECENT_APPENDS,
    headsEveryRows,
    // Few rows are stored in a schedule: so that some of them are merged.
    merged: { mergedRowsMin: 12 },
  })
}

let image: SimulatedDisk | undefined

/** A disk with a plant that was opened once and closed: a log with its event types and no rows, and a term counter. */
export async function diskOfPlant(): Promise<SimulatedDisk> {
  image ??= await emptyPlant()
  return image.clone()
}

async function emptyPlant(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  useDisk(disk)
  const log = await openSimulatedLog(new FakeClock(), disk, 1)
  let isDone = false
  const registered = registerSchemas(log, MODEL.schemas).then(() => (isDone = true))
  while (!isDone) {
    stepEnvironment(ENVIRONMENTS.catalog)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await registered
  TermCounter.openSync(DATA, true).reserve()
  killEnvironments()
  return disk
}
