import { readHeader } from './header.js'
import * as layout from './layout.js'
import { distance } from './position.js'

const TRIES_MAX = 8

/** What a process that is neither end can see of a channel. The numbers are read one after the other, while both ends go on. */
export interface ChannelStat {
  readonly name: string
  readonly capacityBytes: number
  readonly schemaHash: number
  readonly publishedPosition: number
  readonly readPosition: number
  readonly releasedPosition: number
  /** Published and not read yet. */
  readonly depthBytes: number
  /** Published and not released yet, read or not: what keeps the ring from taking more. */
  readonly unreleasedBytes: number
  /** Ever published, headers and padding included. */
  readonly framesPublished: number
  readonly bytesPublished: number
  /** How often a claim found too little room. */
  readonly refusals: number
  /** How often each end woke the other. */
  readonly producerRings: number
  readonly consumerRings: number
  readonly producer: EndStat
  readonly consumer: EndStat
}

export interface EndStat {
  /** 0 while nobody has taken the end. */
  readonly pid: number
  readonly startTime: number
  readonly term: number
  /** How often the end was taken. */
  readonly attachCount: number
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
    framesPublished: counters[layout.FRAMES_COUNTER] as number,
    bytesPublished: counters[layout.BYTES_COUNTER] as number,
    refusals: counters[layout.REFUSALS_COUNTER] as number,
    producerRings: counters[layout.PRODUCER_RINGS_COUNTER] as number,
    consumerRings: counters[layout.CONSUMER_RINGS_COUNTER] as number,
    producer: endStat(words, counters, layout.END_WORD.producer),
    consumer: endStat(words, counters, layout.END_WORD.consumer),
  }
}

function endStat(words: Int32Array, counters: Float64Array, end: number): EndStat {
  // SYNC holder: a pid that is the same before and after belongs to the start time and the term between. Bounded, as the memory may be damaged.
  for (let tries = 0; ; tries++) {
    const pid = Atomics.load(words, end + layout.PID)
    const startTime = counters[(end + layout.START_TIME) / 2] as number
    const term = Atomics.load(words, end + layout.TERM)
    const attachCount = Atomics.load(words, end + layout.ATTACH_COUNT)
    if (Atomics.load(words, end + layout.PID) === pid || tries === TRIES_MAX) return { pid, startTime, term, attachCount }
  }
}
