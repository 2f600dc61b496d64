import { isClean, percentile, type PlantReport, type Recovery } from './report.js'

/** How well a plant comes through its faults, best first. */
export const HEALTHS = ['EXCELLENT', 'GOOD', 'DEGRADED', 'POOR'] as const

export type Health = (typeof HEALTHS)[number]

export interface HealthLimits {
  readonly health: Health
  /** The 99th percentile of the recovery times of processes that the supervisor replaces lies below it, milliseconds... */
  readonly replacedMs: number
  /** ...and that of starts of the whole plant, which nobody but the operator's service manager replaces. */
  readonly restartedMs: number
}

/** The first row that holds is the health; POOR when none does, and for whatever lost, doubled, disordered or changed anything. */
export const HEALTH_LIMITS: readonly HealthLimits[] = [
  { health: 'EXCELLENT', replacedMs: 200, restartedMs: 1000 },
  { health: 'GOOD', replacedMs: 500, restartedMs: 2500 },
  { health: 'DEGRADED', replacedMs: 1000, restartedMs: 5000 },
]

/**
 * A hang counts from when the plant may call it one: until then it waits, as its configuration says, for a process that may only be slow. What is acknowledged
 * and absent from the log counts as loss; the original's difference of sequence numbers is 0 after one.
 */
export function healthOf(report: Omit<PlantReport, 'health'>): Health {
  if (!isClean(report)) return 'POOR'
  const replacedMs = p99(report.recoveries.filter((one) => !isRestart(one)).map(countedMs))
  const restartedMs = p99(report.recoveries.filter(isRestart).map(countedMs))
  return HEALTH_LIMITS.find((row) => replacedMs < row.replacedMs && restartedMs < row.restartedMs)?.health ?? 'POOR'
}

/** The seat of a start of the whole plant. */
export const WHOLE_PLANT = 'plant'

function isRestart({ process }: Recovery): boolean {
  return process === WHOLE_PLANT || process.startsWith('supervisor/')
}

function countedMs({ cause, rtoMs, phases }: Recovery): number {
  return cause.startsWith('hang') ? rtoMs - (phases['noticed'] ?? 0) : rtoMs
}

function p99(values: number[]): number {
  return percentile(
    values.sort((a, b) => a - b),
    0.99,
  )
}
