/**
 * How many commands do entities tell each other in one worker, how many asks are answered, what does an ask cost from one process to another, and what an entity that
 * is only there?
 *
 *   node ─tell▶ node ─tell▶ … in a ring              one worker, no row stored: the commands are volatile
 *   asker ══ messages, commands ══▶ asked             two workers, or a door and a worker, spinning on a core each
 *         ◀══ replies, answers ══
 *
 * The rivals do the same in the same run, in turns with ours: numbers that count down go round in a ring of actors, and an actor asks the next one again when it has its
 * answer. Nact asks by promise; XState has no asks, so that who is asked sends an event back. Rates are per second of the processor, the collector's threads included,
 * medians over the rounds; every message and answer is counted. Percentiles of asks are of trips timed one by one, less the clock's own cost. Bytes are what is free
 * when a worker with that many entities is let go of, each with one stored command of one source, less their states. Needs two cores of its own for some minutes.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { PlantModel } from '#entity/index.js'
import { Mapping } from '#shm/index.js'
import { ASK_CHANNELS, type AskOrder, type AskReport, type AskSetup, STOP_FILE } from './harness/actor-asks.js'
import { HOST_CHANNEL } from './harness/actor-host.js'
import type { SizeOrder, SizeReport } from './harness/actor-size.js'
import type { ActorKind, SpeedOrder, SpeedReport } from './harness/actor-speed.js'
import { Node } from './harness/actor-types.js'
import { benchMain } from './harness/bench-main.js'
import { createRing, ringFolder, twoCores } from './harness/ground.js'
import { MeasuringProcess } from './harness/measuring-process.js'
import { median } from './harness/samples.js'

export interface ActorsOptions {
  readonly rounds: number
  readonly ringEntities: number
  /** Numbers on their way at a time. */
  readonly chains: number
  /** Messages of each chain in a round, ours; the rivals get fewer by what they are slower. */
  readonly tells: number
  readonly asks: number
  /** Trips between two processes, of each form. */
  readonly trips: number
  readonly liveEntities: number
  /** Told among the live entities while the collector's pauses are looked at. */
  readonly loadMessages: number
  readonly withRivals: boolean
}

export const ACTORS_FULL: ActorsOptions = {
  ...{ rounds: 11, ringEntities: 100, chains: 50, tells: 40_000, asks: 8_000, trips: 200_000 },
  ...{ liveEntities: 1_000_000, loadMessages: 3_000_000, withRivals: true },
}
export const ACTORS_SMOKE: ActorsOptions = {
  ...{ rounds: 1, ringEntities: 10, chains: 5, tells: 1000, asks: 200, trips: 200 },
  ...{ liveEntities: 2000, loadMessages: 4000, withRivals: false },
}

export interface ActorsBench extends ActorsOptions {
  readonly bench: 'actors'
  /** Volatile commands between entities of one worker. */
  readonly tellPerSecond: number
  readonly askPerSecond: number
  /** A door asks an entity of another process and hears by callback. */
  readonly crossProcessAskP50Us: number
  readonly crossProcessAskP99Us: number
  /** The same, as a promise. */
  readonly crossProcessPromiseP50Us: number
  /** An entity asks one of another worker and takes the answer as a command. */
  readonly crossWorkerAskP50Us: number
  readonly bytesPerIdleEntity: number
  readonly bytesPerState: number
  readonly bytesPerPassiveEntity: number
  readonly gcPauseMsMax: number
  /** Among all live entities instead of a ring that fits the caches. */
  readonly tellPerSecondAmongAll: number
  readonly rivals: readonly { readonly name: string; readonly tellPerSecond: number; readonly askPerSecond: number }[]
}

/** How much less than ours the rivals are given, so that rounds take about as long. */
const RIVAL_SHARES: Readonly<Record<Exclude<ActorKind, 'millrace'>, number>> = { nact: 8, xstate: 40 }
const ORDER_MS_MAX = 900_000

/** Runs everything in processes of its own, which are gone when it resolves. Throws ERR_BENCH_CORES where this process may use one core only. */
export async function measureActors(options: ActorsOptions): Promise<ActorsBench> {
  const { ours, rivals } = await measureSpeeds(options)
  const callback = await measureAsks('callback', options.trips)
  const promise = await measureAsks('promise', options.trips)
  const entity = await measureAsks('entity', options.trips)
  const { tellPerSecond, ...sizes } = await measureSizes(options)
  return {
    bench: 'actors',
    ...ours,
    crossProcessAskP50Us: rounded(callback.p50Us),
    crossProcessAskP99Us: rounded(callback.p99Us),
    crossProcessPromiseP50Us: rounded(promise.p50Us),
    crossWorkerAskP50Us: rounded(entity.p50Us),
    ...options,
    ...sizes,
    tellPerSecondAmongAll: tellPerSecond,
    rivals,
  }
}

