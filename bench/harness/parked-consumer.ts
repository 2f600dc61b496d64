/**
 * The process of bus-wake that consumes: either from many channels that nobody writes to, or from one that a producer floods while
 * timers and a socket want their turn as well.
 */
import { fork } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemClock } from '#base/clock.js'
import { channelBytes, Consumer, createChannel, NO_FRAME, NO_PEER, openChannel, Producer, runDutyCycle } from '#bus/index.js'
import { Bell, Mapping, ownProcess, RemoteBell } from '#shm/index.js'
import { compiledPath } from './compiled.js'
import { serveOrders } from './measuring-process.js'

export interface ConsumerSetup {
  readonly folder: string
  /** The other side of `drain`: a process that sends as fast as there is room. */
  readonly isFlooding?: boolean
}

export type ConsumerOrder =
  /** Sleep on the bell of that many channels, then take a frame from the last of them. */
  | { readonly order: 'idle'; readonly channels: number; readonly ms: number }
  /** Drain a flood, with a timer every millisecond and a socket that echoes. */
  | { readonly order: 'drain'; readonly ms: number }

export interface IdleReport {
  /** Of one core, by the CPU time of the whole process. */
  readonly cpuPercent: number
  /** From the ring to the handler, for the frame at the end: it was asleep and not gone. */
  readonly wokeAfterMs: number
}

export interface DrainReport {
  /** By Node's own histogram: the time between two runs of a timer of 1 ms, that millisecond included. */
  readonly loopDelayP99Ms: number
  readonly loopDelayMaxMs: number
  readonly framesPerSecond: number
  /** Of a timer of 1 ms. */
  readonly timersPerSecond: number
  /** Of a client that asks again when it has its answer. */
  readonly echoesPerSecond: number
}

const CAPACITY_BYTES = 64 * 1024
const FLOOD_BYTES = 32
const FLOOD_BATCH = 16
/** The consumer's code is warm then. */
const FRAMES_BEFORE = 200_000
const SCHEMA = 0x57414b45
const WAKE_MS_MAX = 5_000

async function idle(folder: string, { channels, ms }: Extract<ConsumerOrder, { order: 'idle' }>): Promise<IdleReport> {
  const bellPath = join(folder, 'idle.bell')
  const bell = Bell.open(bellPath)
  const parked = { words: new Int32Array(1), index: 0 }
  const end = { ...ownProcess(), term: 1, schemaHash: SCHEMA, peer: NO_PEER }
  const mappings = Array.from({ length: channels }, (_, index) =>
    Mapping.create(join(folder, `idle.${index}.ring`), channelBytes(CAPACITY_BYTES)),
  )
  for (const [index, { buffer }] of mappings.entries())
    createChannel(buffer, { capacityBytes: CAPACITY_BYTES, schemaHash: SCHEMA, name: `idle.${index}` })
  const consumers = mappings.map(({ buffer }) => new Consumer(buffer, end))
  let wokeMs = 0
  const duty = {
    doWork() {
      let frames = 0
      for (const consumer of consumers) {
        if (consumer.next() === NO_FRAME) continue
        wokeMs = performance.now()
        consumer.release(consumer.endPosition)
        frames++
      }
      return frames
    },
    hasWork: () => consumers.some((consumer) => consumer.hasFrames()),
  }
  const running = runDutyCycle(duty, { strategy: 'adaptive', parked, bell, clock: systemClock, onError: throwUncaught })
  await elapsed(500)
  const before = process.cpuUsage()
  const startMs = performance.now()
  await elapsed(ms)
  const used = process.cpuUsage(before)
  const cpuPercent = ((used.user + used.system) / 1000 / (performance.now() - startMs)) * 100

  const remote = new RemoteBell(bellPath)
  const producer = new Producer((mappings.at(-1) as Mapping).buffer, { ...end, peer: { ...parked, ring: () => remote.ring() } })
  producer.tryClaim(FLOOD_BYTES, 0)
  producer.commit()
  const sentMs = performance.now()
  producer.publish()
  while (wokeMs === 0 && performance.now() - sentMs < WAKE_MS_MAX) await elapsed(1)
  running.stop()
  remote.close()
  bell.close()
  if (wokeMs === 0) throw new Error('the idle consumer did not wake')
  return { cpuPercent, wokeAfterMs: wokeMs - sentMs }
}

async function drain(folder: string, { ms }: Extract<ConsumerOrder, { order: 'drain' }>): Promise<DrainReport> {
  let [frames, timers, echoes] = [0, 0, 0]
  const channel = openChannel({ directory: folder, name: 'flood', role: 'consumer', capacityBytes: CAPACITY_BYTES })
  channel.consume((offset) => {
    const number = channel.view.getFloat64(offset, true)
    if (number !== frames) throw new Error(`frame ${number} came where ${frames} was due`)
    frames++
  })
  const server = createServer((socket) =>
    socket
      .on('error', () => {})
      .on('data', (data) => {
        echoes++
        socket.write(data)
      }),
  )
  await new Promise<void>((resolve) => server.listen(echoSocketPath(folder), resolve))
  const setup: ConsumerSetup = { folder, isFlooding: true }
  const flooder = fork(compiledPath('harness/parked-consumer'), [JSON.stringify(setup)], { execArgv: [] })
  const timer = setInterval(() => timers++, 1)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  try {
    while (frames < FRAMES_BEFORE || echoes === 0) await elapsed(1)
    const [framesBefore, timersBefore, echoesBefore, startMs] = [frames, timers, echoes, performance.now()]
    delay.enable()
    await elapsed(ms)
    delay.disable()
    const seconds = (performance.now() - startMs) / 1000
    return {
      loopDelayP99Ms: delay.percentile(99) / 1e6,
      loopDelayMaxMs: delay.max / 1e6,
      framesPerSecond: (frames - framesBefore) / seconds,
      timersPerSecond: (timers - timersBefore) / seconds,
      echoesPerSecond: (echoes - echoesBefore) / seconds,
    }
  } finally {
    clearInterval(timer)
    flooder.kill('SIGKILL')
    server.close()
    channel.close()
  }
}

/** Sends numbered frames for ever; ends with the process. */
async function flood(folder: string): Promise<void> {
  const channel = openChannel({ directory: folder, name: 'flood', role: 'producer', capacityBytes: CAPACITY_BYTES })
  const { producer } = channel
  for (let number = 0; ; number++) {
    let offset = producer.tryClaim(FLOOD_BYTES, 0)
    while (offset < 0) {
      await channel.whenRoom(FLOOD_BYTES)
      offset = producer.tryClaim(FLOOD_BYTES, 0)
    }
    producer.view.setFloat64(offset, number, true)
    producer.commit()
    if (number % FLOOD_BATCH === FLOOD_BATCH - 1) producer.publish()
  }
}

/** Where the consumer echoes while it drains. */
export function echoSocketPath(folder: string): string {
  return join(folder, 'drain.socket')
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}

serveOrders<ConsumerSetup, ConsumerOrder, IdleReport | DrainReport>(import.meta.url, ({ folder, isFlooding = false }) => {
  if (isFlooding) flood(folder).catch(throwUncaught)
  return (order) => (order.order === 'idle' ? idle(folder, order) : drain(folder, order))
})
