/**
 * One of the two processes of bus-fan-in: the one that feeds all channels, or the one that sweeps them. Told over Node's own IPC what to do, and
 * spinning while it does it.
 */
import { Consumer, NO_PEER, Producer, Sweep } from '#bus/index.js'
import { Mapping, ownProcess, pinThread } from '#shm/index.js'
import { serveOrders } from './measuring-process.js'
import { percentile } from './samples.js'

/** What an end is started with. */
export interface FanInEndSetup {
  readonly role: 'feed' | 'sweep'
  readonly paths: readonly string[]
  readonly core: number
}

export type FanInOrder =
  /** Sweeps empty channels, to say what one costs. */
  | { readonly order: 'sweep-empty'; readonly rounds: number }
  /** Sweeps until the feeder says stop. */
  | { readonly order: 'receive' }
  /** Sends `frames`, one each `everyMicros`, to all channels but the first in turn. With `isFlooding` the first gets all that it takes besides. */
  | { readonly order: 'feed'; readonly frames: number; readonly everyMicros: number; readonly isFlooding: boolean }

export interface FanInReport {
  readonly involuntarySwitches: number
  readonly nsPerEmptyChannel?: number
  /** From just before the claim to the handler, of the frames that were not the flood's. */
  readonly p50Ns?: number
  readonly p99Ns?: number
  readonly frames?: number
  readonly floodFrames?: number
}

export const FAN_IN_SCHEMA = 0x46414e49
const [TIMED, FLOOD, STOP] = [1, 2, 3]
const FRAME_BYTES = 32
/** What a flood publishes at once. */
const FLOOD_BATCH = 8
const SILENCE_MS_MAX = 20_000
const SETTLE_MS = 4
const ROUNDS_PER_CLOCK_LOOK = 1 << 16

/** Where `performance.now` began on the clock that both processes share: the latest of many tries, as time may pass between the two looks. */
const ORIGIN_NS = Math.max(...Array.from({ length: 1000 }, () => Number(process.hrtime.bigint()) - performance.now() * 1e6))

function nowNs(): number {
  return ORIGIN_NS + performance.now() * 1e6
}

function identity() {
  return { ...ownProcess(), term: 1, schemaHash: FAN_IN_SCHEMA, peer: NO_PEER }
}

class Feeder {
  readonly #producers: readonly Producer[]

  constructor(paths: readonly string[]) {
    this.#producers = paths.map((path) => new Producer(Mapping.open(path).buffer, identity()))
  }

  feed(frames: number, everyMicros: number, isFlooding: boolean): FanInReport {
    const flooded = this.#producers[0] as Producer
    const timed = this.#producers.slice(1)
    // The parent goes to sleep meanwhile, on one of the two cores.
    const settledAt = performance.now() + SETTLE_MS
    while (performance.now() < settledAt);
    const started = involuntarySwitches()
    const everyNs = everyMicros * 1000
    const startNs = nowNs()
    let floodFrames = 0
    for (let frame = 0; frame < frames; frame++) {
      const dueNs = startNs + frame * everyNs
      while (nowNs() < dueNs) if (isFlooding) floodFrames += flood(flooded)
      const producer = timed[frame % timed.length] as Producer
      if (!trySend(producer, TIMED, nowNs())) throw new Error('a channel that is nearly empty has no room')
      producer.publish()
    }
    const involuntary = involuntarySwitches() - started
    const last = timed[0] as Producer
    trySend(last, STOP, 0)
    last.publish()
    return { involuntarySwitches: involuntary, frames, floodFrames }
  }
}

function trySend(producer: Producer, type: number, stamp: number): boolean {
  const offset = producer.tryClaim(FRAME_BYTES, type)
  if (offset < 0) return false
  producer.floats[offset >> 3] = stamp
  producer.commit()
  return true
}

function flood(producer: Producer): number {
  let sent = 0
  while (sent < FLOOD_BATCH && trySend(producer, FLOOD, 0)) sent++
  producer.publish()
  return sent
}

class Sweeper {
  readonly #consumers: readonly Consumer[]
  readonly #sweep: Sweep

  constructor(paths: readonly string[]) {
    this.#consumers = paths.map((path) => new Consumer(Mapping.open(path).buffer, identity()))
    this.#sweep = new Sweep(this.#consumers)
  }

  sweepEmpty(rounds: number): FanInReport {
    const started = involuntarySwitches()
    let found = 0
    const start = performance.now()
    for (let round = 0; round < rounds; round++) found += this.#sweep.poll(release)
    const elapsedNs = (performance.now() - start) * 1e6
    if (found > 0) throw new Error('the channels were to be empty')
    return { involuntarySwitches: involuntarySwitches() - started, nsPerEmptyChannel: elapsedNs / rounds / this.#consumers.length }
  }

  receive(): FanInReport {
    const latencies: number[] = []
    // Counted from the first frame: before it the parent, which starts the feeder, may need this core.
    let started = 0
    let isStopped = false
    let floodFrames = 0
    const take = (consumer: Consumer, offset: number) => {
      if (consumer.type === FLOOD) floodFrames++
      else if (consumer.type === STOP) isStopped = true
      else {
        const latencyNs = nowNs() - (consumer.floats[offset >> 3] as number)
        if (latencies.length === 0) started = involuntarySwitches()
        latencies.push(latencyNs)
      }
      consumer.release(consumer.endPosition)
    }
    const giveUpAt = performance.now() + SILENCE_MS_MAX
    for (let round = 1; !isStopped; round++) {
      this.#sweep.poll(take)
      if (round % ROUNDS_PER_CLOCK_LOOK === 0 && performance.now() > giveUpAt) throw new Error('the feeder went silent')
    }
    const involuntary = involuntarySwitches() - started
    while (this.#sweep.hasFrames()) this.#sweep.poll(take)
    const samples = Float64Array.from(latencies)
    return {
      involuntarySwitches: involuntary,
      p50Ns: percentile(samples, 0.5),
      p99Ns: percentile(samples, 0.99),
      frames: samples.length,
      floodFrames,
    }
  }
}

function release(consumer: Consumer): void {
  consumer.release(consumer.endPosition)
}

function involuntarySwitches(): number {
  return process.resourceUsage().involuntaryContextSwitches
}

serveOrders<FanInEndSetup, FanInOrder, FanInReport>(import.meta.url, ({ role, paths, core }) => {
  pinThread(core)
  if (role === 'feed') {
    const feeder = new Feeder(paths)
    return (order) => {
      if (order.order !== 'feed') throw new Error(`a feeder does not ${order.order}`)
      return feeder.feed(order.frames, order.everyMicros, order.isFlooding)
    }
  }
  const sweeper = new Sweeper(paths)
  return (order) => {
    if (order.order === 'sweep-empty') return sweeper.sweepEmpty(order.rounds)
    if (order.order === 'receive') return sweeper.receive()
    throw new Error(`a sweeper does not ${order.order}`)
  }
})
