import { renameSync, rmSync } from 'node:fs'
import { isPowerOfTwo } from '#base/align.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { FileLock, Mapping } from '#shm/index.js'
import { type ChannelHeader, checkChannel, createChannel, fenceChannel, wasChannel } from './header.js'
import * as layout from './layout.js'

/** What a channel is made with, and what an end that finds one asks of it: a part that is left out is taken as it is. */
export interface ChannelFileOptions {
  readonly path: string
  readonly name: string
  readonly capacityBytes?: number | undefined
  readonly schemaHash: number
  readonly hasChecksums?: boolean | undefined
  /** Whether an end has had this channel before: it tells one damaged beyond recognition from a file that never was one. */
  readonly isKnown: boolean
}

export const CAPACITY_BYTES_DEFAULT = 2 ** 20

/** A channel that is damaged again and again while it is opened: its error is thrown then. */
const ATTEMPTS_MAX = 10
const LOCKED_MS_MAX = 10_000
const LOCKED_LOOK_MS = 1

/**
 * Maps the channel at the path, made if there is none and made anew if it is damaged or was given up. It appears under its name complete or
 * not at all; of several processes that find none, or find it damaged, exactly one makes it; one that is not damaged is never replaced.
 * What is replaced is fenced first, so that an end which still has it mapped notices at its next look. A maker that dies leaves a draft
 * for the next one.
 *
 * Throws ERR_CHANNEL_FORMAT for a file that never was a channel of this format, ERR_CHANNEL_OPTION for a channel that was made otherwise than
 * it is asked for, and what src/shm throws.
 */
export function openChannelFile(options: ChannelFileOptions): Mapping {
  for (let attempt = 1; ; attempt++) {
    const found = openIfThere(options.path)
    if (found !== undefined && (attempt === ATTEMPTS_MAX || !isDamaged(found, options))) return checkedAgainst(found, options)
    found?.close()
    makeAnew(options)
  }
}

function openIfThere(path: string): Mapping | undefined {
  try {
    return Mapping.open(path)
  } catch (error) {
    if (isMillraceError(error, 'ERR_SHM_MISSING')) return undefined
    throw error
  }
}

function isDamaged(mapping: Mapping, { isKnown }: ChannelFileOptions): boolean {
  try {
    checkChannel(mapping.buffer)
    return false
  } catch (error) {
    if (isMillraceError(error, 'ERR_CHANNEL_CORRUPT')) return true
    if (isMillraceError(error, 'ERR_CHANNEL_FORMAT') && wasChannel(mapping.buffer, isKnown)) return true
    mapping.close()
    throw error
  }
}

/** What somebody else made meanwhile is left alone. */
function makeAnew(options: ChannelFileOptions): void {
  const lock = acquire(`${options.path}.lock`)
  try {
    const found = openIfThere(options.path)
    if (found !== undefined && !isDamaged(found, options)) return found.close()
    const { path, name, schemaHash } = options
    const like = { ...asBefore(found), ...asAsked(options) }
    const { capacityBytes = CAPACITY_BYTES_DEFAULT, hasChecksums = false } = like
    const draft = `${path}.draft`
    rmSync(draft, { force: true })
    const mapping = Mapping.create(draft, layout.channelBytes(capacityBytes))
    createChannel(mapping.buffer, { capacityBytes, schemaHash, name, hasChecksums })
    mapping.close()
    if (found !== undefined) {
      fenceChannel(new Int32Array(found.buffer, 0, layout.HEADER_BYTES / 4))
      found.close()
    }
    renameSync(draft, path)
  } finally {
    lock.close()
  }
}

/** Its length says how large the ring was, whatever stands in its header. */
function asBefore(damaged: Mapping | undefined): Partial<Pick<ChannelHeader, 'capacityBytes' | 'hasChecksums'>> {
  if (damaged === undefined) return {}
  const words = new Int32Array(damaged.buffer, 0, layout.HEADER_BYTES / 4)
  const capacityBytes = damaged.byteLength - layout.HEADER_BYTES
  const isCapacity = isPowerOfTwo(capacityBytes) && capacityBytes >= layout.CAPACITY_BYTES_MIN && capacityBytes <= layout.CAPACITY_BYTES_MAX
  return {
    ...(isCapacity ? { capacityBytes } : {}),
    hasChecksums: ((words[layout.FLAGS_WORD] as number) & layout.CHECKSUM_FLAG) !== 0,
  }
}

function asAsked({ capacityBytes, hasChecksums }: ChannelFileOptions): Partial<Pick<ChannelHeader, 'capacityBytes' | 'hasChecksums'>> {
  return { ...(capacityBytes === undefined ? {} : { capacityBytes }), ...(hasChecksums === undefined ? {} : { hasChecksums }) }
}

/** Whoever holds it makes a channel, which takes as long as allocating its memory. */
function acquire(path: string): FileLock {
  const word = new Int32Array(new SharedArrayBuffer(4))
  for (let waitedMs = 0; ; waitedMs += LOCKED_LOOK_MS) {
    try {
      return FileLock.acquire(path)
    } catch (error) {
      if (!isMillraceError(error, 'ERR_LOCK_HELD') || waitedMs >= LOCKED_MS_MAX) throw error
      Atomics.wait(word, 0, 0, LOCKED_LOOK_MS)
    }
  }
}

function checkedAgainst(mapping: Mapping, wanted: ChannelFileOptions): Mapping {
  try {
    const header = checkChannel(mapping.buffer)
    for (const part of ['capacityBytes', 'hasChecksums'] as const) {
      if (wanted[part] === undefined || wanted[part] === header[part]) continue
      throw new MillraceError('ERR_CHANNEL_OPTION', {
        fact:
          part === 'capacityBytes'
            ? 'the channel was made with another capacity'
            : 'the channel was made with or without checksums, not as wanted',
        action: 'operator',
        values: { channel: wanted.name, [part]: header[part], wanted: wanted[part] },
        next: 'ask for the same at both ends, or for none',
      })
    }
    return mapping
  } catch (error) {
    mapping.close()
    throw error
  }
}
