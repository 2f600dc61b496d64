/**
 * One of the two processes of bus-throughput: started with a channel and the end of it to take, told over Node's own IPC what to do, and
 * spinning on the channel while it does it. What it does per frame is what reference/ring.c does.
 */
import { GCProfiler, getHeapStatistics } from 'node:v8'
import { type ChannelRole, Consumer, NO_FRAME, type Peer, Producer } from '#bus/index.js'
import { Mapping, ownProcess, pinThread } from '#shm/index.js'
import { serveOrders } from './measuring-process.js'

/** What an end is started with. */
export interface ThroughputEndSetup {
  readonly role: ChannelRole
  readonly path: string
  readonly core: number
}

/** A run, the same for both ends. `batch` divides `framesPerSegment`. */
export interface ThroughputRun {
  readonly bytes: number
  readonly batch: number
  readonly segments: number
  readonly framesPerSegment: number
}

export interface ThroughputReport {
  /** By what the end's heap grew during the run, with what was collected added. */
  readonly allocatedBytes: number
  /** Over the segments that count; 0 where none did, and at the sending end. */
  readonly framesPerSecond: number
  readonly discarded: number
}

export const THROUGHPUT_SCHEMA = 0x54505554
/** The first segments of a run never count. */
export const WARM_UP_SEGMENTS = 2

const DATA = 1
/** Carries the sender's count of involuntary context switches. */
const MARK = 2
const MARK_BYTES = 8
/** Payloads up to this length, multiples of 32, are written field by field; longer ones are copied between their first and last field. */
const FIELDS_BYTES_MAX = 256

/**
 * May sleep at any time and never does, so that every publish and release has to order its store before a look at the peer: what a channel that
 * waits by `adaptive` pays.
 */
const AWAKE_PEER: Peer = { words: new Int32Array(1), index: 0, ring: () => {} }

const SILENCE_MS_MAX = 5_000
const POLLS_PER_CLOCK_LOOK = 1 << 20

class Sender {
  readonly #out: Producer
  #number = 0

  constructor(out: Producer) {
    this.#out = out
  }

  run({ bytes, batch, segments, framesPerSegment }: ThroughputRun): Omit<ThroughputReport, 'allocatedBytes'> {
    const prepared = new Uint8Array(bytes - 16).fill(0x5a)
    this.#number = 0
    for (let segment = 0; segment < segments + WARM_UP_SEGMENTS; segment++) {
      this.#sendMark()
      for (let frame = 0; frame < framesPerSegment; frame += batch) this.#sendBatch(bytes, batch, prepared)
    }
    this.#sendMark()
    return { framesPerSecond: 0, discarded: 0 }
  }

  #sendBatch(bytes: number, batch: number, prepared: Uint8Array): void {
    const out = this.#out
    const { floats } = out
    for (let ofBatch = 0; ofBatch < batch; ofBatch++) {
      let offset = out.tryClaim(bytes, DATA)
      if (offset < 0) offset = this.#claimLater(bytes, DATA)
      const number = this.#number++
      const start = offset >> 3
      const end = (offset + bytes) >> 3
      floats[start] = number
      if (bytes <= FIELDS_BYTES_MAX) {
        floats[start + 1] = number
        floats[start + 2] = number
        for (let field = start + 3; field < end - 1; field += 4) {
          floats[field] = number
          floats[field + 1] = number
          floats[field + 2] = number
          floats[field + 3] = number
        }
      } else {
        out.bytes.set(prepared, offset + 8)
      }
      floats[end - 1] = number
      out.commit()
    }
    out.publish()
  }

  #sendMark(): void {
    const out = this.#out
    let offset = out.tryClaim(MARK_BYTES, MARK)
    if (offset < 0) offset = this.#claimLater(MARK_BYTES, MARK)
    out.view.setFloat64(offset, involuntarySwitches(), true)
    out.commit()
    out.publish()
  }

  /** Spins until there is room; not for ever, for the other process may be gone. */
  #claimLater(bytes: number, type: number): number {
    let giveUpAt = 0
    for (let poll = 1; ; poll++) {
      const offset = this.#out.tryClaim(bytes, type)
      if (offset >= 0) return offset
      if (poll % POLLS_PER_CLOCK_LOOK === 0) giveUpAt = silentUntil(giveUpAt)
    }
  }
}

class Receiver {
  readonly #in: Consumer
  #expected = 0
  #switches = 0

