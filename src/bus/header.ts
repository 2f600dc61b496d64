import { isPowerOfTwo } from '#base/align.js'
import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { crc32 } from '#base/hash.js'
import { FRAME_ALIGNMENT } from './frame.js'
import * as layout from './layout.js'
import { distance } from './position.js'

const { CAPACITY_BYTES_MAX, CAPACITY_BYTES_MIN, HEADER_BYTES, NAME_BYTES_MAX, NAME_OFFSET } = layout

/** No format will ever have a higher one: it is damage. */
const FORMAT_VERSION_MAX = 255

/** Makes a position impossible. */
const MISALIGNED = 1

export interface ChannelOptions {
  /** Of the ring: a power of two from 64 to 2^30. The largest frame is a quarter of it. */
  readonly capacityBytes: number
  /** An int32 that stands for the meaning of the frames: ends that disagree on it refuse the channel. */
  readonly schemaHash: number
  /** For people and for errors: at most NAME_BYTES_MAX bytes of UTF-8. */
  readonly name: string
  /**
   * Gives every frame a checksum over its bytes and its place, which the consumer checks: default false. For memory that is not trusted; costs
   * both ends about a nanosecond per word.
   */
  readonly hasChecksums?: boolean
  /** Where positions begin, a multiple of 8: for tests of their wrapping. */
  readonly producerPosition?: number
}

/** Who takes an end: written into the channel, so that others can tell whether the end is held and by whom. */
export interface Holder {
  readonly pid: number
  /** Of the process, in clock ticks since boot as /proc says it: with it a pid is never mistaken for a later process's. */
  readonly startTime: number
  /** Of the slot; never below the one in the channel. */
  readonly term: number
}

export type ChannelRole = keyof typeof layout.END_WORD

export interface ChannelHeader {
  readonly name: string
  readonly capacityBytes: number
  readonly schemaHash: number
  readonly hasChecksums: boolean
}

/**
 * Formats the memory as an empty channel, whatever was there. Both ends may attach once it returns. Of a channel whose formatting was
 * cut short nothing can be attached: the magic number is stored last.
 */
export function createChannel(buffer: ArrayBufferLike, options: ChannelOptions): void {
  const { capacityBytes, schemaHash, name, hasChecksums = false, producerPosition = 0 } = options
  const nameBytes = new TextEncoder().encode(name)
  assert(isPowerOfTwo(capacityBytes), 'the capacity of a channel is a power of two')
  assert(capacityBytes >= CAPACITY_BYTES_MIN && capacityBytes <= CAPACITY_BYTES_MAX, 'the capacity of a channel is 64 to 2^30 bytes')
  assert(buffer.byteLength >= layout.channelBytes(capacityBytes), 'the memory holds the header and the ring')
  assert(nameBytes.length <= NAME_BYTES_MAX, 'the name of a channel fits its header')
  assert(producerPosition % FRAME_ALIGNMENT === 0, 'positions are multiples of 8')
  const words = new Int32Array(buffer, 0, HEADER_BYTES / 4)
  const bytes = new Uint8Array(buffer, 0, HEADER_BYTES)

  Atomics.store(words, layout.MAGIC_WORD, 0)
  bytes.fill(0)
  words[layout.VERSION_WORD] = layout.FORMAT_VERSION
  words[layout.CAPACITY_WORD] = capacityBytes
  words[layout.SCHEMA_WORD] = schemaHash
  words[layout.FLAGS_WORD] = hasChecksums ? layout.CHECKSUM_FLAG : 0
  words[layout.NAME_BYTES_WORD] = nameBytes.length
  bytes.set(nameBytes, NAME_OFFSET)
  words[layout.CHECK_WORD] = checkIn(bytes, nameBytes.length)
  words[layout.PUBLISHED_WORD] = producerPosition
  words[layout.RELEASED_CHECK_WORD] = ~producerPosition
  words[layout.RELEASED_WORD] = producerPosition
  words[layout.READ_WORD] = producerPosition
  Atomics.store(words, layout.MAGIC_WORD, layout.MAGIC)
}

/**
 * Reads what `createChannel` wrote. Throws ERR_CHANNEL_FORMAT when the memory is no channel of this format, ERR_CHANNEL_CORRUPT when it
 * is one and something in its header is impossible.
 */
