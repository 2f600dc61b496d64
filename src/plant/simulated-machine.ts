import { type EntityId, entityId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import { Machine, type MachineCommand } from './machine.js'
import type { MachineKind, Normal } from './machine-kinds.js'

const SECOND = 1_000_000

/** A command and when its machine gives it. */
export type SimulatedCommand = MachineCommand & {
  readonly entity: EntityId
  /** Microseconds since 1970. */
  readonly at: number
}

/** From reaching the wear limit to the maintenance. */
export const MAINTENANCE_LEAD_MICROS = 60 * SECOND
export const MAINTENANCE_MICROS = 30 * SECOND
export const CALIBRATION_MICROS = 10 * SECOND

const CYCLES_PER_ROLL = 1000

/**
 * One machine of the simulated plant. It reports at its rate; every 1,000 cycles it rolls for a degradation, which raises vibration and
 * temperature; at its wear limit it schedules maintenance, stops for it when it is due, is calibrated and runs on like new. While it
 * stands it reports nothing.
 */
export class SimulatedMachine {
  readonly entity: EntityId
  /** Among machines due at the same moment. */
  readonly order: number
  readonly #kind: MachineKind
  readonly #prng: Prng
  readonly #periodMicros: number
  #dueAt: number
  #phase: 'running' | 'maintained' | 'calibrating' = 'running'
  #cycles = 0
  /** Cycles of the present tool. */
  #toolCycles = 0
  /** Percent, 0 while sound. */
  #degradation = 0
  #maintenanceAt: number | undefined

  constructor(kind: MachineKind, number: number, seed: number | string, startMicros: number) {
    this.entity = machineId(kind, number)
    this.order = number
    this.#kind = kind
    this.#prng = new Prng(`${seed}/${this.entity}`)
    this.#periodMicros = Math.round(SECOND / kind.hertz)
    this.#dueAt = startMicros + this.#prng.below(this.#periodMicros)
  }

  get dueAt(): number {
    return this.#dueAt
  }

  /** What it says at `dueAt`, which moves on. */
  step(): SimulatedCommand[] {
    const at = this.#dueAt
    return this.#commands(at).map((command) => ({ ...command, entity: this.entity, at }))
  }

  #commands(at: number): MachineCommand[] {
    if (this.#phase === 'maintained') {
      this.#phase = 'calibrating'
      this.#dueAt = at + CALIBRATION_MICROS
      this.#toolCycles = 0
      this.#degradation = 0
      this.#maintenanceAt = undefined
      return [Machine.command.completeMaintenance({ work: 'tool changed', duration: MAINTENANCE_MICROS / (60 * SECOND) })]
    }
    if (this.#phase === 'calibrating') {
      this.#phase = 'running'
      this.#dueAt = at + this.#periodMicros
      return [Machine.command.changeState({ to: 'HEALTHY', reason: 'calibration finished' })]
    }
    if (this.#maintenanceAt !== undefined && at >= this.#maintenanceAt) {
      this.#phase = 'maintained'
      this.#dueAt = at + MAINTENANCE_MICROS
      return [Machine.command.changeState({ to: 'MAINTENANCE', reason: 'scheduled maintenance' })]
    }
    this.#dueAt = at + this.#periodMicros
    return this.#run(at)
  }

  #run(at: number): MachineCommand[] {
    const { wearLimit } = this.#kind
    this.#cycles++
    this.#toolCycles++
    const commands: MachineCommand[] = [this.#telemetry()]
    if (this.#cycles % CYCLES_PER_ROLL === 0 && this.#prng.next() < this.#kind.degradationProbability) commands.push(this.#degrade())
    if (wearLimit > 0 && this.#toolWear >= wearLimit && this.#maintenanceAt === undefined) {
      this.#maintenanceAt = at + MAINTENANCE_LEAD_MICROS
      commands.push(
        Machine.command.scheduleMaintenance({
          dueAt: this.#maintenanceAt,
          kind: 'PREVENTIVE',
          reason: `tool wear at its limit of ${wearLimit} mm`,
        }),
      )
    }
    return commands
  }

  get #toolWear(): number {
    return (this.#toolCycles * this.#kind.wearPer1000Cycles) / 1000
  }

  #telemetry(): MachineCommand {
    const { vibration, temperature, current, spindleSpeed } = this.#kind
    return Machine.command.reportTelemetry({
      vibration: this.#draw(vibration) * (1 + this.#degradation / 50),
      temperature: this.#draw(temperature) * (1 + this.#degradation / 100),
      current: this.#draw(current),
      spindleSpeed: this.#draw(spindleSpeed),
      toolWear: this.#toolWear,
      cycles: this.#cycles,
    })
  }

  #degrade(): MachineCommand {
    this.#degradation = 30 + 40 * this.#prng.next()
    const hoursToFailure = (100 - this.#degradation) * 2
    return Machine.command.reportDegradation({
      component: this.#kind.component,
      degradation: this.#degradation,
      hoursToFailure,
      model: 'simulated-1',
    })
  }

  /** Nothing here is negative: the far end of the distribution is cut off. */
  #draw([mean, deviation]: Normal): number {
    return deviation === 0 ? mean : Math.max(0, this.#prng.normal(mean, deviation))
  }
}

/** `machine/cnc-mill-001`: numbered from 1 within its kind. */
export function machineId(kind: MachineKind, number: number): EntityId {
  return entityId('machine', `${kind.name}-${String(Math.floor(number / 5) + 1).padStart(3, '0')}`)
}