  constructor(inbound: Consumer) {
    this.#in = inbound
  }

  run({ bytes, batch, segments, framesPerSegment }: ThroughputRun): Omit<ThroughputReport, 'allocatedBytes'> {
    this.#expected = 0
    let countedMs = 0
    let counted = 0
    let start = this.#readMark()
    for (let segment = -WARM_UP_SEGMENTS; segment < segments; segment++) {
      const switches = this.#switches
      for (let frame = 0; frame < framesPerSegment; frame += batch) this.#receiveBatch(bytes, batch)
      const end = this.#readMark()
      if (segment >= 0 && this.#switches === switches) {
        countedMs += end - start
        counted++
      }
      start = end
    }
    return { framesPerSecond: counted === 0 ? 0 : ((counted * framesPerSegment) / countedMs) * 1e3, discarded: segments - counted }
  }

  #receiveBatch(bytes: number, batch: number): void {
    const inbound = this.#in
    const { floats } = inbound
    for (let ofBatch = 0; ofBatch < batch; ofBatch++) {
      let offset = inbound.next()
      if (offset === NO_FRAME) offset = this.#wait()
      const expected = this.#expected++
      const first = offset >> 3
      if (inbound.length !== bytes) throw wrong(expected, inbound)
      if (floats[first] !== expected || floats[first + (bytes >> 3) - 1] !== expected) throw wrong(expected, inbound)
    }
    inbound.release(inbound.endPosition)
  }

  /** Answers when the mark was read, and keeps both sides' switches up to it. */
  #readMark(): number {
    const offset = this.#wait()
    if (this.#in.type !== MARK) throw new Error(`a frame of type ${this.#in.type} came instead of a mark`)
    this.#switches = this.#in.view.getFloat64(offset, true) + involuntarySwitches()
    this.#in.release(this.#in.endPosition)
    return performance.now()
  }

  /** Spins until a frame comes; not for ever, for the other process may be gone. */
  #wait(): number {
    let giveUpAt = 0
    for (let poll = 1; ; poll++) {
      const offset = this.#in.next()
      if (offset !== NO_FRAME) return offset
      if (poll % POLLS_PER_CLOCK_LOOK === 0) giveUpAt = silentUntil(giveUpAt)
    }
  }
}

/**
 * How many bytes `work` put on the heap: the growth of what is used, from collection to collection, each of which V8 tells with the use
 * before and after it.
 */
export function allocatedBytes(work: () => void): number {
  const profiler = new GCProfiler()
  profiler.start()
  let used = getHeapStatistics().used_heap_size
  work()
  const usedAfter = getHeapStatistics().used_heap_size
  let allocated = 0
  for (const { beforeGC, afterGC } of profiler.stop().statistics) {
    allocated += beforeGC.heapStatistics.usedHeapSize - used
    used = afterGC.heapStatistics.usedHeapSize
  }
  return allocated + usedAfter - used
}

/** When to give up, asked again after every so many polls: 0 at first. The clock is not looked at before, as it costs several frames. */
function silentUntil(giveUpAt: number): number {
  const nowMs = performance.now()
  if (giveUpAt !== 0 && nowMs > giveUpAt) throw new Error('the other process went silent')
  return giveUpAt === 0 ? nowMs + SILENCE_MS_MAX : giveUpAt
}

/** Apart from the loop, which would allocate for the message's numbers even where nothing is wrong. */
function wrong(expected: number, { length, startPosition, endPosition }: Consumer): Error {
  return new Error(`frame ${expected} is not what was sent: length=${length} start=${startPosition} end=${endPosition}`)
}

function involuntarySwitches(): number {
  return process.resourceUsage().involuntaryContextSwitches
}

serveOrders<ThroughputEndSetup, ThroughputRun, ThroughputReport>(import.meta.url, ({ role, path, core }) => {
  pinThread(core)
  const { buffer } = Mapping.open(path)
  const identity = { ...ownProcess(), term: 1, schemaHash: THROUGHPUT_SCHEMA, peer: AWAKE_PEER }
  const end = role === 'producer' ? new Sender(new Producer(buffer, identity)) : new Receiver(new Consumer(buffer, identity))
  return (run) => {
    let measured: Omit<ThroughputReport, 'allocatedBytes'> = { framesPerSecond: 0, discarded: 0 }
    const allocated = allocatedBytes(() => {
      measured = end.run(run)
    })
    return { ...measured, allocatedBytes: allocated }
  }
})
