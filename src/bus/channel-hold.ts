import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isPowerOfTwo } from '#base/align.js'
import { type Clock, systemClock } from '#base/clock.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { Bell, FileLock, isAlive, type Mapping, ownProcess, RemoteBell } from '#shm/index.js'
import { type ChannelDamage, isDamage } from './channel-damage.js'
import { openChannelFile } from './channel-file.js'
import { channelStat, type EndStat } from './channel-stat.js'
import { type ChannelRole, detach, fenceChannel } from './header.js'
import * as layout from './layout.js'
import type { Peer } from './peer.js'
import type { EndOptions } from './producer.js'
import type { IdleStrategy, RingListener, WaitCounters } from './waiting.js'

/** A channel on its own, without a plant around it: two processes that agree on a directory and a name. */
export interface OpenChannelOptions {
  /** Made with mode 0700 when it is not there. Best in a file system in memory, such as below /dev/shm. */
  readonly directory: string
  /** Letters, digits, dots, dashes and underscores. */
  readonly name: string
  readonly role: ChannelRole
  /** Of the ring, a power of two: what the end that comes first makes. Default 1 MiB for it, whatever is there for the other. */
  readonly capacityBytes?: number
  /** An int32 that both ends must agree on, default 0. */
  readonly schemaHash?: number
  /**
   * Makes a channel whose frames carry checksums, default without; an end that finds one made otherwise is refused, one that does not say
   * takes it as it is. With them, bytes that anything wrote into a frame between its commit and its `next` are found; without, only what
   * makes a header or a frame's own header impossible is.
   */
  readonly checksums?: boolean
  /**
   * Told after the channel was found damaged: it has been made anew by then and this end goes on in the new one, as the other does once it
   * looks. What lay between the two positions was given up: a producer sends again what matters of it. Without this, whatever finds the
   * damage throws, and `reopen` makes the channel anew.
   */
  readonly onDamaged?: (damage: ChannelDamage) => void
  /** How this end waits, default `adaptive`. Ends in one process spin in turns: with many of them, `park`. */
  readonly strategy?: IdleStrategy
  /** How long `adaptive` spins. */
  readonly spinMicros?: number
  readonly clock?: Clock
}

/** The largest that Linux gives. */
const PID_MAX = 2 ** 22
/** A channel that is damaged anew as often as it is made anew: its error is thrown then. */
const ATTEMPTS_MAX = 10

/** What an opened end stands on. Closing it leaves the channel, with what is in it, to a successor. */
export interface ChannelHold {
  readonly memory: ChannelMemory
  /** Hears the other end. The last listener counts. */
  readonly bell: RingListener
  readonly clock: Clock
  readonly strategy: IdleStrategy
  readonly spinMicros: number | undefined
  readonly onDamaged: ((damage: ChannelDamage) => void) | undefined
  /** Wakes the other end whether it sleeps or not, so that it looks at the channel. */
  ringOther(): void
  /**
   * Makes the end of the memory; where that turns out damaged meanwhile, of the memory of the channel made anew. With `isDamaged` the memory is
   * known to be that: it is fenced, and the channel made anew, by this end or by the other before.
   */
  attach<End>(make: (memory: ChannelMemory) => End, isDamaged?: boolean): End
  close(): void
}

export interface ChannelMemory {
  readonly buffer: ArrayBuffer
  readonly hasChecksums: boolean
  readonly end: EndOptions
  readonly parked: { readonly words: Int32Array; readonly index: number }
  readonly counters: WaitCounters
}

/** Takes an end with all that it needs, or throws and leaves nothing behind but the files of the channel. */
export function takeHold(options: OpenChannelOptions): ChannelHold {
  checkOptions(options)
  mkdirSync(options.directory, { recursive: true, mode: 0o700 })
  return new Hold(options)
}

class Hold implements ChannelHold {
  memory: ChannelMemory
  readonly bell: RingListener
  readonly clock: Clock
  readonly strategy: IdleStrategy
  readonly spinMicros: number | undefined
  readonly onDamaged: ((damage: ChannelDamage) => void) | undefined
  readonly #options: OpenChannelOptions
  readonly #lock: FileLock
  readonly #ownBell: Bell
  readonly #otherBell: RemoteBell
  #mapping: Mapping
  #heed: (() => void) | undefined

