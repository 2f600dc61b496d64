import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makePressLog } from './press-log.js'
import { dropPageCache, type KillResult, RecoveryPlant } from './recovery-plant.js'
import { median, percentile } from './samples.js'

/** A plant whose worker is killed. */
export interface RecoveryCase {
  readonly name: string
  readonly entities: number
  readonly eventsEach: number
  /** After so many events each entity has a snapshot; undefined: none has one. */
  readonly snapshotAt?: number
  readonly workers: number
  readonly kills: number
  /** Commands a second beside the kills. */
  readonly perSecond?: number
  /** Once more with an empty page cache, where that is permitted. */
  readonly isColdToo?: boolean
}

/** Medians over the kills, times in milliseconds. */
export interface RecoveryRow {
  readonly case: string
  readonly cache: 'warm' | 'cold'
  readonly workers: number
  /** Of the plant, and of the worker that is killed. */
  readonly entities: number
  readonly lostEntities: number
  /** From the start of the plant until every entity had taken a command. */
  readonly startMs: number
  /** Replayed at the first kill. */
  readonly events: number
  readonly kills: number
  /** From the SIGKILL to the first command that the last entity took, as its sender was told. */
  readonly ms: number
  readonly p99Ms: number
  /** Of that the worker spent on rows. */
  readonly replayMs: number
  readonly phasesMs: Readonly<Record<string, number>>
  readonly entitiesPerSecond: number
  readonly eventsPerSecond: number
  /** Resident memory of journal and worker while it lasted, over that before. */
  readonly memoryRatio: number
  readonly hashOk: boolean
  readonly ackedMissing: number
  readonly duplicated: number
}

export async function measureCase(
  wanted: RecoveryCase,
): Promise<{ readonly rows: readonly RecoveryRow[]; readonly allMs: readonly number[] }> {
  const { entities, eventsEach, snapshotAt, workers, kills, perSecond } = wanted
  const data = mkdtempSync(join(tmpdir(), `millrace-recovery-${wanted.name}-`))
  try {
    await makePressLog(data, entities, eventsEach, snapshotAt)
    const plant = await RecoveryPlant.start(data, entities, eventsEach, workers, perSecond === undefined)
    if (perSecond !== undefined) plant.pace(perSecond)
    const warm: KillResult[] = []
    for (let kill = 0; kill < kills; kill++) warm.push(await plant.kill())
    const cold: KillResult[] = []
    for (let kill = 0; wanted.isColdToo === true && kill < kills && dropPageCache(); kill++) cold.push(await plant.kill())
    const found = await plant.close()
    const facts = { ...found, lostEntities: plant.lostCount, startMs: rounded(plant.startMs) }
    const rows = [rowOf(wanted, 'warm', warm, facts), ...(cold.length === 0 ? [] : [rowOf(wanted, 'cold', cold, facts)])]
    return { rows, allMs: warm.map(({ ms }) => ms) }
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
}

type Found = Pick<RecoveryRow, 'hashOk' | 'ackedMissing' | 'duplicated' | 'lostEntities' | 'startMs'>

function rowOf(
  { name, entities, workers }: RecoveryCase,
  cache: RecoveryRow['cache'],
  kills: readonly KillResult[],
  found: Found,
): RecoveryRow {
  const phases = new Set(kills.flatMap(({ recovery }) => Object.keys(recovery.phases)))
  const middle = (of: (kill: KillResult) => number) => rounded(median(kills.map(of)))
  const ms = middle((kill) => kill.ms)
  const events = kills[0]?.recovery.events ?? 0
  return {
    case: name,
    cache,
    workers,
    entities,
    events,
    kills: kills.length,
    ms,
    p99Ms: rounded(percentile(Float64Array.from(kills.map((kill) => kill.ms)).sort(), 0.99)),
    replayMs: middle(({ recovery }) => recovery.phases['replay'] ?? 0),
    phasesMs: Object.fromEntries([...phases].map((phase) => [phase, middle(({ recovery }) => recovery.phases[phase] ?? 0)])),
    entitiesPerSecond: Math.round((found.lostEntities / ms) * 1000),
    eventsPerSecond: Math.round((events / ms) * 1000),
    memoryRatio: Math.round(Math.max(...kills.map(({ steadyMb, peakMb }) => peakMb / Math.max(1, steadyMb))) * 100) / 100,
    ...found,
  }
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}
