import { linkSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isPowerOfTwo } from '#base/align.js'
import { type Clock, systemClock } from '#base/clock.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { Bell, FileLock, isAlive, Mapping, ownProcess, RemoteBell } from '#shm/index.js'
import { channelStat } from './channel-stat.js'
import { type ChannelRole, createChannel, detach } from './header.js'
import * as layout from './layout.js'
import type { Peer } from './peer.js'
import type { EndOptions } from './producer.js'
import type { IdleStrategy, WaitCounters } from './waiting.js'

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
  /** How this end waits, default `adaptive`. Ends in one process spin in turns: with many of them, `park`. */
  readonly strategy?: IdleStrategy
  /** How long `adaptive` spins. */
  readonly spinMicros?: number
  readonly clock?: Clock
}

/** What an opened end stands on. Closing it leaves the channel, with what is in it, to a successor. */
export interface ChannelHold {
  readonly buffer: ArrayBuffer
  readonly end: EndOptions
  readonly parked: { readonly words: Int32Array; readonly index: number }
  readonly counters: WaitCounters
  readonly bell: Bell
  readonly clock: Clock
  readonly strategy: IdleStrategy
  readonly spinMicros: number | undefined
  close(): void
}

export const CAPACITY_BYTES_DEFAULT = 2 ** 20

/** Takes an end with all that it needs, or throws and leaves nothing behind but the files of the channel. */
export function takeHold(options: OpenChannelOptions): ChannelHold {
  const { directory, name, role, schemaHash = 0, strategy = 'adaptive', spinMicros, clock = systemClock } = options
  checkOptions(options)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = (suffix: string) => join(directory, `${name}.${suffix}`)
  const held: { lock?: FileLock; mapping?: Mapping; bell?: Bell; peer?: ChannelPeer } = {}
  const close = () => {
    held.bell?.close()
    held.peer?.close()
    held.mapping?.close()
    held.lock?.close()
  }
  try {
    held.lock = lockEnd(path(`${role}.lock`), name, role)
    held.mapping = openOrCreate(path('ring'), options)
    const { buffer } = held.mapping
    const holder = channelStat(buffer)[role]
    if (holder.pid > 0 && isAlive(holder)) throw heldError(name, role, holder.pid)
    held.bell = Bell.open(path(`${role}.bell`))
    const words = new Int32Array(buffer, 0, layout.HEADER_BYTES / 4)
    const [own, other] = [layout.PRODUCER_PARKED_WORD, layout.CONSUMER_PARKED_WORD]
    held.peer = new ChannelPeer(words, role === 'producer' ? other : own, path(role === 'producer' ? 'consumer.bell' : 'producer.bell'))
    return {
      buffer,
      end: { ...ownProcess(), term: (holder.term + 1) | 0, schemaHash, peer: held.peer },
      parked: { words, index: role === 'producer' ? own : other },
      counters: { values: new Float64Array(buffer, 0, layout.HEADER_BYTES / 8), index: layout.WAITING_COUNTERS[role] },
      bell: held.bell,
      clock,
      strategy,
      spinMicros,
      close: () => {
        detach(buffer, role)
        close()
      },
    }
  } catch (error) {
    close()
    throw error
  }
}

/** The other end. */
class ChannelPeer implements Peer {
  readonly words: Int32Array
  readonly index: number
  readonly #bell: RemoteBell

  constructor(words: Int32Array, index: number, bellPath: string) {
    this.words = words
    this.index = index
    this.#bell = new RemoteBell(bellPath)
  }

  ring(): void {
    this.#bell.ring()
  }

  close(): void {
    this.#bell.close()
  }
}

/** The ring appears under its name complete or not at all, and only once, however many processes try. */
function openOrCreate(path: string, options: OpenChannelOptions): Mapping {
  const { name, capacityBytes, schemaHash = 0 } = options
  const existing = openIfThere(path)
  if (existing !== undefined) return checkCapacity(existing, capacityBytes)
  const draft = `${path}.${process.pid}`
  rmSync(draft, { force: true })
  const bytes = capacityBytes ?? CAPACITY_BYTES_DEFAULT
  const mapping = Mapping.create(draft, layout.channelBytes(bytes))
  try {
    createChannel(mapping.buffer, { capacityBytes: bytes, schemaHash, name })
    linkSync(draft, path)
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  } finally {
    mapping.close()
    rmSync(draft, { force: true })
  }
  return checkCapacity(Mapping.open(path), capacityBytes)
}

function openIfThere(path: string): Mapping | undefined {
  try {
    return Mapping.open(path)
  } catch (error) {
    if (isMillraceError(error, 'ERR_SHM_MISSING')) return undefined
    throw error
  }
}

function checkCapacity(mapping: Mapping, wanted: number | undefined): Mapping {
  try {
    const { capacityBytes } = channelStat(mapping.buffer)
    if (wanted === undefined || wanted === capacityBytes) return mapping
    throw optionError('the channel was made with another capacity', { capacityBytes, wanted }, 'ask for the same, or for none')
  } catch (error) {
    mapping.close()
    throw error
  }
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