  constructor(options: OpenChannelOptions) {
    const { role, strategy = 'adaptive', spinMicros, clock = systemClock } = options
    this.#options = options
    this.clock = clock
    this.strategy = strategy
    this.spinMicros = spinMicros
    this.onDamaged = options.onDamaged
    this.#lock = lockEnd(this.#path(`${role}.lock`), options.name, role)
    let mapping: Mapping | undefined
    try {
      this.#otherBell = new RemoteBell(this.#path(`${role === 'producer' ? 'consumer' : 'producer'}.bell`))
      // Bells are left behind by ends that had the channel.
      const isKnown = existsSync(this.#path('producer.bell')) || existsSync(this.#path('consumer.bell'))
      mapping = this.#open(options.capacityBytes, options.checksums, isKnown)
      this.#mapping = mapping
      this.memory = this.#memoryOf(mapping)
      this.#ownBell = Bell.open(this.#path(`${role}.bell`))
    } catch (error) {
      mapping?.close()
      this.#lock.close()
      throw error
    }
    this.bell = {
      onRing: (listener) => {
        this.#heed = listener
      },
    }
    this.#ownBell.onRing(() => this.#heed?.())
  }

  ringOther(): void {
    this.#otherBell.ring()
  }

  attach<End>(make: (memory: ChannelMemory) => End, isDamaged = false): End {
    for (let attempt = isDamaged ? 1 : 0; ; attempt++) {
      try {
        if (attempt > 0) this.#renew()
        return make(this.memory)
      } catch (error) {
        if (!isDamage(error) || attempt === ATTEMPTS_MAX) throw error
      }
    }
  }

  #renew(): void {
    const { buffer, hasChecksums } = this.memory
    fenceChannel(new Int32Array(buffer, 0, layout.HEADER_BYTES / 4))
    this.ringOther()
    const mapping = this.#open(this.#options.capacityBytes ?? buffer.byteLength - layout.HEADER_BYTES, hasChecksums, true)
    try {
      this.memory = this.#memoryOf(mapping)
    } catch (error) {
      mapping.close()
      throw error
    }
    // The old one stays mapped as long as anybody has a view on it.
    this.#mapping = mapping
  }

  close(): void {
    detach(this.memory.buffer, this.#options.role)
    this.#ownBell.close()
    this.#otherBell.close()
    this.#mapping.close()
    this.#lock.close()
  }

  #open(capacityBytes: number | undefined, hasChecksums: boolean | undefined, isKnown: boolean): Mapping {
    const { name, schemaHash = 0 } = this.#options
    return openChannelFile({ path: this.#path('ring'), name, capacityBytes, schemaHash, hasChecksums, isKnown })
  }

  #memoryOf({ buffer }: Mapping): ChannelMemory {
    const { name, role, schemaHash = 0 } = this.#options
    const { hasChecksums, [role]: holder } = channelStat(buffer)
    if (isHeld(holder)) throw heldError(name, role, holder.pid)
    const words = new Int32Array(buffer, 0, layout.HEADER_BYTES / 4)
    const [producer, consumer] = [layout.PRODUCER_PARKED_WORD, layout.CONSUMER_PARKED_WORD]
    const [own, other] = role === 'producer' ? [producer, consumer] : [consumer, producer]
    const peer: Peer = { words, index: other, ring: () => this.ringOther() }
    return {
      buffer,
      hasChecksums,
      end: { ...ownProcess(), term: (holder.term + 1) | 0, schemaHash, peer },
      parked: { words, index: own },
      counters: { values: new Float64Array(buffer, 0, layout.HEADER_BYTES / 8), index: layout.WAITING_COUNTERS[role] },
    }
  }

  #path(suffix: string): string {
    return join(this.#options.directory, `${this.#options.name}.${suffix}`)
  }
}

/** The lock of the end keeps others out; this finds a holder that came by another way. Numbers that no process can have are damage, not a holder. */
function isHeld({ pid, startTime }: EndStat): boolean {
  const isProcess = pid > 0 && pid <= PID_MAX && Number.isSafeInteger(startTime) && startTime >= 0
  return isProcess && isAlive({ pid, startTime })
}

function lockEnd(path: string, name: string, role: ChannelRole): FileLock {
  try {
    return FileLock.acquire(path)
  } catch (error) {
    if (isMillraceError(error, 'ERR_LOCK_HELD')) throw heldError(name, role, error.values['pid'], error)
    throw error
  }
}

function heldError(channel: string, role: ChannelRole, pid: unknown, cause?: unknown): MillraceError {
  return new MillraceError('ERR_CHANNEL_HELD', {
    fact: `the ${role}'s end of the channel is held by a living process`,
    action: 'operator',
    values: { channel, pid },
    next: 'end that process or close its end first',
    cause,
  })
}

function checkOptions({ name, role, capacityBytes }: OpenChannelOptions): void {
  if (!/^\w[\w.-]*$/.test(name) || name.length > layout.NAME_BYTES_MAX) {
    throw optionError('not a channel name', { name }, `use at most ${layout.NAME_BYTES_MAX} letters, digits, dots, dashes and underscores`)
  }
  if (role !== 'producer' && role !== 'consumer') throw optionError('not a role', { role }, 'use producer or consumer')
  if (capacityBytes === undefined) return
  const { CAPACITY_BYTES_MIN: min, CAPACITY_BYTES_MAX: max } = layout
  if (!isPowerOfTwo(capacityBytes) || capacityBytes < min || capacityBytes > max) {
    throw optionError('not a capacity', { capacityBytes }, `use a power of two from ${min} to ${max}`)
  }
}

function optionError(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_CHANNEL_OPTION', { fact, action: 'operator', values, next })
}
