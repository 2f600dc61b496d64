/**
 * What does it cost to listen to 64 channels, and does one that floods keep the others waiting?
 *
 *   feeder (core A) ══ 64 channels ══▶ sweeper (core B)
 *
 * Two pinned, spinning processes. First the sweeper sweeps while nothing comes. Then, in turns, the feeder sends one frame each few microseconds
 * to 63 channels, with the first channel silent or flooded with all that it takes. The latency of a frame runs from just before its claim to the
 * handler, so the feeder's own delay is not in it. A round counts when neither process had an involuntary context switch while it was
 * measured; the count of frames received is checked. Needs two cores of its own for some seconds.
 */
import { rmSync } from 'node:fs'
import { MillraceError } from '#base/errors.js'
import { benchMain } from './harness/bench-main.js'
import { FAN_IN_SCHEMA, type FanInEndSetup, type FanInOrder, type FanInReport } from './harness/fan-in-end.js'
import { createRing, ringFolder, twoCores } from './harness/ground.js'
import { MeasuringProcess } from './harness/measuring-process.js'
import { median } from './harness/samples.js'

export interface BusFanInOptions {
  /** How often quiet and flooded are measured in turns. */
  readonly rounds: number
  readonly framesPerRound: number
  readonly emptySweeps: number
}

export const BUS_FAN_IN_FULL: BusFanInOptions = { rounds: 400, framesPerRound: 600, emptySweeps: 200_000 }
export const BUS_FAN_IN_SMOKE: BusFanInOptions = { rounds: 10, framesPerRound: 1_000, emptySweeps: 20_000 }

/** Latencies in nanoseconds, medians over the rounds that count; null where none did. */
export interface BusFanIn {
  readonly bench: 'bus-fan-in'
  readonly channels: number
  readonly nsPerEmptyChannel: number
  readonly quiet: Latency
  readonly flooded: Latency & { readonly floodFramesPerSecond: number }
  /** p99 of the others while one channel floods, over their quiet p99. */
  readonly ratioP99: number | null
  readonly rounds: number
  /** The share of rounds that an involuntary context switch spoilt. */
  readonly discarded: number
}

export interface Latency {
  readonly p50Ns: number | null
  readonly p99Ns: number | null
}

export const EMPTY_CHANNEL_NS_MAX = 15
export const FLOOD_RATIO_MAX = 3
const CHANNELS = 64
const CAPACITY_BYTES = 16 * 1024
const EVERY_MICROS = 5
const EMPTY_ROUNDS = 9

type End = MeasuringProcess<FanInEndSetup, FanInOrder, FanInReport>

