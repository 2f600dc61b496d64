/**
 * Does a frame get lost, torn, doubled or invented when the processes at the ends of a channel are killed?
 *
 *   parent ── kills, replaces, judges
 *     │            ledger (shared memory that survives the kills)
 *     ├─ producer ══ ring in /dev/shm ══▶ consumer          one lane; several at a time
 *     └─ warm processes, loaded and asleep, of which successors are made
 *
 * SIGKILL hits the producer, the consumer or both: from outside at random times, or from within right after a store to shared memory. For that
 * the processes run a copy of the compiled bus with a step behind every store (harness/step-build.ts), so that every gap between two stores is a
 * place to die. Both ends write into the ledger what they intend before each call of the bus and what returned after it; the judge
 * (harness/fault-judge.ts) compares. Rings are small, frames of all sizes, ends spin or park, positions go past 2^32. How fast a survivor goes on
 * is counted from the moment at which the successor has attached. A run is a schedule of processes: its seed fixes what is done, not when. It
 * needs two cores, better without other work.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Prng } from '#base/prng.js'
import { benchMain } from './harness/bench-main.js'
import { FAULT_END } from './harness/fault-end.js'
import { faultFlags, wholeNumber } from './harness/fault-flags.js'
import { FaultLane, type LaneReport } from './harness/fault-lane.js'
import type { FaultSabotage } from './harness/fault-order.js'
import { FaultPlan } from './harness/fault-plan.js'
import { WarmProcesses } from './harness/fault-processes.js'
import { percentile } from './harness/samples.js'
import { createStepBuild, type StepSite } from './harness/step-build.js'

export interface BusFaultsOptions {
  readonly seed: number
  /** How many processes to kill. */
  readonly kills: number
  /** How many channels at a time. */
  readonly lanes: number
  /** Makes one frame wrong, which the judge must find. */
  readonly sabotage?: FaultSabotage
}

export const BUS_FAULTS_FULL: BusFaultsOptions = { seed: 1, kills: 1000, lanes: 1 }
export const BUS_FAULTS_SMOKE: BusFaultsOptions = { seed: 1, kills: 60, lanes: 1 }

/** Frames are counted by what was wrong with them; times in milliseconds. */
export interface BusFaults {
  readonly bench: 'bus-faults'
  readonly kills: number
  readonly lost: number
  readonly torn: number
  readonly duplicated: number
  /** From the successor's attaching to the first frame that the survivor gets through. */
  readonly resumeMsP99: number
  readonly resumeMsP50: number
  readonly resumeMsMax: number
  readonly invented: number
  readonly frames: number
  readonly channels: number
  readonly seed: number
  /** Stores in the bus, and those right after which a process was killed. */
  readonly stepSites: number
  readonly stepSitesKilledAt: number
  /** The others: `file.function: store`. */
  readonly stepSitesLeft: readonly string[]
}

const SABOTAGES: readonly FaultSabotage[] = ['lose', 'tear', 'duplicate']
const KILLS_PER_CHANNEL = 40

/** Kills `kills` processes or some more. Throws ERR_BENCH_FAILED when an end fails otherwise than by a kill, or does not go on. */
export async function measureBusFaults(options: BusFaultsOptions): Promise<BusFaults> {
  const build = createStepBuild(FAULT_END)
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `millrace-faults-${process.pid}-`))
  const plan = new FaultPlan(build.sites, new Prng(`${options.seed}-plan`))
  const processes = new WarmProcesses(build.program, options.lanes + 2)
  const reports: LaneReport[] = []
  let channels = 0
  let killsLeft = options.kills
  const runLane = async () => {
    while (killsLeft > 0) {
      const kills = Math.min(killsLeft, KILLS_PER_CHANNEL)
      killsLeft -= kills
      const channel = channels++
      const prng = new Prng(`${options.seed}-${channel}`)
      const sabotage = channel === 0 ? options.sabotage : undefined
      reports.push(await new FaultLane({ folder, name: `lane-${channel}`, kills, sabotage, prng, plan, processes }).run())
    }
  }
  try {
    const lanes = await Promise.allSettled(Array.from({ length: options.lanes }, runLane))
    for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
    return summary(options, reports, plan)
  } finally {
    processes.close()
    build.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeBusFaults(result: BusFaults): string {
  return [
    `${result.kills} kills over ${result.channels} channels and ${result.frames} frames, seed ${result.seed}:`,
    `lost ${result.lost}, torn ${result.torn}, duplicated ${result.duplicated}, invented ${result.invented}`,
    `the survivor went on after p50 ${result.resumeMsP50} ms, p99 ${result.resumeMsP99} ms, at most ${result.resumeMsMax} ms`,
    `killed right after ${result.stepSitesKilledAt} of the ${result.stepSites} stores in the bus`,
  ].join('\n')
}

function summary({ seed }: BusFaultsOptions, reports: readonly LaneReport[], plan: FaultPlan): BusFaults {
  const count = (pick: (report: LaneReport) => number) => reports.reduce((sum, report) => sum + pick(report), 0)
  const resumeMs = Float64Array.from(reports.flatMap((report) => report.resumeMs))
  const ms = (share: number) => Math.round(percentile(resumeMs, share) * 100) / 100
  const { reached, unreached } = plan
  return {
    bench: 'bus-faults',
    kills: count((report) => report.kills),
    lost: count(({ verdict }) => verdict.lost.size),
    torn: count(({ verdict, isDamaged }) => verdict.torn.size + (isDamaged ? 1 : 0)),
    duplicated: count(({ verdict }) => verdict.duplicated.size),
    resumeMsP99: ms(0.99),
    resumeMsP50: ms(0.5),
    resumeMsMax: ms(1),
    invented: count(({ verdict }) => verdict.invented.size),
    frames: count((report) => report.frames),
    channels: reports.length,
    seed,
    stepSites: reached.length + unreached.length,
    stepSitesKilledAt: reached.length,
    stepSitesLeft: unreached.map(describeSite),
  }
}

function describeSite({ file, within, text }: StepSite): string {
  return `${file}.${within}: ${text}`
}

benchMain(import.meta.url, {
  name: 'bus-faults',
  full: BUS_FAULTS_FULL,
  smoke: BUS_FAULTS_SMOKE,
  measure: measureBusFaults,
  describe: describeBusFaults,
  isGood: ({ lost, torn, duplicated, invented }) => lost + torn + duplicated + invented === 0,
  flags: {
    ...faultFlags<BusFaultsOptions>(SABOTAGES),
    '--times': {
      value: 'N',
      help: 'how many processes to kill, 1 or more',
      apply: (options, value) => {
        const kills = wholeNumber(value, 1)
        return kills === undefined ? undefined : { ...options, kills }
      },
    },
  },
})
