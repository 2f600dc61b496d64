/**
 * One of the two processes of bus-rtt: started with a channel to write to and one to read from, told over Node's own IPC what to do, and
 * spinning on the channels while it does it.
 */
import { Consumer, NO_FRAME, NO_PEER, Producer } from '#bus/index.js'
import { Mapping, ownProcess, pinThread } from '#shm/index.js'
import { serveOrders } from './measuring-process.js'
import { clockCostNs, percentile } from './samples.js'

/** What an end is started with, as JSON in its first argument. */
export interface RttEndSetup {
  readonly outbound: string
  readonly inbound: string
  readonly core: number
}

export type RttOrder =
  /** Answer pings until a stop frame comes. */
  { readonly order: 'answer' } | { readonly order: 'measure'; readonly tripsPerBatch: number; readonly batches: number }

/** One round, over the batches that count. NaN (null as JSON) where none did. */
export interface RttRound {
  readonly meanNs: number
  readonly p50Ns: number
  readonly p99Ns: number
  readonly p999Ns: number
  readonly clockNs: number
  readonly batches: number
  readonly discarded: number
}

export const RTT_SCHEMA = 0x52545400
export const RTT_PAYLOAD_BYTES = 32

const PING = 1
/** Asks for the other side's count of involuntary context switches. */
const MARK = 2
const STOP = 3

const WARM_UP_TRIPS = 100_000
const SILENCE_MS_MAX = 5_000
const POLLS_PER_CLOCK_LOOK = 1 << 20

class RttEnd {
  readonly #out: Producer
  readonly #in: Consumer
  #number = 0
  #isWarm = false

  constructor(setup: RttEndSetup) {
    pinThread(setup.core)
    const identity = { ...ownProcess(), term: 1, schemaHash: RTT_SCHEMA, peer: NO_PEER }
    this.#out = new Producer(Mapping.open(setup.outbound).buffer, identity)
    this.#in = new Consumer(Mapping.open(setup.inbound).buffer, identity)
  }

  answer(): void {
    for (;;) {
      const offset = this.#wait()
      if (this.#in.type === STOP) break
      const number = this.#in.floats[offset >> 3] as number
      const last = this.#in.floats[(offset + RTT_PAYLOAD_BYTES - 8) >> 3] as number
      if (number !== last) throw new Error(`a torn frame: ${number} and ${last}`)
      this.#send(PING, this.#in.type === MARK ? involuntarySwitches() : number)
      this.#in.release(this.#in.endPosition)
    }
    this.#in.release(this.#in.endPosition)
  }

  measure(tripsPerBatch: number, batches: number): RttRound {
    const clockNs = clockCostNs()
    const timed = new Float64Array(tripsPerBatch * batches)
    let timedCount = 0
    let meanNsSum = 0
    let meanCount = 0
    let discarded = 0
    if (!this.#isWarm) this.#warmUp()
    for (let batch = 0; batch < batches; batch++) {
      const isTimed = batch % 2 === 1
      const kept = timedCount
      const switchesBefore = this.#exchange(MARK, 0) + involuntarySwitches()
      const start = performance.now()
      if (isTimed) timedCount = this.#timedTrips(tripsPerBatch, timed, timedCount, clockNs)
      else this.#trips(tripsPerBatch)
      const elapsedNs = (performance.now() - start) * 1e6
      const switches = this.#exchange(MARK, 0) + involuntarySwitches() - switchesBefore
      if (switches > 0) {
        discarded++
        timedCount = kept
      } else if (!isTimed) {
        meanNsSum += (elapsedNs - clockNs) / tripsPerBatch
        meanCount++
      }
    }
    this.#send(STOP, 0)
    const samples = timed.subarray(0, timedCount)
    return {
      meanNs: meanNsSum / meanCount,
      p50Ns: percentile(samples, 0.5),
      p99Ns: percentile(samples, 0.99),
      p999Ns: percentile(samples, 0.999),
      clockNs,
      batches,
      discarded,
    }
  }

  #warmUp(): void {
    this.#trips(WARM_UP_TRIPS)
    this.#timedTrips(WARM_UP_TRIPS, new Float64Array(WARM_UP_TRIPS), 0, 0)
    this.#isWarm = true
  }

  #trips(count: number): void {
    for (let trip = 0; trip < count; trip++) this.#trip()
  }

  #timedTrips(count: number, timed: Float64Array, from: number, clockNs: number): number {
    for (let trip = 0; trip < count; trip++) {
      const before = performance.now()
      this.#trip()
      timed[from + trip] = (performance.now() - before) * 1e6 - clockNs
    }
    return from + count
  }

  #trip(): void {
    const number = this.#number++
    const answer = this.#exchange(PING, number)
    if (answer !== number) throw new Error(`sent ${number} and was answered ${answer}`)
  }

  #exchange(type: number, number: number): number {
    this.#send(type, number)
    const answer = this.#in.floats[this.#wait() >> 3] as number
    this.#in.release(this.#in.endPosition)
    return answer
  }

  #send(type: number, number: number): void {
    const out = this.#out
    const offset = out.tryClaim(RTT_PAYLOAD_BYTES, type)
    if (offset < 0) throw new Error('the ring is full of answered frames')
    const first = offset >> 3
    for (let at = 0; at < RTT_PAYLOAD_BYTES >> 3; at++) out.floats[first + at] = number
    out.commit()
    out.publish()
  }

  /** Spins until a frame comes; not for ever, for the other process may be gone. */
  #wait(): number {
    for (let poll = 1; poll < POLLS_PER_CLOCK_LOOK; poll++) {
      const offset = this.#in.next()
      if (offset !== NO_FRAME) return offset
    }
    return this.#waitLong()
  }

  #waitLong(): number {
    const giveUpAt = performance.now() + SILENCE_MS_MAX
    for (let poll = 1; ; poll++) {
      const offset = this.#in.next()
      if (offset !== NO_FRAME) return offset
      if (poll % POLLS_PER_CLOCK_LOOK === 0 && performance.now() > giveUpAt) throw new Error('the other process went silent')
    }
  }
}

function involuntarySwitches(): number {
  return process.resourceUsage().involuntaryContextSwitches
}

serveOrders<RttEndSetup, RttOrder, RttRound | null>(import.meta.url, (setup) => {
  const end = new RttEnd(setup)
  return (order) => {
    if (order.order === 'measure') return end.measure(order.tripsPerBatch, order.batches)
    end.answer()
    return null
  }
})
