/**
 * The side of bus-wake that asks and measures: it starts the side that answers, and carries out one order at a time. Neither side has
 * anything else to do, so both sleep while a message is on its way.
 */
import { fork } from 'node:child_process'
import { createConnection } from 'node:net'
import { Worker } from 'node:worker_threads'
import { MillraceError } from '#base/errors.js'
import { pinThread } from '#shm/index.js'
import { compiledPath } from './compiled.js'
import { busLink, carriedLink, KIND, type Link, portCarrier, processCarrier, socketCarrier } from './echo-links.js'
import { type EchoSetup, socketPath } from './echo-responder.js'
import { serveOrders } from './measuring-process.js'
import { percentile } from './samples.js'

export type EchoOrder =
  /** Trips of 32 bytes there and back, one after the other, with the two sides pinned to these cores: as many as there is time for. */
  | {
      readonly order: 'echo'
      readonly cores: readonly [number, number]
      readonly warmUpTrips: number
      readonly trips: number
      readonly msMax: number
    }
  /** Messages one way, handed over after every `batch`, until the last one is counted. */
  | { readonly order: 'flood'; readonly count: number; readonly bytes: number; readonly batch: number }

export interface EchoReport {
  readonly p50Us: number
  readonly p99Us: number
  /** How often this side slept per trip, where that is counted, else null. */
  readonly parksPerTrip: number | null
}

export interface FloodReport {
  readonly messagesPerSecond: number
}

const ECHO_BYTES = 32

class Initiator {
  readonly #link: Link
  #take: ((kind: number, number: number) => void) | undefined

  constructor(link: Link) {
    this.#link = link
    link.listen((kind, number) => this.#take?.(kind, number))
  }

  async echo({ cores, warmUpTrips, trips, msMax }: Extract<EchoOrder, { order: 'echo' }>): Promise<EchoReport> {
    await this.#ask(KIND.pin, cores[1], KIND.pinned)
    pinThread(cores[0])
    await this.#trips(warmUpTrips, msMax)
    const parksBefore = this.#link.parks?.() ?? 0
    const samples = await this.#trips(trips, msMax)
    const parks = this.#link.parks === undefined ? null : this.#link.parks() - parksBefore
    return {
      p50Us: percentile(samples, 0.5),
      p99Us: percentile(samples, 0.99),
      parksPerTrip: parks === null ? null : parks / samples.length,
    }
  }

  async flood({ count, bytes, batch }: Extract<EchoOrder, { order: 'flood' }>): Promise<FloodReport> {
    const link = this.#link
    const startMs = performance.now()
    for (let number = 0; number < count; number++) {
      while (!link.trySend(KIND.flood, number, bytes)) await link.whenRoom(bytes)
      if (number % batch === batch - 1) link.flush()
    }
    while (!link.trySend(KIND.last, 0, ECHO_BYTES)) await link.whenRoom(ECHO_BYTES)
    const counted = await this.#answer(KIND.counted)
    const elapsedMs = performance.now() - startMs
    if (counted !== count) throw failure(`${count} messages were sent and ${counted} counted`)
    return { messagesPerSecond: (count / elapsedMs) * 1000 }
  }

  /** The microseconds of each trip. */
  async #trips(tripsMax: number, msMax: number): Promise<Float64Array> {
    const link = this.#link
    const samples = new Float64Array(tripsMax)
    const endMs = performance.now() + msMax
    let trip = 0
    let sentMs = 0
    const send = () => {
      sentMs = performance.now()
      if (!link.trySend(KIND.echo, trip, ECHO_BYTES)) throw failure('the way is full of answered messages')
      link.flush()
    }
    await new Promise<void>((resolve, reject) => {
      this.#take = (kind, number) => {
        const nowMs = performance.now()
        samples[trip] = (nowMs - sentMs) * 1000
        if (kind !== KIND.echoed || number !== trip) return reject(failure(`trip ${trip} was answered with ${kind} ${number}`))
        trip++
        if (trip < tripsMax && nowMs < endMs) send()
        else resolve()
      }
      send()
    })
    return samples.subarray(0, trip)
  }

  async #ask(kind: number, number: number, answerKind: number): Promise<void> {
    this.#link.trySend(kind, number, ECHO_BYTES)
    await this.#answer(answerKind)
  }

  #answer(wanted: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#take = (kind, number) => (kind === wanted ? resolve(number) : reject(failure(`an answer of kind ${kind} came`)))
      this.#link.flush()
    })
  }
}

function failure(fact: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact, action: 'retry' })
}

/** Starts the side that answers; with it this process ends too. */
async function startLink(setup: EchoSetup): Promise<Link> {
  const { way, folder, strategy } = setup
  const [program, argument] = [compiledPath('harness/echo-responder'), JSON.stringify(setup)]
  if (way === 'message-port') {
    const worker = new Worker(program, { argv: [argument] })
    await new Promise((resolve) => worker.once('message', resolve))
    return carriedLink(portCarrier(worker))
  }
  const child = fork(program, [argument], { execArgv: [], serialization: way === 'process.send-advanced' ? 'advanced' : 'json' })
  child.once('exit', () => process.exit(1))
  await new Promise((resolve) => child.once('message', resolve))
  if (way === 'bus') return busLink(folder, 'initiator', strategy)
  if (way !== 'unix-socket') return carriedLink(processCarrier(child, way === 'process.send'))
  const socket = createConnection(socketPath(folder))
  await new Promise((resolve) => socket.once('connect', resolve))
  return carriedLink(socketCarrier(socket))
}

serveOrders<EchoSetup, EchoOrder, EchoReport | FloodReport>(import.meta.url, (setup) => {
  const started = startLink(setup).then((link) => new Initiator(link))
  return async (order) => {
    const initiator = await started
    return order.order === 'echo' ? initiator.echo(order) : initiator.flood(order)
  }
})
