/**
 * How long is a part of the plant away when its process is killed, and is anything lost?
 *
 *   drill ──SIGKILL──▶ worker | journal | gateway | supervisor of a plant under load, again and again
 *   200 simulated machines ══▶ gateway ══▶ 2 workers ══▶ journal
 *
 * Per role one fresh plant and one `millrace drill --json`, the same that an operator runs. The recovery time counts from the first sign of
 * the death until the seat works again: that of the supervisor from the kill until its successor's whole plant is ready. A run counts when
 * the drill found nothing missing, doubled or out of order, which it checks against the log afterwards. The reference is an empty Node
 * program from spawn to exit, between the roles: what no replacement by a fresh process can be faster than. Needs two cores.
 */
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { percentile, type PlantReport } from '#recovery/report.js'
import { packageRoot } from '#runtime/package-root.js'
import { benchMain } from './harness/bench-main.js'
import { runProgram } from './harness/run-program.js'
import { median } from './harness/samples.js'

const ROLES = ['worker', 'journal', 'gateway', 'supervisor'] as const

export interface RecoveryBenchOptions {
  /** Kills per role. */
  readonly times: number
  readonly roles: readonly (typeof ROLES)[number][]
  /** Empty programs before each role. */
  readonly starts: number
}

export const RECOVERY_FULL: RecoveryBenchOptions = { times: 20, roles: ROLES, starts: 10 }
export const RECOVERY_SMOKE: RecoveryBenchOptions = { times: 1, roles: ['worker', 'gateway'], starts: 2 }

/** Times in milliseconds. */
export interface RecoveryBench {
  readonly bench: 'recovery'
  readonly roles: readonly RoleRecovery[]
  readonly ackedMissing: number
  readonly duplicated: number
  readonly outOfOrder: number
  readonly reference: { readonly name: 'empty node program'; readonly medianMs: number }
}

export interface RoleRecovery {
  readonly role: string
  readonly kills: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Medians over the kills, by phase. */
  readonly phasesMs: Readonly<Record<string, number>>
  readonly acked: number
}

/** Throws ERR_BENCH_FAILED when a drill ends with another exit code than 0. */
export async function measureRecovery({ times, roles, starts }: RecoveryBenchOptions): Promise<RecoveryBench> {
  const measured: { readonly role: string; readonly report: PlantReport }[] = []
  const empties: number[] = []
  for (const role of roles) {
    for (let start = 0; start < starts; start++) empties.push(await emptyProgramMs())
    measured.push({ role, report: await drill(role, times) })
  }
  const sum = (pick: (report: PlantReport) => number) => measured.reduce((total, { report }) => total + pick(report), 0)
  return {
    bench: 'recovery',
    roles: measured.map(({ role, report }) => recoveryOf(role, report)),
    ackedMissing: sum((report) => report.ackedMissing),
    duplicated: sum((report) => report.duplicated),
    outOfOrder: sum((report) => report.outOfOrder),
    reference: { name: 'empty node program', medianMs: rounded(median(empties)) },
  }
}

/** A report for people. */
export function describeRecovery({ roles, reference, ...found }: RecoveryBench): string {
  const lines = roles.map(({ role, kills, p50Ms, p99Ms, maxMs, phasesMs }) => {
    const phases = Object.entries(phasesMs).map(([name, ms]) => `${name} ${ms}`)
    return `${role.padEnd(10)} ${kills} kills: p50 ${p50Ms} ms, p99 ${p99Ms} ms, max ${maxMs} ms (median of phases: ${phases.join(', ')})`
  })
  return [
    ...lines,
    `acknowledged and missing ${found.ackedMissing}, doubled ${found.duplicated}, out of order ${found.outOfOrder}`,
    `an empty Node program takes ${reference.medianMs} ms`,
  ].join('\n')
}

function recoveryOf(role: string, { recoveries, acked }: PlantReport): RoleRecovery {
  const times = recoveries.map(({ rtoMs }) => rtoMs).sort((a, b) => a - b)
  const names = new Set(recoveries.flatMap(({ phases }) => Object.keys(phases)))
  const middle = (name: string) => rounded(median(recoveries.map(({ phases }) => phases[name] ?? 0)))
  return {
    role,
    kills: recoveries.length,
    p50Ms: rounded(percentile(times, 0.5)),
    p99Ms: rounded(percentile(times, 0.99)),
    maxMs: rounded(times.at(-1) ?? 0),
    phasesMs: Object.fromEntries([...names].map((name) => [name, middle(name)]).filter(([, ms]) => (ms as number) > 0)) as Record<
      string,
      number
    >,
    acked,
  }
}

async function drill(role: string, times: number): Promise<PlantReport> {
  const main = join(packageRoot(), 'dist', 'apps', 'cli', 'main.js')
  const { code, stdout, stderr } = await runProgram(process.execPath, [main, 'drill', '--kill', role, '--times', `${times}`, '--json'])
  if (code !== 0) throw failed(`the drill ended with ${code}`, role, stderr.trim().slice(-1000) || stdout.slice(-1000))
  const report = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as PlantReport
  if (report.recoveries.length !== times)
    throw failed('the drill reports another number of recoveries than it killed', role, `${report.recoveries.length}`)
  return report
}

async function emptyProgramMs(): Promise<number> {
  const startedMs = performance.now()
  const { code } = await runProgram(process.execPath, ['-e', '0'])
  if (code !== 0) throw failed('an empty program failed', 'node', `${code}`)
  return performance.now() - startedMs
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

function failed(fact: string, role: string, said: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact, action: 'operator', values: { role, said } })
}

benchMain(import.meta.url, {
  name: 'recovery',
  full: RECOVERY_FULL,
  smoke: RECOVERY_SMOKE,
  measure: measureRecovery,
  describe: describeRecovery,
})
