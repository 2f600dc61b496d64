import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { FileLock, Mapping, ownProcess, RemoteBell } from '#shm/index.js'
import { HEADER_BYTES, PRODUCER_PARKED_WORD } from './layout.js'
import { machineMs } from './machine-ms.js'
import type { Peer } from './peer.js'
import { Tap, type TapFound } from './tap.js'

export interface ChannelTapOptions {
  /** The file of the channel's memory, and the one that keeps a second tap out. */
  readonly ringPath: string
  readonly lockPath: string
  readonly leaseMs: number
  /** The producer's process, for the memory of the channel. */
  readonly peerOf?: (buffer: ArrayBuffer) => Peer
}

/** Where a tap finds a channel that `openChannel` made, and how it wakes its producer. */
export function openedChannel(directory: string, name: string): Omit<ChannelTapOptions, 'leaseMs'> {
  const path = (suffix: string) => join(directory, `${name}.${suffix}`)
  const bell = new RemoteBell(path('producer.bell'))
  return {
    ringPath: path('ring'),
    lockPath: path('tap.lock'),
    peerOf: (buffer) => {
      const words = new Int32Array(buffer, 0, HEADER_BYTES / 4)
      return { words, index: PRODUCER_PARKED_WORD, ring: () => void bell.ring() }
    },
  }
}

/** `anew`: the channel was made anew, and the next look begins at its start. `ended`: its file is gone for good. */
export type ChannelTapFound = Exclude<TapFound, 'gone'> | 'anew' | 'ended'

const LOOK_AT_FILE_EVERY_MS = 100
/** Between a channel's removal and its successor. */
const ABSENT_MS_MAX = 2000
/** Between damage that the tap found and the ends' finding it and making the channel anew. */
const ANEW_WITHIN_MS = 2000

/**
 * A tap of the channel in a file, that goes on with its successors: when the ends give a damaged channel up and when a plant starts again. What
 * was published in a channel that was given up, and not copied by then, is lost with it.
 */
export class ChannelTap {
  readonly #options: ChannelTapOptions
  #lock: FileLock | undefined
  #mapping: Mapping
  #tap: Tap
  /** There is nothing to be had from the channel as it is mapped; and when that is since it was found damaged, what was thrown. */
  #isGone = false
  #damage: { readonly error: unknown; readonly sinceMs: number } | undefined
  #file: string | undefined
  #lookAtMs = 0
  #absentSinceMs = Number.POSITIVE_INFINITY

  /** Throws ERR_TAP_HELD when the channel is tapped already; ERR_SHM_MISSING, ERR_CHANNEL_FORMAT, ERR_CHANNEL_CORRUPT and what else src/shm throws. */
  static open(options: ChannelTapOptions): ChannelTap {
    const lock = takeLock(options)
    try {
      return new ChannelTap(options, lock)
    } catch (error) {
      lock.close()
      throw error
    }
  }

  private constructor(options: ChannelTapOptions, lock: FileLock) {
    this.#options = options
    this.#lock = lock
    this.#file = fileAt(options.ringPath)
    const { mapping, tap } = this.#openTap()
    this.#mapping = mapping
    this.#tap = tap
  }

  /** Of the channel as it is now. */
  get tap(): Tap {
    return this.#tap
  }

  /**
   * As `Tap.poll`. After `anew`, `tap` is another one, which may need more room. Throws ERR_TAP_HELD when another tap was faster then, and
   * ERR_CHANNEL_CORRUPT when the ends do not make a damaged channel anew.
   */
  poll(target: Uint8Array): ChannelTapFound {
    const found = this.#isGone ? 'gone' : this.#lookAtChannel(target)
    if (found === 'frames' || found === 'gap') return found
    if (found === 'gone') this.#isGone = true
    const nowMs = machineMs()
    if (nowMs < this.#lookAtMs && !this.#isGone) return 'nothing'
    this.#lookAtMs = nowMs + LOOK_AT_FILE_EVERY_MS
    return this.#lookAtFile(nowMs)
  }

  /** Lets the producer go on alone, and the next tap have the channel. */
  close(): void {
    if (!this.#isGone) this.#tap.detach()
    this.#mapping.close()
    this.#lock?.close()
  }

  /** The ends find damage too, a little later, unless they are past it. */
  #lookAtChannel(target: Uint8Array): TapFound {
    try {
      return this.#tap.poll(target)
    } catch (error) {
      if (!isMillraceError(error, 'ERR_CHANNEL_CORRUPT')) throw error
      this.#tap.detach()
      this.#damage = { error, sinceMs: machineMs() }
      return 'gone'
    }
  }

  /** All that was published is copied, or nothing of it is to be had any more. */
  #lookAtFile(nowMs: number): ChannelTapFound {
    const file = fileAt(this.#options.ringPath)
    if (file === undefined) {
      this.#absentSinceMs = Math.min(this.#absentSinceMs, nowMs)
      const isLeft = fileAt(dirname(this.#options.ringPath)) === undefined
      return isLeft || nowMs - this.#absentSinceMs > ABSENT_MS_MAX ? 'ended' : 'nothing'
    }
    this.#absentSinceMs = Number.POSITIVE_INFINITY
    if (file === this.#file && this.#damage !== undefined) {
      if (nowMs - this.#damage.sinceMs > ANEW_WITHIN_MS) throw this.#damage.error
      return 'nothing'
    }
    if (file === this.#file && !this.#isGone) return 'nothing'
    this.#lockAnew()
    try {
      const { mapping, tap } = this.#openTap()
      this.#mapping.close()
      this.#mapping = mapping
      this.#tap = tap
    } catch (error) {
      // It is fenced still, or being made.
      if (isMillraceError(error, 'ERR_CHANNEL_CORRUPT') || isMillraceError(error, 'ERR_CHANNEL_FORMAT') || isGoneAgain(error))
        return 'nothing'
      throw error
    }
    this.#file = file
    this.#isGone = false
    this.#damage = undefined
    return 'anew'
  }

  /** A plant that starts removes the file of the lock with all else, and then another tap may have taken the new one. */
  #lockAnew(): void {
    this.#lock?.close()
    this.#lock = undefined
    this.#lock = takeLock(this.#options)
  }

  #openTap(): { readonly mapping: Mapping; readonly tap: Tap } {
    const { ringPath, leaseMs, peerOf } = this.#options
    const mapping = Mapping.open(ringPath)
    try {
      const peer = peerOf === undefined ? {} : { peer: peerOf(mapping.buffer) }
      return { mapping, tap: new Tap(mapping.buffer, { ...ownProcess(), leaseMs, ...peer }) }
    } catch (error) {
      mapping.close()
      throw error
    }
  }
}

/** Tells a file from another that came in its place. */
function fileAt(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats === undefined ? undefined : `${stats.dev}/${stats.ino}`
}

function isGoneAgain(error: unknown): boolean {
  return isMillraceError(error, 'ERR_SHM_MISSING') || isMillraceError(error, 'ERR_SHM_SHORT')
}

function takeLock({ ringPath, lockPath }: ChannelTapOptions): FileLock {
  try {
    return FileLock.acquire(lockPath)
  } catch (error) {
    if (!isMillraceError(error, 'ERR_LOCK_HELD')) throw error
    throw new MillraceError('ERR_TAP_HELD', {
      fact: 'the channel is tapped already',
      action: 'operator',
      values: { channel: ringPath, pid: error.values['pid'] },
      next: 'end that tap first: a channel has one at a time',
      cause: error,
    })
  }
}
