import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { type Clock, systemClock } from '#base/clock.js'
import type { CaptureHeader } from './capture-format.js'
import { CaptureWriter } from './capture-writer.js'
import { ChannelTap, type ChannelTapOptions } from './channel-tap.js'
import { machineMs } from './machine-ms.js'
import type { Tap } from './tap.js'

export interface CaptureOptions extends ChannelTapOptions {
  /** The file to write. */
  readonly path: string
  /** Ends the capture, in order. */
  readonly signal: AbortSignal
  readonly forMs?: number | undefined
  /** Ends the capture when the file has grown so large. */
  readonly bytesMax?: number | undefined
  readonly onProgress?: (soFar: CaptureSummary) => void
  readonly clock?: Clock
}

export interface CaptureSummary {
  readonly channel: string
  readonly path: string
  readonly frames: number
  /** Of the channel, with headers and padding. */
  readonly bytes: number
  readonly fileBytes: number
  /** How often the lease ran out, and how many bytes of the channel were missed by that. */
  readonly gaps: number
  readonly lostBytes: number
  /** How often the channel was made anew. */
  readonly anew: number
  readonly durationMs: number
  /** `channel`: its file is gone, since its plant has ended. */
  readonly endedBy: 'signal' | 'time' | 'size' | 'channel' | 'nothing'
}

/** A look that found a share of the ring as large as this is followed by others at once, for a moment; else by a rest. */
const BUSY_SHARE = 1 / 8
const BUSY_MS = 1
const REST_MS = 1
/** What one look copies, unless the largest frame needs more or the ring is smaller. */
const LOOK_BYTES = 1024 * 1024
const PROGRESS_EVERY_MS = 200

/**
 * Taps a channel and writes what it sees into a file, until told to end or until the channel is gone. The disk may be slow: what waits for it is
 * bounded, and then the tap stops looking, holds the channel back for a lease and has a gap after that.
 *
 * Throws what ChannelTap and CaptureWriter throw; then the file, if it was made, can be read up to what was written before.
 */
export async function capture(options: CaptureOptions): Promise<CaptureSummary> {
  const tap = ChannelTap.open(options)
  try {
    const clock = options.clock ?? systemClock
    const writer = await CaptureWriter.create(options.path, headerOf(tap.tap, clock), roomFor(tap.tap))
    return await new Capture(tap, writer, options, clock).run()
  } finally {
    tap.close()
  }
}

class Capture {
  readonly #tap: ChannelTap
  readonly #writer: CaptureWriter
  readonly #options: CaptureOptions
  readonly #clock: Clock
  readonly #startMs = machineMs()
  #frames = 0
  #bytes = 0
  #gaps = 0
  #lostBytes = 0
  #anew = 0
  #progressAtMs = 0

  constructor(tap: ChannelTap, writer: CaptureWriter, options: CaptureOptions, clock: Clock) {
    this.#tap = tap
    this.#writer = writer
    this.#options = options
    this.#clock = clock
  }

  async run(): Promise<CaptureSummary> {
    const endedBy = await this.#untilOver().catch(async (error: unknown) => {
      await this.#writer.close(this.#tap.tap.position, this.#clock.nowMicros()).catch(() => undefined)
      throw error
    })
    await this.#writer.close(this.#tap.tap.position, this.#clock.nowMicros())
    return this.#summary(endedBy)
  }

  async #untilOver(): Promise<CaptureSummary['endedBy']> {
    let busyUntilMs = 0
    for (;;) {
      const over = this.#isOver()
      if (over !== undefined) {
        if (over !== 'size') this.#takeRest()
        return over
      }
      const room = this.#writer.room()
      if (room === undefined) {
        await this.#writer.written()
        continue
      }
      const found = this.#look(room)
      if (found === 'ended') return 'channel'
      if (found === 'busy') busyUntilMs = machineMs() + BUSY_MS
      if (machineMs() < busyUntilMs) await nextTurn()
      else await delay(REST_MS)
    }
  }

  /** What was published before the end came. */
  #takeRest(): void {
    const end = this.#tap.tap.position + this.#tap.tap.waitingBytes
    for (let room = this.#writer.room(); room !== undefined && this.#tap.tap.position < end; room = this.#writer.room()) {
      if (this.#look(room) !== 'busy') return
    }
  }

  #look(room: Uint8Array): 'busy' | 'calm' | 'ended' {
    const found = this.#tap.poll(room)
    const micros = this.#clock.nowMicros()
    const { tap } = this.#tap
    if (found === 'frames') {
      this.#writer.frames(tap.byteCount, tap.frameCount, tap.startPosition, micros)
      this.#frames += tap.frameCount
      this.#bytes += tap.byteCount
    } else if (found === 'gap') {
      this.#gap(tap.gapBytes, tap.startPosition, micros)
    } else if (found === 'anew') {
      // A channel begins at 0: what was released before the tap saw it is missing.
      this.#writer.anew(headerOf(tap, this.#clock), 0, micros, roomFor(tap))
      this.#anew++
      if (tap.position > 0) this.#gap(tap.position, 0, micros)
    }
    this.#tell()
    if (found === 'ended') return 'ended'
    return found === 'nothing' || (found === 'frames' && tap.byteCount < tap.capacityBytes * BUSY_SHARE) ? 'calm' : 'busy'
  }

  #gap(lostBytes: number, position: number, micros: number): void {
    this.#writer.gap(lostBytes, position, micros)
    this.#gaps++
    this.#lostBytes += lostBytes
  }

  #isOver(): CaptureSummary['endedBy'] | undefined {
    const { signal, forMs = Number.POSITIVE_INFINITY, bytesMax = Number.POSITIVE_INFINITY } = this.#options
    if (signal.aborted) return 'signal'
    if (machineMs() - this.#startMs >= forMs) return 'time'
    return this.#writer.byteCount >= bytesMax ? 'size' : undefined
  }

  #tell(): void {
    const nowMs = machineMs()
    if (this.#options.onProgress === undefined || nowMs < this.#progressAtMs) return
    this.#progressAtMs = nowMs + PROGRESS_EVERY_MS
    this.#options.onProgress(this.#summary('nothing'))
  }

  #summary(endedBy: CaptureSummary['endedBy']): CaptureSummary {
    return {
      channel: this.#tap.tap.name,
      path: this.#options.path,
      frames: this.#frames,
      bytes: this.#bytes,
      fileBytes: this.#writer.byteCount,
      gaps: this.#gaps,
      lostBytes: this.#lostBytes,
      anew: this.#anew,
      durationMs: machineMs() - this.#startMs,
      endedBy,
    }
  }
}

function roomFor(tap: Tap): number {
  return Math.max(tap.pollBytesMin, Math.min(tap.capacityBytes, LOOK_BYTES))
}

function headerOf(tap: Tap, clock: Clock): CaptureHeader {
  const { name: channel, capacityBytes, schemaHash, hasChecksums } = tap
  return { channel, capacityBytes, schemaHash, hasChecksums, startMicros: clock.nowMicros(), startMachineMs: machineMs() }
}
