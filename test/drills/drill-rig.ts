import { FakeClock } from '#base/clock.js'
import { type DeviceCommand, DeviceFleet } from '#drills/device-fleet.js'
import { type DrillProgress, runDrill } from '#drills/drill-run.js'
import type { Fault, FaultKind } from '#drills/fault.js'
import type { FaultOutcome } from '#drills/fault-executor.js'
import { Ledger } from '#drills/ledger.js'
import { isSabotage, type Sabotage, type TrialSabotage } from '#drills/sabotage.js'
import type { Role } from '#processes/process-role.js'
import { FakeDoor, type FakeDoorOptions } from '../ingest/fake-door.js'
import { deviceScript, entityOf } from './device-script.js'
import { DoorPlant, type DoorPlantOptions } from './door-plant.js'

const DEVICES = 20

export interface DrillSetting extends DoorPlantOptions {
  readonly runMs: number
  readonly faults?: readonly Fault[]
  readonly door?: FakeDoorOptions
  readonly sabotage?: Sabotage | TrialSabotage
  /** How much the devices have to say in a flood; default: without end. */
  readonly floodMax?: number
}

/** A drill of twenty devices that speak every 10 ms, on a clock that runs as fast as it can. */
export async function drill(setting: DrillSetting) {
  const clock = new FakeClock()
  const door = new FakeDoor({ capacity: 100_000, ...setting.door })
  const ledger = new Ledger()
  const plant = new DoorPlant(door, clock, setting)
  const { sabotage } = setting
  const progress: DrillProgress[] = []
  const outcomes: FaultOutcome[] = []
  const fleet = new DeviceFleet({
    door,
    script: deviceScript(DEVICES, 10),
    flood: flood(setting.floodMax),
    ledger,
    clock,
    sabotage: sabotage !== undefined && isSabotage(sabotage) ? sabotage : undefined,
  })
  let isOver = false
  const running = runDrill({
    plant,
    fleet,
    ledger,
    clock,
    faults: setting.faults ?? [],
    runMs: setting.runMs,
    sabotage: sabotage === undefined || isSabotage(sabotage) ? undefined : sabotage,
    onProgress: (one) => progress.push(one),
    onFault: (_, outcome) => {
      if (outcome !== undefined) outcomes.push(outcome)
    },
  }).finally(() => {
    isOver = true
  })
  running.catch(() => undefined)
  while (!isOver) {
    clock.advance(1)
    await new Promise(setImmediate)
  }
  return { result: await running, plant, progress, outcomes }
}

export function kill(role: Role, slot: number, atMs?: number): Fault {
  return { ...faultOf('kill', role, slot), ...(atMs === undefined ? {} : { atMs }) }
}

export function faultOf(kind: FaultKind, role: Role, slot = 0, forMs = 0): Fault {
  return { kind, seat: { role, slot }, forMs }
}

function* flood(max = Number.POSITIVE_INFINITY): Generator<DeviceCommand, void> {
  for (let count = 0; count < max; count++)
    yield { entity: entityOf(count % DEVICES), command: 'sample', data: { temperature: count }, at: 0 }
}
