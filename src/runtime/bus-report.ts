import type { ChannelLook, BusLook, EndLook } from './bus-view.js'

/** What `millrace bus stat --json` prints of one channel. Shares and rates are of the time between two looks. */
export interface ChannelReport {
  readonly name: string
  /** Why it cannot be read; then the rest is missing. */
  readonly trouble?: string
  readonly capacityBytes?: number
  readonly hasChecksums?: boolean
  /** Published and not read; published and not released, read or not. */
  readonly depthBytes?: number
  readonly unreleasedBytes?: number
  readonly framesPublished?: number
  readonly bytesPublished?: number
  readonly framesPerSecond?: number
  readonly bytesPerSecond?: number
  readonly refusals?: number
  readonly refusalsPerSecond?: number
  /** How often an end woke the other one by its bell. */
  readonly rings?: { readonly byProducer: number; readonly byConsumer: number }
  readonly producer?: EndReport
  readonly consumer?: EndReport
  readonly tap?: { readonly state: 'none' | 'holding' | 'fenced'; readonly pid?: number; readonly behindBytes?: number }
}

/** The process at an end. In a plant it has other channels too, and its waiting is the waiting for all of them. */
export interface EndReport {
  /** `worker/1`; null outside of a plant. */
  readonly process: string | null
  /** 0: the end was never taken, or given up. */
  readonly pid: number
  readonly term: number
  /** How often the end was taken. */
  readonly attachCount: number
  readonly alive: boolean
  /** Null outside of a plant and when nobody is there. */
  readonly pulseAgeMs: number | null
  readonly parked: boolean
  readonly parks: number
  readonly parksPerSecond: number
  readonly wokenByRing: number
  readonly wokenByTime: number
  /** Of all parks that have ended, and the share of the time between the looks. */
  readonly parkedMs: number
  readonly parkedShare: number
}

export interface BusReport {
  /** Between the looks. */
  readonly overMs: number
  readonly channels: readonly ChannelReport[]
}

/** What two looks say together. A channel that is there only at the later one, or anew, has been counting from nothing. */
export function busReport(before: BusLook, after: BusLook): BusReport {
  const overMs = after.atMs - before.atMs
  const earlier = new Map(before.channels.map((channel) => [channel.name, channel]))
  return {
    overMs: Math.round(overMs),
    channels: after.channels.map((channel) => channelReport(earlier.get(channel.name), channel, overMs)),
  }
}

function channelReport(
  before: ChannelLook | undefined,
  { name, stat, trouble, producer, consumer }: ChannelLook,
  overMs: number,
): ChannelReport {
  if (stat === undefined) return { name, trouble: trouble ?? 'it cannot be read' }
  const perSecond = (now: number, then: number | undefined) => Math.round((Math.max(0, now - (then ?? now)) * 1000) / overMs)
  const { tap } = stat
  return {
    name,
    capacityBytes: stat.capacityBytes,
    hasChecksums: stat.hasChecksums,
    depthBytes: stat.depthBytes,
    unreleasedBytes: stat.unreleasedBytes,
    framesPublished: stat.framesPublished,
    bytesPublished: stat.bytesPublished,
    framesPerSecond: perSecond(stat.framesPublished, before?.stat?.framesPublished),
    bytesPerSecond: perSecond(stat.bytesPublished, before?.stat?.bytesPublished),
    refusals: stat.refusals,
    refusalsPerSecond: perSecond(stat.refusals, before?.stat?.refusals),
    rings: { byProducer: stat.producerRings, byConsumer: stat.consumerRings },
    producer: { ...held(stat.producer), ...endReport(before?.producer, producer, overMs) },
    consumer: { ...held(stat.consumer), ...endReport(before?.consumer, consumer, overMs) },
    tap:
      tap.state === 'none'
        ? { state: tap.state }
        : { state: tap.state, pid: tap.pid, behindBytes: (stat.publishedPosition - tap.position) | 0 },
  }
}

function held({ pid, term, attachCount }: { readonly pid: number; readonly term: number; readonly attachCount: number }) {
  return { pid, term, attachCount }
}

function endReport(before: EndLook | undefined, end: EndLook, overMs: number): Omit<EndReport, 'pid' | 'term' | 'attachCount'> {
  const parks = end.parks - (before?.parks ?? end.parks)
  const parkedMs = end.parkedMs - (before?.parkedMs ?? end.parkedMs)
  // A park counts once it has ended: who was parked all the time has none.
  const share = end.isParked && parks === 0 && before?.isParked === true && parkedMs === 0 ? 1 : parkedMs / overMs
  return {
    process: end.process ?? null,
    alive: end.isAlive,
    pulseAgeMs: end.pulseAgeMs === undefined ? null : Math.round(end.pulseAgeMs),
    parked: end.isParked,
    parks: end.parks,
    parksPerSecond: Math.round((Math.max(0, parks) * 1000) / overMs),
    wokenByRing: end.wokenByRing,
    wokenByTime: end.wokenByTime,
    parkedMs: Math.round(end.parkedMs),
    parkedShare: Math.round(Math.min(1, Math.max(0, share)) * 1000) / 1000,
  }
}
