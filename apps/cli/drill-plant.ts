import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { DeviceFleet } from '#drills/device-fleet.js'
import { type DrillOptions, type DrillResult, type Fault, runDrill } from '#drills/drill-run.js'
import { Ledger } from '#drills/ledger.js'
import type { Sabotage } from '#drills/sabotage.js'
import { PlantModel } from '#entity/index.js'
import { PlantSimulator } from '#plant/simulator.js'
import { Machine } from '#plant/machine.js'
import { dataPaths } from '#runtime/data-directory.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantSession } from '#runtime/plant-session.js'
import { SessionUnderTest } from '#runtime/session-under-test.js'

export interface DrillPlantOptions {
  /** Kept; without it a temporary one is used and removed. Must hold no log yet. */
  readonly dataDirectory?: string | undefined
  readonly machines: number
  readonly seed: number
  readonly faults: readonly Fault[]
  readonly runMs: number
  readonly sabotage?: Sabotage | undefined
  readonly onReady?: (session: PlantSession) => Promise<void>
  readonly onProgress?: DrillOptions['onProgress']
  readonly onFault?: DrillOptions['onFault']
}

const WORKERS = 2

/** Runs simulated machines against a plant of its own, breaks it as planned, and checks it from outside. */
export async function drillPlant(options: DrillPlantOptions): Promise<DrillResult> {
  if (options.dataDirectory !== undefined) refuseLog(options.dataDirectory)
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'millrace-drill-'))
  const session = await PlantSession.start({
    dataDirectory,
    plantFile: fileURLToPath(new URL('./demo-plant.js', import.meta.url)),
    env: { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: String(WORKERS) },
  })
  try {
    await options.onReady?.(session)
    const door = await connectDoor(session.dataDirectory)
    try {
      const ledger = new Ledger()
      const script = new PlantSimulator({ machines: options.machines, seed: options.seed, startMicros: systemClock.nowMicros() })
      const fleet = new DeviceFleet({ door, script, ledger, clock: systemClock, sabotage: options.sabotage })
      return await runDrill({
        plant: new SessionUnderTest(session, new PlantModel([Machine]), WORKERS),
        fleet,
        ledger,
        clock: systemClock,
        faults: options.faults,
        runMs: options.runMs,
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
        ...(options.onFault === undefined ? {} : { onFault: options.onFault }),
      })
    } finally {
      await door.close()
    }
  } finally {
    await session.close()
    if (options.dataDirectory === undefined) rmSync(dataDirectory, { recursive: true, force: true })
  }
}

/** The devices of every drill have the same names and count from 1: an earlier drill's commands would be taken for theirs. */
function refuseLog(dataDirectory: string): void {
  if (!existsSync(dataPaths(dataDirectory).journal)) return
  throw new MillraceError('ERR_DRILL_DIRECTORY', {
    fact: 'there is a log in this data directory already',
    action: 'operator',
    values: { data: dataDirectory },
    next: 'name a new directory with --data',
  })
}
