/**
 * Does a tap keep up with a busy channel, and what does it cost the channel?
 *
 *   sender ══ ring ══▶ receiver
 *               ╚════▶ tap ──▶ file
 *
 * Three processes, none pinned, each parking when it has nothing to do, as an application and `millrace bus tap` would run. Once at a load
 * that is offered evenly, and once as fast as sender and receiver go, each without and with the tap in turns in the same run. The sender's
 * time counts from the first claim to the last release, so that waiting for the tap is in it. The receiver checks number and last word of
 * every frame, and every capture is read back and must hold every frame once and in order. On two cores three busy processes share two: at
 * full speed the tap takes from the ends what it needs to copy.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { CaptureReader, type CaptureSummary } from '#bus/index.js'
import { benchMain } from './harness/bench-main.js'
import { MeasuringProcess } from './harness/measuring-process.js'
import { median } from './harness/samples.js'
import type { TapEndOrder, TapEndReport, TapEndSetup } from './harness/tap-end.js'

export interface BusTapOptions {
  readonly bytes: number
  readonly capacityBytes: number
  readonly offeredFramesPerSecond: number
  /** Of one run at the offered load. */
  readonly offeredSeconds: number
  /** Of one run at full speed. */
  readonly fullSpeedFrames: number
  readonly rounds: number
}

export const BUS_TAP_FULL: BusTapOptions = {
  bytes: 48,
  capacityBytes: 2 ** 20,
  offeredFramesPerSecond: 1_200_000,
  offeredSeconds: 1.5,
  fullSpeedFrames: 5_000_000,
  rounds: 5,
}
export const BUS_TAP_SMOKE: BusTapOptions = {
  ...BUS_TAP_FULL,
  offeredFramesPerSecond: 200_000,
  offeredSeconds: 0.2,
  fullSpeedFrames: 100_000,
  rounds: 1,
}

/** Medians over the rounds. */
export interface TapCost {
  readonly framesPerSecond: number
  readonly framesPerSecondTapped: number
  /** With the tap by without; 1: not slowed at all. */
  readonly ratio: number
  /** How long a frame keeps the sender, waiting for room included. */
  readonly sendNs: number
  readonly sendNsTapped: number
  /** What the tap wrote, by the time of the sender. */
  readonly capturedPerSecond: number
  readonly gaps: number
}

export interface BusTap {
  readonly bench: 'bus-tap'
  readonly bytes: number
  readonly offeredFramesPerSecond: number
  readonly offered: TapCost
  readonly fullSpeed: TapCost
  readonly rounds: number
}

type End = MeasuringProcess<TapEndSetup, TapEndOrder, TapEndReport>

interface Measured {
  readonly framesPerSecond: number
  readonly sendNs: number
  readonly summary: CaptureSummary | undefined
}