/** Throws ERR_BENCH_CORES where this process may use one core only, ERR_BENCH_FAILED when a process ended or frames were missing. */
export async function measureBusFanIn(options: BusFanInOptions): Promise<BusFanIn> {
  const [feedCore, sweepCore] = twoCores()
  const folder = ringFolder('fan-in')
  const ends: End[] = []
  try {
    const paths = Array.from({ length: CHANNELS }, (_, number) =>
      createRing(folder, String(number), { capacityBytes: CAPACITY_BYTES, schemaHash: FAN_IN_SCHEMA }),
    )
    const feeder: End = new MeasuringProcess('harness/fan-in-end', { role: 'feed', paths, core: feedCore })
    const sweeper: End = new MeasuringProcess('harness/fan-in-end', { role: 'sweep', paths, core: sweepCore })
    ends.push(feeder, sweeper)
    const emptyNs: number[] = []
    for (let round = 0; round < EMPTY_ROUNDS; round++) {
      emptyNs.push((await sweeper.order({ order: 'sweep-empty', rounds: options.emptySweeps })).nsPerEmptyChannel as number)
    }
    // Compiled by the time that it counts.
    for (const isFlooding of [false, true]) await measureRound(feeder, sweeper, options, isFlooding)
    const quiet: Round[] = []
    const flooded: Round[] = []
    for (let round = 0; round < options.rounds; round++) {
      quiet.push(await measureRound(feeder, sweeper, options, false))
      flooded.push(await measureRound(feeder, sweeper, options, true))
    }
    return summary(median(emptyNs), quiet, flooded, options)
  } finally {
    for (const end of ends) end.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeBusFanIn(result: BusFanIn): string {
  const { quiet, flooded } = result
  return [
    `a sweep over ${result.channels} channels: ${result.nsPerEmptyChannel.toFixed(1)} ns per empty channel`,
    `one frame each ${EVERY_MICROS} µs, all quiet:  p50 ${ns(quiet.p50Ns)}, p99 ${ns(quiet.p99Ns)}`,
    `the same, one channel flooded: p50 ${ns(flooded.p50Ns)}, p99 ${ns(flooded.p99Ns)}; ratio ${result.ratioP99} (p99); the flood: ${(flooded.floodFramesPerSecond / 1e6).toFixed(1)} M frames/s`,
    `medians over ${result.rounds} rounds each; ${(result.discarded * 100).toFixed(1)} % of the rounds discarded`,
  ].join('\n')
}

interface Round {
  readonly p50Ns: number
  readonly p99Ns: number
  readonly floodFrames: number
  readonly isDisturbed: boolean
}

async function measureRound(feeder: End, sweeper: End, { framesPerRound }: BusFanInOptions, isFlooding: boolean): Promise<Round> {
  const receiving = sweeper.order({ order: 'receive' })
  const fed = await feeder.order({ order: 'feed', frames: framesPerRound, everyMicros: EVERY_MICROS, isFlooding })
  const received = await receiving
  if (received.frames !== framesPerRound || received.floodFrames !== fed.floodFrames) {
    throw new MillraceError('ERR_BENCH_FAILED', {
      fact: 'frames are missing',
      action: 'operator',
      values: { sent: framesPerRound, received: received.frames, flood: fed.floodFrames, floodReceived: received.floodFrames },
    })
  }
  return {
    p50Ns: received.p50Ns as number,
    p99Ns: received.p99Ns as number,
    floodFrames: received.floodFrames as number,
    isDisturbed: fed.involuntarySwitches + received.involuntarySwitches > 0,
  }
}

function summary(emptyNs: number, quiet: readonly Round[], flooded: readonly Round[], options: BusFanInOptions): BusFanIn {
  const seconds = (options.framesPerRound * EVERY_MICROS) / 1e6
  const [quietLatency, floodedLatency] = [latencyOf(quiet), latencyOf(flooded)]
  const all = [...quiet, ...flooded]
  return {
    bench: 'bus-fan-in',
    channels: CHANNELS,
    nsPerEmptyChannel: Math.round(emptyNs * 10) / 10,
    quiet: quietLatency,
    flooded: { ...floodedLatency, floodFramesPerSecond: Math.round(median(flooded.map((round) => round.floodFrames)) / seconds) },
    ratioP99:
      quietLatency.p99Ns === null || floodedLatency.p99Ns === null
        ? null
        : Math.round((floodedLatency.p99Ns / quietLatency.p99Ns) * 100) / 100,
    rounds: options.rounds,
    discarded: Math.round((all.filter((round) => round.isDisturbed).length / all.length) * 1000) / 1000,
  }
}

function latencyOf(rounds: readonly Round[]): Latency {
  const counted = rounds.filter((round) => !round.isDisturbed)
  if (counted.length === 0) return { p50Ns: null, p99Ns: null }
  return {
    p50Ns: Math.round(median(counted.map((round) => round.p50Ns))),
    p99Ns: Math.round(median(counted.map((round) => round.p99Ns))),
  }
}

function ns(value: number | null): string {
  return value === null ? '(disturbed)' : `${value} ns`
}

benchMain(import.meta.url, {
  name: 'bus-fan-in',
  full: BUS_FAN_IN_FULL,
  smoke: BUS_FAN_IN_SMOKE,
  measure: measureBusFanIn,
  describe: describeBusFanIn,
  isGood: ({ nsPerEmptyChannel, ratioP99 }) =>
    nsPerEmptyChannel <= EMPTY_CHANNEL_NS_MAX && ratioP99 !== null && ratioP99 <= FLOOD_RATIO_MAX,
})