export function readHeader(buffer: ArrayBufferLike): ChannelHeader {
  if (buffer.byteLength < HEADER_BYTES) throw notAChannel('the memory is too small for a channel', { bytes: buffer.byteLength })
  const words = new Int32Array(buffer, 0, HEADER_BYTES / 4)
  const bytes = new Uint8Array(buffer, 0, HEADER_BYTES)
  const magic = Atomics.load(words, layout.MAGIC_WORD)
  const version = words[layout.VERSION_WORD] as number
  if (magic === layout.FENCED_MAGIC) throw corrupt('?', 'and an end gave it up', {})
  if (magic !== layout.MAGIC) throw notAChannel('the memory is not a channel', { magic })
  if (version !== layout.FORMAT_VERSION) throw notAChannel('the channel has another format', { version, expected: layout.FORMAT_VERSION })

  const nameBytes = words[layout.NAME_BYTES_WORD] as number
  if (nameBytes < 0 || nameBytes > NAME_BYTES_MAX) throw corrupt('?', 'the length of its name is impossible', { nameBytes })
  const name = new TextDecoder().decode(bytes.slice(NAME_OFFSET, NAME_OFFSET + nameBytes))
  const capacityBytes = words[layout.CAPACITY_WORD] as number
  if (words[layout.CHECK_WORD] !== checkIn(bytes, nameBytes)) throw corrupt(name, 'its header does not match its check', {})
  if (!isPowerOfTwo(capacityBytes) || layout.channelBytes(capacityBytes) > buffer.byteLength) {
    throw corrupt(name, 'its memory is smaller than its header says', { capacityBytes, memoryBytes: buffer.byteLength })
  }
  const hasChecksums = ((words[layout.FLAGS_WORD] as number) & layout.CHECKSUM_FLAG) !== 0
  return { name, capacityBytes, schemaHash: words[layout.SCHEMA_WORD] as number, hasChecksums }
}

/** As `readHeader`, and checks the positions too: all that the next end will rely on. */
export function checkChannel(buffer: ArrayBufferLike): ChannelHeader {
  const header = readHeader(buffer)
  checkPositions(new Int32Array(buffer, 0, HEADER_BYTES / 4), header)
  return header
}

/**
 * Whether memory that `readHeader` takes for no channel of this format was one until it was damaged: all but its magic number and its version
 * still match the check, or it is known to have been a channel and does not say that it is one of another format.
 */
export function wasChannel(buffer: ArrayBufferLike, isKnown: boolean): boolean {
  if (buffer.byteLength < HEADER_BYTES) return false
  const words = new Int32Array(buffer, 0, HEADER_BYTES / 4)
  const version = words[layout.VERSION_WORD] as number
  const isOtherFormat = words[layout.MAGIC_WORD] === layout.MAGIC && version > 0 && version <= FORMAT_VERSION_MAX
  if (isKnown && !isOtherFormat) return true
  const nameBytes = words[layout.NAME_BYTES_WORD] as number
  if (nameBytes < 0 || nameBytes > NAME_BYTES_MAX) return false
  const fields = Int32Array.of(layout.FORMAT_VERSION, ...words.subarray(layout.CAPACITY_WORD, layout.CHECK_WORD))
  const name = new Uint8Array(buffer, NAME_OFFSET, nameBytes).slice()
  return words[layout.CHECK_WORD] === checkOf(new Uint8Array(fields.buffer), name)
}

/**
 * Checks all that an end relies on, then writes its holder into the channel. Throws as `readHeader` does, ERR_CHANNEL_SCHEMA when the
 * schema hashes differ, ERR_CHANNEL_FENCED when the end was held under a later term.
 */
export function attach(buffer: ArrayBufferLike, role: ChannelRole, schemaHash: number, holder: Holder): ChannelHeader {
  const header = checkChannel(buffer)
  const { name } = header
  const end = layout.END_WORD[role]
  if (header.schemaHash !== (schemaHash | 0)) {
    throw new MillraceError('ERR_CHANNEL_SCHEMA', {
      fact: 'the ends of the channel speak different schemas',
      action: 'operator',
      values: { channel: name, schemaHash: header.schemaHash, own: schemaHash | 0 },
      next: 'run the same version of the plant in every process',
    })
  }
  const words = new Int32Array(buffer, 0, HEADER_BYTES / 4)
  const term = words[end + layout.TERM] as number
  if (distance(term, holder.term) < 0) {
    throw new MillraceError('ERR_CHANNEL_FENCED', {
      fact: 'the end of the channel belongs to a later term',
      action: 'restart',
      values: { channel: name, term, own: holder.term },
      next: 'end this process, its successor has taken over',
    })
  }
  // SYNC holder: pid 0 while the rest changes, so that a reader never joins one holder's pid with another's start time.
  Atomics.store(words, end + layout.PID, 0)
  new Float64Array(buffer, 0, HEADER_BYTES / 8)[(end + layout.START_TIME) / 2] = holder.startTime
  words[end + layout.TERM] = holder.term
  Atomics.add(words, end + layout.ATTACH_COUNT, 1)
  Atomics.store(words, end + layout.PID, holder.pid)
  return header
}

