/** Measures what one kind of actors does in one process: started once, told by orders how much. */
import { type ActorRing, nactRing, xstateRing } from './actor-rivals.js'
import { ActorHost } from './actor-host.js'
import { heard, Node } from './actor-types.js'
import { serveOrders } from './measuring-process.js'

export type ActorKind = 'millrace' | 'nact' | 'xstate'

export interface SpeedOrder {
  /** Numbers on their way at a time. */
  readonly chains: number
  /** Messages, or asks, of each. */
  readonly length: number
  readonly what: 'tell' | 'ask'
}

/** Messages handed on, or asks answered, per second of the processor, the collector's threads included: others may use the machine meanwhile. */
export type SpeedReport = number

async function millraceRing(count: number): Promise<ActorRing> {
  const host = await ActorHost.open({ entities: [Node] })
  const names = Array.from({ length: count }, (_, index) => String(index))
  await host.sendAll(names, 'link', (index) => ({ next: names[(index + 1) % count] }))
  const run = async (command: string, starts: readonly number[], left: number, done: () => number): Promise<number> => {
    const before = done()
    const wanted = starts.length * (left + 1)
    await host.sendAll(
      starts.map((start) => names[start] as string),
      command,
      () => ({ left }),
    )
    // In one go, as a spinning worker would.
    while (done() - before < wanted) host.worker.doWork()
    return done() - before
  }
  return {
    tell: (starts, left) => run('start', starts, left, () => heard.hops),
    ask: (starts, left) => run('startAsking', starts, left, () => heard.answers),
  }
}

const RINGS: Readonly<Record<ActorKind, (count: number) => Promise<ActorRing>>> = {
  millrace: millraceRing,
  nact: nactRing,
  xstate: xstateRing,
}

serveOrders<{ readonly kind: ActorKind; readonly count: number }, SpeedOrder, SpeedReport>(import.meta.url, ({ kind, count }) => {
  const ring = RINGS[kind](count)
  return async ({ chains, length, what }) => {
    const starts = Array.from({ length: chains }, (_, index) => Math.floor((index * count) / chains))
    const actors = await ring
    const before = process.cpuUsage()
    const done = await actors[what](starts, length - 1)
    const { user, system } = process.cpuUsage(before)
    if (done !== chains * length) throw new Error(`${done} of ${chains * length} messages were counted`)
    return (done * 1e6) / (user + system)
  }
})
