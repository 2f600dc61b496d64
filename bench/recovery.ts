/**
 * How long is a part of the plant away when its process is killed, and is anything lost?
 *
 *   client ──SIGKILL──▶ the worker of a plant ◀══ journal, log of a, b, c, d
 *      └── a command to each entity ══▶ gateway ══▶ its successor: until the last one is acknowledged
 *
 * Case a: 100 entities, a snapshot and 20 tail events each. b: 10,000 entities, 1,000,000 events, no snapshot. c: 100,000 entities, a snapshot and 10 tail
 * events each; in these three nothing but the events of the log has no snapshot, at each kill. d: 10,000 entities under load, killed 100 times, with the
 * snapshots that a plant takes by itself. The clock runs from the SIGKILL, which the benchmark sends itself, to the last acknowledgement;
 * each kill waits until the spare stands by and rests, and commands go to the entities of the killed worker. b again with two workers, of which one is killed: the start
 * of both plants tells what two workers gain that load at once. A case counts when the
 * states in memory are those of a replay and the log has every acknowledged command once.
 *
 * Where the time could go: the same log folded by one query per entity, by one scan, and with the decoding in threads beside it.
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
import { measureParallel, type ParallelRecovery } from './harness/recovery-parallel.js'
import { measureCase, type RecoveryCase, type RecoveryRow } from './harness/recovery-cases.js'
import { median } from './harness/samples.js'

const ROLES = ['worker', 'journal', 'gateway', 'supervisor'] as const

export interface RecoveryBenchOptions {
  /** Kills per role. */
  readonly times: number
  readonly roles: readonly (typeof ROLES)[number][]
  /** Empty programs before each role. */
  readonly starts: number
  readonly cases: readonly RecoveryCase[]
  /** Of the log that is folded in several ways. */
  readonly parallel: { readonly entities: number; readonly eventsEach: number; readonly rounds: number }
}

export const RECOVERY_FULL: RecoveryBenchOptions = {
  times: 20,
  roles: ROLES,
  starts: 10,
  cases: [
    { name: 'a', entities: 100, eventsEach: 100, snapshotAt: 80, workers: 1, kills: 11, isColdToo: true },
    { name: 'b', entities: 10_000, eventsEach: 100, workers: 1, kills: 5, isColdToo: true },
    { name: 'b', entities: 10_000, eventsEach: 100, workers: 2, kills: 5 },
    { name: 'c', entities: 100_000, eventsEach: 30, snapshotAt: 20, workers: 1, kills: 3, isColdToo: true },
    { name: 'd', entities: 10_000, eventsEach: 30, snapshotAt: 20, workers: 2, kills: 100, perSecond: 2000 },
  ],
  parallel: { entities: 1000, eventsEach: 300, rounds: 5 },
}
export const RECOVERY_SMOKE: RecoveryBenchOptions = {
  times: 1,
  roles: ['worker'],
  starts: 2,
  cases: [{ name: 'a', entities: 20, eventsEach: 20, snapshotAt: 15, workers: 1, kills: 1 }],
  parallel: { entities: 20, eventsEach: 20, rounds: 1 },
}

/** Times in milliseconds. */
export interface RecoveryBench {
  readonly bench: 'recovery'
  readonly rows: readonly RecoveryRow[]
  readonly parallelRatio: ParallelRatio
  /** Of all kills of case d, or of all where there is no such case. */
  readonly rtoMs: { readonly p50: number; readonly p99: number }
  readonly roles: readonly RoleRecovery[]
  readonly ackedMissing: number
  readonly duplicated: number
  readonly outOfOrder: number
  readonly reference: { readonly name: 'empty node program'; readonly medianMs: number }
}