/** Writes into the channel that nobody holds the end any more. To be called by its holder, last. */
export function detach(buffer: ArrayBufferLike, role: ChannelRole): void {
  Atomics.store(new Int32Array(buffer, 0, HEADER_BYTES / 4), layout.END_WORD[role] + layout.PID, 0)
}

/**
 * Gives the channel up for both ends, in any process: whichever end looks at it next throws ERR_CHANNEL_CORRUPT. To be called by an end that
 * found it damaged, before it says so.
 *
 * SYNC fence: the magic number is stored before the positions. A publish that overwrites the impossible position here looks at the magic number
 * after its store, and so does a release; both then fence again.
 */
export function fenceChannel(words: Int32Array): void {
  Atomics.store(words, layout.MAGIC_WORD, layout.FENCED_MAGIC)
  Atomics.or(words, layout.PUBLISHED_WORD, MISALIGNED)
  Atomics.or(words, layout.RELEASED_WORD, MISALIGNED)
}

/** Fences the channel and answers the error for it. */
export function giveUp(words: Int32Array, channel: string, fact: string, values: Readonly<Record<string, unknown>>): MillraceError {
  fenceChannel(words)
  return corrupt(channel, fact, values)
}

/** The same for a word of the header, which is impossible also because the channel is fenced already. */
export function giveUpHeader(words: Int32Array, channel: string, fact: string, values: Readonly<Record<string, unknown>>): MillraceError {
  return giveUp(words, channel, words[layout.MAGIC_WORD] === layout.FENCED_MAGIC ? 'and an end gave it up' : fact, values)
}

/** The error for everything that a correct end could not have written. The channel is lost: it is to be made anew. */
export function corrupt(channel: string, fact: string, values: Readonly<Record<string, unknown>>): MillraceError {
  return new MillraceError('ERR_CHANNEL_CORRUPT', {
    fact: `the channel is damaged, ${fact}`,
    action: 'restart',
    values: { channel, ...values },
    next: 'make the channel anew',
  })
}

function checkPositions(words: Int32Array, { name, capacityBytes, hasChecksums }: ChannelHeader): void {
  const published = Atomics.load(words, layout.PUBLISHED_WORD)
  const released = Atomics.load(words, layout.RELEASED_WORD)
  const unreleased = distance(released, published)
  if (unreleased < 0 || unreleased > capacityBytes || !isAligned(published) || !isAligned(released)) {
    throw corrupt(name, 'its published and released positions cannot both be right', { position: published, released, capacityBytes })
  }
  if (!hasChecksums) return
  // Ahead of the released position where a consumer died between the two stores.
  const intended = ~(words[layout.RELEASED_CHECK_WORD] as number)
  if (distance(released, intended) < 0 || distance(intended, published) < 0) {
    throw corrupt(name, 'its released position does not match its check', { position: released, intended })
  }
}

function isAligned(position: number): boolean {
  return (position & (FRAME_ALIGNMENT - 1)) === 0
}

function notAChannel(fact: string, values: Readonly<Record<string, unknown>>): MillraceError {
  return new MillraceError('ERR_CHANNEL_FORMAT', { fact, action: 'operator', values, next: 'make the channel anew with this version' })
}

/** Over the words from the version up to the check itself, then the name. */
function checkOf(fields: Uint8Array, name: Uint8Array): number {
  return crc32(name, crc32(fields)) | 0
}

function checkIn(bytes: Uint8Array, nameBytes: number): number {
  return checkOf(bytes.slice(layout.VERSION_WORD * 4, layout.CHECK_WORD * 4), bytes.slice(NAME_OFFSET, NAME_OFFSET + nameBytes))
}