export function describeActors(result: ActorsBench): string {
  const millions = (perSecond: number): string => `${(perSecond / 1e6).toFixed(2)} M/s`
  return [
    `in one worker: ${millions(result.tellPerSecond)} tells, ${millions(result.askPerSecond)} asks; among ${result.liveEntities} entities ${millions(result.tellPerSecondAmongAll)} tells`,
    ...result.rivals.map(({ name, ...rival }) => `  ${name}: ${millions(rival.tellPerSecond)} tells, ${millions(rival.askPerSecond)} asks`),
    `an ask to another process: p50 ${result.crossProcessAskP50Us} µs by callback, ${result.crossProcessPromiseP50Us} µs as a promise; from entity to entity ${result.crossWorkerAskP50Us} µs`,
    `an idle entity: ${result.bytesPerIdleEntity} bytes beyond its state of ${result.bytesPerState}; a passive one: ${result.bytesPerPassiveEntity}`,
    `longest pause of the collector with ${result.liveEntities} live entities under load: ${result.gcPauseMsMax} ms`,
  ].join('\n')
}

type SpeedProcess = MeasuringProcess<{ readonly kind: ActorKind; readonly count: number }, SpeedOrder, SpeedReport>

async function measureSpeeds({ rounds, ringEntities: count, chains, tells, asks, withRivals }: ActorsOptions) {
  const names: readonly ActorKind[] = withRivals ? ['millrace', 'nact', 'xstate'] : ['millrace']
  const kinds = names.map((kind) => ({
    kind,
    ends: new MeasuringProcess('harness/actor-speed', { kind, count }, ORDER_MS_MAX) as SpeedProcess,
    tell: [] as number[],
    ask: [] as number[],
  }))
  try {
    for (let round = 0; round < rounds; round++) {
      for (const { kind, ends, ...rates } of kinds) {
        const share = kind === 'millrace' ? 1 : RIVAL_SHARES[kind]
        for (const [what, length] of [
          ['tell', tells],
          ['ask', asks],
        ] as const)
          rates[what].push(await ends.order({ what, chains, length: Math.ceil(length / share) }))
      }
    }
  } finally {
    for (const { ends } of kinds) ends.kill()
  }
  const [ours, ...rivals] = kinds.map(({ kind, tell, ask }) => ({
    name: kind,
    tellPerSecond: Math.round(median(tell)),
    askPerSecond: Math.round(median(ask)),
  }))
  if (ours === undefined) throw new Error('ours are measured first')
  const { name: _, ...rates } = ours
  return { ours: rates, rivals }
}

async function measureAsks(by: 'entity' | 'callback' | 'promise', count: number): Promise<AskReport> {
  const cores = twoCores()
  const folder = ringFolder('actors')
  const ends: MeasuringProcess<AskSetup, AskOrder, AskReport | null>[] = []
  try {
    const { schemaHash } = new PlantModel([Node])
    for (const channel of ASK_CHANNELS) createRing(folder, channel, { capacityBytes: HOST_CHANNEL.capacityBytes / 16, schemaHash })
    Mapping.create(join(folder, STOP_FILE), 4096).close()
    for (const slot of [0, 1] as const)
      ends.push(new MeasuringProcess('harness/actor-asks', { folder, slot, core: cores[slot] }, ORDER_MS_MAX))
    await Promise.all(ends.map((end) => end.order({ order: 'load' })))
    const orders: readonly AskOrder[] = [{ order: 'ask', by, count }, { order: 'answer' }]
    const [report] = await Promise.all(ends.map((end, slot) => end.order(orders[slot] as AskOrder)))
    return report as AskReport
  } finally {
    for (const end of ends) end.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureSizes({ liveEntities, loadMessages }: ActorsOptions): Promise<SizeReport> {
  const end = new MeasuringProcess<null, SizeOrder, SizeReport>('harness/actor-size', null, ORDER_MS_MAX)
  try {
    return await end.order({ entities: liveEntities, messages: loadMessages })
  } finally {
    end.kill()
  }
}

function rounded(us: number): number {
  return Math.round(us * 100) / 100
}

benchMain(import.meta.url, { name: 'actors', full: ACTORS_FULL, smoke: ACTORS_SMOKE, measure: measureActors, describe: describeActors })
