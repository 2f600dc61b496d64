/**
 * One of the three processes of bus-tap: sender, receiver or tap, over `openChannel` as an application would use it: nobody is pinned and
 * everybody parks when there is nothing to do.
 */
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { type CaptureSummary, capture, openChannel, openedChannel } from '#bus/index.js'
import { serveOrders } from './measuring-process.js'

export interface TapEndSetup {
  readonly role: 'sender' | 'receiver' | 'tap'
  readonly directory: string
  readonly capacityBytes: number
}

export type TapEndOrder =
  /** Send numbered frames; 0 a second: as fast as it goes. */
  | { readonly order: 'send'; readonly frames: number; readonly bytes: number; readonly framesPerSecond: number }
  /** Report once so many frames have come since the start. */
  | { readonly order: 'receive'; readonly frames: number }
  | { readonly order: 'capture'; readonly path: string }
  | { readonly order: 'stop' }

export interface TapEndReport {
  /** From the first claim to the last release. */
  readonly elapsedMs: number
  /** Of that in claiming, writing, publishing and waiting for room. */
  readonly sendingMs: number
  readonly refusals: number
  readonly summary?: CaptureSummary
}

const CHANNEL_NAME = 'tapped'
const BATCH = 64
const TICK_MS = 1
const LEASE_MS = 10_000
const NOTHING: TapEndReport = { elapsedMs: 0, sendingMs: 0, refusals: 0 }

function sender({ directory, capacityBytes }: TapEndSetup) {
  const channel = openChannel({ directory, name: CHANNEL_NAME, role: 'producer', capacityBytes })
  const { producer } = channel
  let number = 0

  const sendMany = async (count: number, bytes: number) => {
    for (let sent = 0; sent < count; sent++) {
      let offset = producer.tryClaim(bytes, 1)
      while (offset < 0) {
        await channel.whenRoom(bytes)
        offset = producer.tryClaim(bytes, 1)
      }
      for (let at = offset >> 3, end = (offset + bytes) >> 3; at < end; at++) producer.floats[at] = number
      producer.commit()
      number++
      if (sent % BATCH === BATCH - 1) producer.publish()
    }
    producer.publish()
  }

  return async (order: TapEndOrder): Promise<TapEndReport> => {
    if (order.order !== 'send') throw new Error('a sender sends')
    const { frames, bytes, framesPerSecond } = order
    const refusalsBefore = channel.stat().refusals
    const start = performance.now()
    let sendingMs = 0
    for (let sent = 0; sent < frames; ) {
      const began = performance.now()
      const due = framesPerSecond === 0 ? frames : Math.min(frames, Math.floor(((began - start) / 1000) * framesPerSecond))
      await sendMany(due - sent, bytes)
      sent = due
      sendingMs += performance.now() - began
      if (sent < frames) await delay(TICK_MS)
    }
    await channel.whenReleased()
    return { elapsedMs: performance.now() - start, sendingMs, refusals: channel.stat().refusals - refusalsBefore }
  }
}

function receiver({ directory, capacityBytes }: TapEndSetup) {
  const channel = openChannel({ directory, name: CHANNEL_NAME, role: 'consumer', capacityBytes })
  const { consumer } = channel
  let expected = 0
  channel.consume((offset, length) => {
    const first = consumer.floats[offset >> 3]
    const last = consumer.floats[((offset + length) >> 3) - 1]
    if (first !== expected || last !== expected) throw new Error(`frame ${expected} is not what was sent`)
    expected++
  })
  return async (order: TapEndOrder): Promise<TapEndReport> => {
    if (order.order !== 'receive') throw new Error('a receiver receives')
    while (expected < order.frames) await delay(TICK_MS)
    return NOTHING
  }
}

function tap({ directory }: TapEndSetup) {
  let end = new AbortController()
  let running: Promise<CaptureSummary> | undefined
  return async (order: TapEndOrder): Promise<TapEndReport> => {
    if (order.order === 'capture') {
      end = new AbortController()
      running = capture({
        ...openedChannel(directory, CHANNEL_NAME),
        path: order.path,
        leaseMs: LEASE_MS,
        signal: end.signal,
      })
      const failed = running.then(() => undefined)
      while (!existsSync(order.path)) await Promise.race([delay(TICK_MS), failed])
      return NOTHING
    }
    end.abort()
    if (running === undefined) throw new Error('nothing is captured')
    return { ...NOTHING, summary: await running }
  }
}

const STARTS = { sender, receiver, tap }

serveOrders<TapEndSetup, TapEndOrder, TapEndReport>(import.meta.url, (setup) => STARTS[setup.role](setup))
