/**
 * How long does a message of 32 bytes and its answer take between two Node processes?
 *
 *   initiator (core A) ══ ping ring ══▶ responder (core B)
 *   initiator          ◀══ pong ring ══ responder
 *
 * Both spin, pinned, TypeScript at both ends, through the real channel: claim, write, commit, publish; read, answer, release. The reference
 * is reference/ping-pong.c: one word of one cache line between two processes, pinned the same way, measured in turns with ours.
 * Means come from batches timed as a whole, percentiles from trips timed one by one less the clock's own cost; both leave no trip out, and
 * the next trip starts when the one before it has ended, so there is no schedule that a slow trip could hide from. A batch counts when
 * neither process had an involuntary context switch. Every answer is checked. Needs two cores of its own for some seconds.
 */
import { rmSync } from 'node:fs'
import { type CProgram, compileC } from './harness/c-program.js'
import { benchMain } from './harness/bench-main.js'
import { createRing, ringFolder, twoCores } from './harness/ground.js'
import { MeasuringProcess } from './harness/measuring-process.js'
import { RTT_SCHEMA, type RttEndSetup, type RttOrder, type RttRound } from './harness/rtt-end.js'
import { median } from './harness/samples.js'
import { undisturbed } from './harness/undisturbed.js'

export interface BusRttOptions {
  /** How often ours and the reference are measured in turns. */
  readonly rounds: number
  readonly batches: number
  readonly tripsPerBatch: number
  /** Without it `reference` and the ratios are null. */
  readonly withReference: boolean
}

export const BUS_RTT_FULL: BusRttOptions = { rounds: 21, batches: 80, tripsPerBatch: 2_000, withReference: true }
export const BUS_RTT_SMOKE: BusRttOptions = { rounds: 1, batches: 40, tripsPerBatch: 1_000, withReference: true }

/** Times in nanoseconds, medians over the rounds. */
export interface BusRtt {
  readonly bench: 'bus-rtt'
  readonly meanNs: number
  readonly p50Ns: number
  readonly p99Ns: number
  readonly p999Ns: number
  /** One look at the clock, already taken off. */
  readonly clockNs: number
  readonly reference: { readonly name: 'c-ping-pong'; readonly meanNs: number; readonly p99Ns: number } | null
  /** Why there is no reference. */
  readonly referenceMissing?: string
  readonly ratioMean: number | null
  readonly ratioP99: number | null
  readonly rounds: number
  /** The share of batches, ours and the reference's, that an involuntary context switch spoilt. */
  readonly discarded: number
}

const CAPACITY_BYTES = 64 * 1024
const ORDER_MS_MAX = 30_000

/**
 * Runs the measurement in processes of its own, which are gone when it resolves. Throws ERR_BENCH_CORES where this process may use one core
 * only, ERR_BENCH_DISTURBED when no batch of a round counted for a minute, ERR_BENCH_FAILED when a process ended or an answer was wrong.
 */