/** How many times as long as what recovery does. */
export interface ParallelRatio extends ParallelRecovery {
  /** One query per entity, over one scan. */
  readonly sequentialOverScan: number
  /** The start of a plant with all of b on one worker, over that on two at once; undefined where both were not measured. */
  readonly oneWorkerOverTwo: number | undefined
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
export async function measureRecovery({ times, roles, starts, cases, parallel }: RecoveryBenchOptions): Promise<RecoveryBench> {
  const rows: RecoveryRow[] = []
  let killed: readonly number[] = []
  for (const one of cases) {
    const found = await measureCase(one)
    rows.push(...found.rows)
    killed = one.name === 'd' ? found.allMs : [...killed, ...found.allMs]
  }
  const folded = await measureParallel(parallel.entities, parallel.eventsEach, parallel.rounds)
  const measured: { readonly role: string; readonly report: PlantReport }[] = []
  const empties: number[] = []
  if (roles.length === 0) empties.push(await emptyProgramMs())
  for (const role of roles) {
    for (let start = 0; start < starts; start++) empties.push(await emptyProgramMs())
    measured.push({ role, report: await drill(role, times) })
  }
  const sum = (pick: (report: PlantReport) => number) => measured.reduce((total, { report }) => total + pick(report), 0)
  return {
    bench: 'recovery',
    rows,
    parallelRatio: {
      ...folded,
      sequentialOverScan: rounded(folded.sequentialMs / folded.scanMs),
      oneWorkerOverTwo: ratioOf(rows),
    },
    rtoMs: { p50: rounded(median(killed)), p99: rounded(percentile(Float64Array.from(killed).sort(), 0.99)) },
    roles: measured.map(({ role, report }) => recoveryOf(role, report)),
    ackedMissing: sum((report) => report.ackedMissing) + rows.reduce((all, row) => all + row.ackedMissing, 0),
    duplicated: sum((report) => report.duplicated) + rows.reduce((all, row) => all + row.duplicated, 0),
    outOfOrder: sum((report) => report.outOfOrder),
    reference: { name: 'empty node program', medianMs: rounded(median(empties)) },
  }
}

/** A report for people. */
export function describeRecovery({ rows, parallelRatio, rtoMs, roles, reference, ...found }: RecoveryBench): string {
  const cases = rows.map(
    (row) =>
      `${row.case} ${row.cache}, ${row.entities} entities of ${row.lostEntities} lost, ${row.events} events, workers ${row.workers}: started in ${row.startMs} ms, back in ${row.ms} ms, p99 ${row.p99Ms} ms of ` +
      `${row.kills} kills, replay ${row.replayMs} ms, memory × ${row.memoryRatio}${row.hashOk ? '' : ', THE STATES DIFFER'}`,
  )
  const { sequentialMs, scanMs, decodeThreadsMs, sequentialOverScan } = parallelRatio
  const lines = roles.map(({ role, kills, p50Ms, p99Ms, maxMs, phasesMs }) => {
    const phases = Object.entries(phasesMs).map(([name, ms]) => `${name} ${ms}`)
    return `${role.padEnd(10)} ${kills} kills: p50 ${p50Ms} ms, p99 ${p99Ms} ms, max ${maxMs} ms (median of phases: ${phases.join(', ')})`
  })
  return [
    ...cases,
    `until all entities of case d take commands: p50 ${rtoMs.p50} ms, p99 ${rtoMs.p99} ms`,
    `${parallelRatio.events} events by one query per entity ${sequentialMs} ms, by one scan ${scanMs} ms: × ${sequentialOverScan}`,
    `decoded in 0, 1, 2 threads: ${decodeThreadsMs['0']}, ${decodeThreadsMs['1']}, ${decodeThreadsMs['2']} ms`,
    ...lines,
    `acknowledged and missing ${found.ackedMissing}, doubled ${found.duplicated}, out of order ${found.outOfOrder}`,
    `an empty Node program takes ${reference.medianMs} ms`,
  ].join('\n')
}

function ratioOf(rows: readonly RecoveryRow[]): number | undefined {
  const msOf = (count: number) =>
    rows.find(({ case: name, cache, workers }) => name === 'b' && cache === 'warm' && workers === count)?.startMs
  const [one, two] = [msOf(1), msOf(2)]
  return one === undefined || two === undefined ? undefined : rounded(one / two)
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
  isGood: ({ ackedMissing, duplicated, rows }) => ackedMissing === 0 && duplicated === 0 && rows.every(({ hashOk }) => hashOk),
  flags: {
    '--only': {
      value: 'CASES',
      help: 'only these cases, such as ab, and no drills',
      apply: (options, names) => ({ ...options, roles: [], cases: options.cases.filter(({ name }) => names.includes(name)) }),
    },
  },
})
