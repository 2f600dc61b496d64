import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#base/clock.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { DeviceFleet } from '#drills/device-fleet.js'
import { DiskPressure } from '#drills/disk-pressure.js'
import { type DrillOptions, type DrillResult, runDrill } from '#drills/drill-run.js'
import type { Fault } from '#drills/fault.js'
import { Ledger } from '#drills/ledger.js'
import { isSabotage, type Sabotage, type TrialSabotage } from '#drills/sabotage.js'
import { PlantModel } from '#entity/index.js'
import { DRILLED } from '#plant/drilled.js'
import { Machine } from '#plant/machine.js'
import { PlantSimulator } from '#plant/simulator.js'
import { isClean } from '#recovery/report.js'
import { dataPaths } from '#runtime/data-directory.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantSession } from '#runtime/plant-session.js'
import { reserveOf, SessionUnderTest } from '#runtime/session-under-test.js'

export interface DrillPlantOptions {
  /** Kept; without it a temporary one is used, and kept when something went wrong that nobody asked for. Must hold no log but of earlier drills. */
  readonly dataDirectory?: string | undefined
  readonly machines: number
  readonly seed: number
  readonly faults: readonly Fault[]
  readonly runMs: number
  readonly sabotage?: Sabotage | TrialSabotage | undefined
  /** Told of a temporary data directory that stays. */
  readonly onKept: (dataDirectory: string) => void
  readonly onReady?: (session: PlantSession) => Promise<void>
  readonly onProgress?: DrillOptions['onProgress']
  readonly onFault?: DrillOptions['onFault']
}

/** Of the plant that demo and drill start. */
export const DRILL_WORKERS = 2
const PLANT_FILE = fileURLToPath(new URL('./drilled-plant.js', import.meta.url))
const MODEL = new PlantModel([Machine, ...DRILLED])

/** Runs simulated machines against a plant of its own, breaks it as planned, and checks it from outside. */
export async function drillPlant(options: DrillPlantOptions): Promise<DrillResult> {
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'millrace-drill-'))
  const hasLog = existsSync(dataPaths(dataDirectory).journal)
  if (hasLog && !existsSync(dataPaths(dataDirectory).drills)) throw foreignLog(dataDirectory)
  mkdirSync(dataPaths(dataDirectory).drills, { recursive: true, mode: 0o700 })
  const disk = options.faults.some(fillsDisk) ? DiskPressure.open(dataDirectory) : 'the drill was not to fill it'
  let isWrong = true
  try {
    const result = await drillOn(dataDirectory, disk, hasLog, options)
    isWrong = !isClean(result.report)
    return result
  } catch (error) {
    if (isMillraceError(error, 'ERR_DRILL_TOO_SHORT')) isWrong = false
    throw error
  } finally {
    if (typeof disk !== 'string') disk.close()
    if (options.dataDirectory === undefined) {
      if (isWrong && options.sabotage === undefined) options.onKept(dataDirectory)
      else rmSync(dataDirectory, { recursive: true, force: true })
    }
  }
}

async function drillOn(
  dataDirectory: string,
  disk: DiskPressure | string,
  hasLog: boolean,
  { machines, seed, faults, runMs, sabotage, onReady, onProgress, onFault }: DrillPlantOptions,
): Promise<DrillResult> {
  const ofDevices = sabotage !== undefined && isSabotage(sabotage) ? sabotage : undefined
  const ofTrials = sabotage === ofDevices ? undefined : (sabotage as TrialSabotage)
  const session = await PlantSession.start({
    dataDirectory,
    plantFile: PLANT_FILE,
    env: { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: String(DRILL_WORKERS), ...reserveOf(disk) },
  })
  try {
    await onReady?.(session)
    const plant = await SessionUnderTest.open({ session, plant: MODEL, plantFile: PLANT_FILE, disk })
    const door = await connectDoor(session.dataDirectory)
    try {
      const ledger = new Ledger()
      const startMicros = systemClock.nowMicros()
      const fleet = new DeviceFleet({
        door,
        script: new PlantSimulator({ machines, seed, startMicros }),
        flood: new PlantSimulator({ machines, seed: `${seed}/flood`, startMicros }).advanceTo(Number.MAX_SAFE_INTEGER),
        ledger,
        clock: systemClock,
        sabotage: ofDevices,
        ...(hasLog ? { run: String(startMicros) } : {}),
      })
      return await runDrill({
        plant,
        fleet,
        ledger,
        clock: systemClock,
        faults,
        runMs,
        sabotage: ofTrials,
        ...(onProgress === undefined ? {} : { onProgress }),
        ...(onFault === undefined ? {} : { onFault }),
      })
    } finally {
      await plant.close()
      await door.close()
    }
  } finally {
    await session.close()
  }
}

function fillsDisk({ kind, during }: Fault): boolean {
  return kind === 'full-disk' || (during !== undefined && fillsDisk(during))
}

/** The machines of a drill would be taken for those of a plant that somebody needs. */
function foreignLog(dataDirectory: string): MillraceError {
  return new MillraceError('ERR_DRILL_DIRECTORY', {
    fact: 'there is a log in this data directory already, and not of a drill',
    action: 'operator',
    values: { data: dataDirectory },
    next: 'name a new directory with --data, or one of an earlier drill',
  })
}