/** Runs the measurement in processes of its own, which are gone when it resolves. Throws ERR_BENCH_FAILED when a frame is wrong or missing. */
export async function measureBusTap(options: BusTapOptions): Promise<BusTap> {
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-bench-tap-'))
  const files = mkdtempSync(join(tmpdir(), 'millrace-bench-tap-files-'))
  const bench = new TapBench(directory, join(files, 'capture'), options)
  try {
    const runs = { offered: [] as Measured[], offeredTapped: [] as Measured[], full: [] as Measured[], fullTapped: [] as Measured[] }
    const offeredFrames = Math.round(options.offeredFramesPerSecond * options.offeredSeconds)
    await bench.run(offeredFrames, options.offeredFramesPerSecond, true)
    for (let round = 0; round < options.rounds; round++) {
      runs.offered.push(await bench.run(offeredFrames, options.offeredFramesPerSecond, false))
      runs.offeredTapped.push(await bench.run(offeredFrames, options.offeredFramesPerSecond, true))
      runs.full.push(await bench.run(options.fullSpeedFrames, 0, false))
      runs.fullTapped.push(await bench.run(options.fullSpeedFrames, 0, true))
    }
    return {
      bench: 'bus-tap',
      bytes: options.bytes,
      offeredFramesPerSecond: options.offeredFramesPerSecond,
      offered: costOf(runs.offered, runs.offeredTapped),
      fullSpeed: costOf(runs.full, runs.fullTapped),
      rounds: options.rounds,
    }
  } finally {
    bench.end()
    rmSync(directory, { recursive: true, force: true })
    rmSync(files, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeBusTap({ bytes, offeredFramesPerSecond, offered, fullSpeed, rounds }: BusTap): string {
  const line = (name: string, cost: TapCost) =>
    `${name}: ${figure(cost.framesPerSecond)} frames/s without a tap, ${figure(cost.framesPerSecondTapped)} with it (ratio ${cost.ratio}); ` +
    `a frame keeps the sender ${cost.sendNs} ns without, ${cost.sendNsTapped} ns with; captured ${figure(cost.capturedPerSecond)} frames/s, ${cost.gaps} gaps`
  return [
    line(`${figure(offeredFramesPerSecond)} frames/s of ${bytes} bytes offered`, offered),
    line('as fast as it goes', fullSpeed),
    `medians over ${rounds} rounds; every capture held every frame, once and in order`,
  ].join('\n')
}

class TapBench {
  readonly #options: BusTapOptions
  readonly #path: string
  readonly #sender: End
  readonly #receiver: End
  readonly #tap: End
  #sent = 0

  constructor(directory: string, path: string, options: BusTapOptions) {
    const { capacityBytes } = options
    this.#options = options
    this.#path = path
    const end = (role: TapEndSetup['role']): End => new MeasuringProcess('harness/tap-end', { role, directory, capacityBytes })
    this.#sender = end('sender')
    this.#receiver = end('receiver')
    this.#tap = end('tap')
  }

  async run(frames: number, framesPerSecond: number, isTapped: boolean): Promise<Measured> {
    // The ends are there, and with them the channel, once they answer.
    await this.#receiver.order({ order: 'receive', frames: this.#sent })
    if (isTapped) await this.#tap.order({ order: 'capture', path: this.#path })
    const first = this.#sent
    this.#sent += frames
    const { elapsedMs, sendingMs } = await this.#sender.order({ order: 'send', frames, bytes: this.#options.bytes, framesPerSecond })
    await this.#receiver.order({ order: 'receive', frames: this.#sent })
    const measured = { framesPerSecond: (frames / elapsedMs) * 1000, sendNs: (sendingMs * 1e6) / frames }
    if (!isTapped) return { ...measured, summary: undefined }
    const { summary } = await this.#tap.order({ order: 'stop' })
    await checkCapture(this.#path, first, frames)
    rmSync(this.#path)
    return { ...measured, summary }
  }

  end(): void {
    for (const process of [this.#sender, this.#receiver, this.#tap]) process.kill()
  }
}

/** Every frame once and in order, by number and last word. */
async function checkCapture(path: string, first: number, count: number): Promise<void> {
  const reader = await CaptureReader.open(path)
  let expected = first
  try {
    for await (const item of reader.items()) {
      if (item.kind !== 'frames') continue
      const { bytes, frames } = item
      const floats = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 3)
      while (frames.next() === 'frame') {
        const last = floats[((frames.offset + frames.length) >> 3) - 1]
        if (floats[frames.offset >> 3] !== expected || last !== expected) throw wrong(expected, 'is not what was sent')
        expected++
      }
    }
    if (expected !== first + count || reader.isTruncated) throw wrong(expected, 'is missing')
  } finally {
    await reader.close()
  }
}

function wrong(frame: number, what: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact: `a frame of a capture ${what}`, action: 'operator', values: { frame } })
}

function costOf(without: readonly Measured[], tapped: readonly Measured[]): TapCost {
  const rate = (runs: readonly Measured[]) => median(runs.map(({ framesPerSecond }) => framesPerSecond))
  const sendNs = (runs: readonly Measured[]) => Math.round(median(runs.map((run) => run.sendNs)))
  return {
    framesPerSecond: Math.round(rate(without)),
    framesPerSecondTapped: Math.round(rate(tapped)),
    // Of neighbours, so that what the machine does meanwhile is in both.
    ratio: Math.round(median(tapped.map((run, round) => run.framesPerSecond / (without[round] as Measured).framesPerSecond)) * 1000) / 1000,
    sendNs: sendNs(without),
    sendNsTapped: sendNs(tapped),
    capturedPerSecond: Math.round(rate(tapped)),
    gaps: tapped.reduce((sum, { summary }) => sum + (summary?.gaps ?? 0), 0),
  }
}

function figure(value: number): string {
  return value.toLocaleString('en-US')
}

benchMain(import.meta.url, { name: 'bus-tap', full: BUS_TAP_FULL, smoke: BUS_TAP_SMOKE, measure: measureBusTap, describe: describeBusTap })