export async function measureBusRtt(options: BusRttOptions): Promise<BusRtt> {
  const [firstCore, secondCore] = twoCores()
  const reference = options.withReference ? await compileC('ping-pong.c') : 'it was not asked for'
  const folder = ringFolder('rtt')
  const ends: End[] = []
  try {
    const ring = { capacityBytes: CAPACITY_BYTES, schemaHash: RTT_SCHEMA }
    const [ping, pong] = [createRing(folder, 'ping', ring), createRing(folder, 'pong', ring)]
    const initiator: End = new MeasuringProcess('harness/rtt-end', { outbound: ping, inbound: pong, core: firstCore })
    const responder: End = new MeasuringProcess('harness/rtt-end', { outbound: pong, inbound: ping, core: secondCore })
    ends.push(initiator, responder)
    const ours: Tries<RttRound>[] = []
    const theirs: Tries<ReferenceRound>[] = []
    for (let round = 0; round < options.rounds; round++) {
      ours.push(await measureRound(initiator, responder, options))
      if (typeof reference !== 'string') theirs.push(await measureReference(reference, [firstCore, secondCore], options))
    }
    return summary(ours, theirs, typeof reference === 'string' ? reference : undefined)
  } finally {
    for (const end of ends) end.kill()
    if (typeof reference !== 'string') reference.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeBusRtt(result: BusRtt): string {
  const { reference } = result
  const lines = [
    `32-byte round trip between two processes: mean ${ns(result.meanNs)}, p50 ${ns(result.p50Ns)}, p99 ${ns(result.p99Ns)}, p99.9 ${ns(result.p999Ns)}`,
    reference === null
      ? `no C ping-pong to compare with: ${result.referenceMissing}`
      : `C ping-pong on one cache line:            mean ${ns(reference.meanNs)}, p99 ${ns(reference.p99Ns)}; ratio ${result.ratioMean} (mean), ${result.ratioP99} (p99)`,
    `medians over ${result.rounds} rounds; ${(result.discarded * 100).toFixed(1)} % of the batches discarded; the clock's ${ns(result.clockNs)} are taken off`,
  ]
  return lines.join('\n')
}

/** What ping-pong.c prints; -1 where no batch counted. */
interface ReferenceRound {
  readonly meanNs: number
  readonly p99Ns: number
  readonly batches: number
  readonly discarded: number
}

type End = MeasuringProcess<RttEndSetup, RttOrder, RttRound | null>

/** A round, as often as it was measured until one of its batches counted: that one last. */
type Tries<T> = readonly [...T[], T]

function measureRound(initiator: End, responder: End, { tripsPerBatch, batches }: BusRttOptions): Promise<Tries<RttRound>> {
  const measure = async () => {
    const [round] = await Promise.all([initiator.order({ order: 'measure', tripsPerBatch, batches }), responder.order({ order: 'answer' })])
    if (round === null) throw new Error('an initiator answers with a round')
    return round
  }
  // JSON has no NaN.
  return undisturbed('the channel', measure, ({ meanNs, p50Ns }) => meanNs !== null && p50Ns !== null)
}

function measureReference(program: CProgram, cores: readonly number[], options: BusRttOptions): Promise<Tries<ReferenceRound>> {
  const measure = async () => (await program.run([...cores, options.tripsPerBatch, options.batches], ORDER_MS_MAX)) as ReferenceRound
  return undisturbed('the reference', measure, ({ meanNs, p99Ns }) => meanNs >= 0 && p99Ns >= 0)
}

function summary(ours: readonly Tries<RttRound>[], theirs: readonly Tries<ReferenceRound>[], referenceMissing: string | undefined): BusRtt {
  const counted = <T>(rounds: readonly Tries<T>[], pick: (round: T) => number) =>
    rounded(median(rounds.map((tries) => pick(tries.at(-1) as T))))
  const middle = (pick: (round: RttRound) => number) => counted(ours, pick)
  const meanNs = middle((round) => round.meanNs)
  const p99Ns = middle((round) => round.p99Ns)
  const reference =
    theirs.length === 0
      ? null
      : {
          name: 'c-ping-pong' as const,
          meanNs: counted(theirs, (round) => round.meanNs),
          p99Ns: counted(theirs, (round) => round.p99Ns),
        }
  const all = [...ours.flat(), ...theirs.flat()]
  const batches = all.reduce((sum, round) => sum + round.batches, 0)
  const discarded = all.reduce((sum, round) => sum + round.discarded, 0)
  return {
    bench: 'bus-rtt',
    meanNs,
    p50Ns: middle((round) => round.p50Ns),
    p99Ns,
    p999Ns: middle((round) => round.p999Ns),
    clockNs: middle((round) => round.clockNs),
    reference,
    ...(referenceMissing === undefined ? {} : { referenceMissing }),
    ratioMean: reference === null ? null : rounded(meanNs / reference.meanNs, 100),
    ratioP99: reference === null ? null : rounded(p99Ns / reference.p99Ns, 100),
    rounds: ours.length,
    discarded: rounded(discarded / batches, 10_000),
  }
}

function rounded(value: number, parts = 10): number {
  return Math.round(value * parts) / parts
}

function ns(value: number): string {
  return `${Math.round(value)} ns`
}

benchMain(import.meta.url, {
  name: 'bus-rtt',
  full: BUS_RTT_FULL,
  smoke: BUS_RTT_SMOKE,
  measure: measureBusRtt,
  describe: describeBusRtt,
  flags: { '--alone': { help: 'without the C ping-pong', apply: (options) => ({ ...options, withReference: false }) } },
})
