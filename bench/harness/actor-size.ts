/** Measures what entities cost the worker that they live in, in a process of its own: by what is left when all garbage is gone. */
import { PerformanceObserver } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { assert } from '#base/assert.js'
import { systemClock } from '#base/clock.js'
import { ActorHost } from './actor-host.js'
import { heard, Node } from './actor-types.js'
import { serveOrders } from './measuring-process.js'

export interface SizeOrder {
  readonly entities: number
  /** Messages handed on among them while pauses are looked at. */
  readonly messages: number
}

export interface SizeReport {
  readonly liveEntities: number
  /** Beyond the state itself, which is measured alone. */
  readonly bytesPerIdleEntity: number
  readonly bytesPerState: number
  readonly bytesPerPassiveEntity: number
  /** The longest while the messages went round among the live entities, milliseconds. */
  readonly gcPauseMsMax: number
  readonly tellPerSecond: number
}

const IDLE_MS = 60_000
const CHAINS = 1000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Heap and what lies outside of it, without garbage. */
function usedBytes(): number {
  for (let round = 0; round < 3; round++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** What the worker of a host has, found out by letting go of it: a journal and a door in this process stay. */
function bytesOfWorker(host: ActorHost): number {
  const before = usedBytes()
  host.dropWorker()
  return before - usedBytes()
}

async function measureSize({ entities, messages }: SizeOrder): Promise<SizeReport> {
  let skippedMs = 0
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs }
  const names = Array.from({ length: entities }, (_, index) => String(index))
  const open = async (): Promise<ActorHost> => {
    const host = await ActorHost.open({ entities: [Node], clock, passivateAfterMs: IDLE_MS })
    await host.sendAll(names, 'link', (index) => ({ next: String((index + 1) % entities) }), 'plc')
    assert(host.worker.counters.liveEntities === entities, 'all of them are live')
    return host
  }
  const empty = await ActorHost.open({ entities: [Node] })
  const emptyBytes = bytesOfWorker(empty)
  const perEntity = (bytes: number): number => Math.max(0, bytes - emptyBytes) / entities

  const stateBytes = bytesPerState()
  const liveBytes = perEntity(bytesOfWorker(await open())) - stateBytes
  const passive = await open()
  await passive.until(() => {
    // The hand goes round by the clock.
    skippedMs += IDLE_MS
    return passive.worker.counters.liveEntities === 0
  })
  const passiveBytes = perEntity(bytesOfWorker(passive))
  // Last, since whom entities have told is remembered with the code of the type.
  const load = await underLoad(await open(), names, messages)
  return {
    liveEntities: entities,
    bytesPerIdleEntity: Math.round(liveBytes),
    bytesPerState: Math.round(stateBytes),
    bytesPerPassiveEntity: Math.round(passiveBytes),
    ...load,
  }
}

const STATES = 100_000

function bytesPerState(): number {
  const before = usedBytes()
  const states = Array.from({ length: STATES }, (_, index) => {
    const state = Node.initial()
    state.next = Buffer.from(String(index)).toString()
    return state
  })
  const bytes = (usedBytes() - before) / states.length
  // The list itself is none of it.
  return bytes - 8
}

/** Numbers go round among the live entities, which all are touched again and again, while the collector's pauses are noted. */
async function underLoad(host: ActorHost, names: readonly string[], messages: number) {
  let gcPauseMsMax = 0
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) gcPauseMsMax = Math.max(gcPauseMsMax, duration)
  })
  observer.observe({ entryTypes: ['gc'] })
  const before = heard.hops
  const left = Math.ceil(messages / CHAINS) - 1
  const starts = Array.from({ length: CHAINS }, (_, index) => names[Math.floor((index * names.length) / CHAINS)] as string)
  const cpu = process.cpuUsage()
  await host.sendAll(starts, 'start', () => ({ left }))
  await host.until(() => heard.hops - before === CHAINS * (left + 1))
  const { user, system } = process.cpuUsage(cpu)
  observer.disconnect()
  return { gcPauseMsMax: Math.round(gcPauseMsMax * 10) / 10, tellPerSecond: Math.round((CHAINS * (left + 1) * 1e6) / (user + system)) }
}

serveOrders<null, SizeOrder, SizeReport>(import.meta.url, () => measureSize)
