import { type ChannelRole, readHeader } from './header.js'
import * as layout from './layout.js'
import { PARKED } from './peer.js'
import { distance } from './position.js'

const TRIES_MAX = 8
const TAP_STATES = ['none', 'holding', 'fenced'] as const

/** What a process that is neither end can see of a channel. The numbers are read one after the other, while both ends go on. */
export interface ChannelStat {
  readonly name: string
  readonly capacityBytes: number
  readonly schemaHash: number
  readonly publishedPosition: number
  /** As the consumer told it when it last released or had read all that it knew of. */
  readonly readPosition: number
  readonly releasedPosition: number
  /** Published and not read yet. */
  readonly depthBytes: number
  /** Published and not released yet, read or not: what keeps the ring from taking more. */
  readonly unreleasedBytes: number
  /** Ever published; the bytes with headers and padding. */
  readonly framesPublished: number
  readonly bytesPublished: number
  /** How often a claim found too little room. */
  readonly refusals: number
  /** How often each end woke the other. */
  readonly producerRings: number
  readonly consumerRings: number
  readonly hasChecksums: boolean
  readonly producer: EndStat
  readonly consumer: EndStat
  readonly tap: TapStat
}

export interface EndStat {
  /** 0 while nobody has taken the end. */
  readonly pid: number
  readonly startTime: number
  readonly term: number
  /** How often the end was taken. */
  readonly attachCount: number
  /** Of a channel that stands alone: in a plant a process waits for all of its channels at once. */
  readonly waiting: WaitingStat
}

export interface WaitingStat {
  readonly isParked: boolean
  readonly parks: number
  readonly wokenByRing: number
  readonly wokenByTime: number
  /** Of all parks that have ended. */
  readonly parkedMs: number
}

/** A second reader, see Tap. */
export interface TapStat {
  readonly state: 'none' | 'holding' | 'fenced'
  readonly pid: number
  readonly position: number
  /** On the machine's monotonic clock. */
  readonly leaseEndMs: number
}

/** Reads a channel from outside, in any process. Throws ERR_CHANNEL_FORMAT or ERR_CHANNEL_CORRUPT when the header cannot be believed. */
export function channelStat(buffer: ArrayBufferLike): ChannelStat {
  const header = readHeader(buffer)
  const words = new Int32Array(buffer, 0, layout.HEADER_BYTES / 4)
  const counters = new Float64Array(buffer, 0, layout.HEADER_BYTES / 8)
  // Behind before ahead: the differences can be too large by what happened meanwhile, never negative.
  const releasedPosition = Atomics.load(words, layout.RELEASED_WORD)
  const readPosition = Atomics.load(words, layout.READ_WORD)
  const publishedPosition = Atomics.load(words, layout.PUBLISHED_WORD)
  return {
    ...header,
    publishedPosition,
    readPosition,
    releasedPosition,
    depthBytes: distance(readPosition, publishedPosition),
    unreleasedBytes: distance(releasedPosition, publishedPosition),
    framesPublished: twoWords(words, layout.FRAMES_HIGH_WORD, layout.FRAMES_LOW_WORD),
    bytesPublished: twoWords(words, layout.LAPS_WORD, layout.PUBLISHED_WORD),
    refusals: counters[layout.REFUSALS_COUNTER] as number,
    producerRings: counters[layout.PRODUCER_RINGS_COUNTER] as number,
    consumerRings: counters[layout.CONSUMER_RINGS_COUNTER] as number,
    producer: endStat(words, counters, 'producer'),
    consumer: endStat(words, counters, 'consumer'),
    tap: {
      state: TAP_STATES[Atomics.load(words, layout.TAP_STATE_WORD)] ?? 'none',
      pid: words[layout.TAP_PID_WORD] as number,
      position: Atomics.load(words, layout.TAP_POSITION_WORD),
      leaseEndMs: counters[layout.TAP_LEASE_END] as number,
    },
  }
}

/** The low word may lap between two looks at the high one. Bounded, as the memory may be damaged. */
function twoWords(words: Int32Array, highWord: number, lowWord: number): number {
  for (let tries = 0; ; tries++) {
    const high = Atomics.load(words, highWord)
    const low = Atomics.load(words, lowWord)
    if (Atomics.load(words, highWord) === high || tries === TRIES_MAX) return (high >>> 0) * 2 ** 32 + (low >>> 0)
  }
}

function endStat(words: Int32Array, counters: Float64Array, role: ChannelRole): EndStat {
  const end = layout.END_WORD[role]
  const waiting = waitingStat(words, counters, role)
  // SYNC holder: a pid that is the same before and after belongs to the start time and the term between. Bounded, as the memory may be damaged.
  for (let tries = 0; ; tries++) {
    const pid = Atomics.load(words, end + layout.PID)
    const startTime = counters[(end + layout.START_TIME) / 2] as number
    const term = Atomics.load(words, end + layout.TERM)
    const attachCount = Atomics.load(words, end + layout.ATTACH_COUNT)
    if (Atomics.load(words, end + layout.PID) === pid || tries === TRIES_MAX) return { pid, startTime, term, attachCount, waiting }
  }
}

function waitingStat(words: Int32Array, counters: Float64Array, role: ChannelRole): WaitingStat {
  const at = layout.WAITING_COUNTERS[role]
  return {
    isParked: Atomics.load(words, role === 'producer' ? layout.PRODUCER_PARKED_WORD : layout.CONSUMER_PARKED_WORD) === PARKED,
    parks: counters[at + layout.PARKS] as number,
    wokenByRing: counters[at + layout.WOKEN_BY_RING] as number,
    wokenByTime: counters[at + layout.WOKEN_BY_TIME] as number,
    parkedMs: counters[at + layout.PARKED_MS] as number,
  }
}
