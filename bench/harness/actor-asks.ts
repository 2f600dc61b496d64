/**
 * One of the two processes between which asks are measured: a worker of two that spins, with a door in the first one. Started with a folder of channels and its
 * slot; the second one answers while the first one measures.
 */
import { join } from 'node:path'
import { assert } from '#base/assert.js'
import { type EntityId, entityId, SHARD_COUNT_DEFAULT, shardOfId } from '#base/ids.js'
import { Mapping, pinThread } from '#shm/index.js'
import { Placement } from '#shards/placement.js'
import { answersName, commandsName, messagesName, repliesName } from '#runtime/channel-plan.js'
import { ActorHost } from './actor-host.js'
import { heard, Node } from './actor-types.js'
import { serveOrders } from './measuring-process.js'
import { clockCostNs, percentile } from './samples.js'

export interface AskSetup {
  readonly folder: string
  readonly slot: 0 | 1
  readonly core: number
}

export type AskOrder =
  | { readonly order: 'load' }
  /** Answers until the word of the folder's stop channel says that it is over. */
  | { readonly order: 'answer' }
  /** By an entity; by a callback of the door; by a promise of the door. */
  | { readonly order: 'ask'; readonly by: 'entity' | 'callback' | 'promise'; readonly count: number }

export interface AskReport {
  readonly p50Us: number
  readonly p99Us: number
}

/** The channels that both have, and those that the worker with the door has to the other one. */
export const ASK_CHANNELS = [
  ...[messagesName(0, 1), messagesName(1, 0), repliesName(0, 1), repliesName(1, 0)],
  ...[commandsName(0, 1), answersName(1, 0)],
]
/** One word: other than 0 when the second process is to stop answering. */
export const STOP_FILE = 'stop.word'

const WARM_UP_ASKS = 20_000
const TURNS_PER_LOOK = 1024
const SILENCE_MS_MAX = 60_000

function nameIn(slot: number): string {
  const placement = Placement.even(SHARD_COUNT_DEFAULT, 2)
  for (let number = 0; ; number++) if (placement.slotOf(shardOfId(`node/${number}`, SHARD_COUNT_DEFAULT)) === slot) return String(number)
}

async function openEnd({ folder, slot, core }: AskSetup): Promise<(order: AskOrder) => Promise<AskReport | null>> {
  pinThread(core)
  const memory = (channel: string): ArrayBufferLike | undefined =>
    ASK_CHANNELS.includes(channel) ? Mapping.open(join(folder, `${channel}.ring`)).buffer : undefined
  const host = await ActorHost.open({ entities: [Node], workers: 2, slot, memory })
  const stop = new Int32Array(Mapping.open(join(folder, STOP_FILE)).buffer)
  const asked = nameIn(1)
  if (slot === 0) await host.sendAll([nameIn(0)], 'link', () => ({ next: asked }))
  return async (order) => {
    if (order.order === 'load') return null
    if (order.order === 'answer') {
      for (let turn = 1; turn % TURNS_PER_LOOK !== 0 || Atomics.load(stop, 0) === 0; turn++) host.worker.doWork()
      return null
    }
    const ask = { entity: byEntity, callback: byCallback, promise: byPromise }[order.by]
    await ask(host, asked, Math.min(WARM_UP_ASKS, order.count))
    const samples = await ask(host, asked, order.count)
    Atomics.store(stop, 0, 1)
    const clockUs = clockCostNs() / 1000
    return { p50Us: percentile(samples, 0.5) - clockUs, p99Us: percentile(samples, 0.99) - clockUs }
  }
}

/** An entity asks one of the other worker; what takes the answer asks again. */
async function byEntity(host: ActorHost, _asked: string, count: number): Promise<Float64Array> {
  const samples = new Float64Array(count)
  const before = heard.answers
  let index = 0
  let sentMs = 0
  heard.onAnswer = () => {
    const nowMs = performance.now()
    if (index > 0) samples[index - 1] = (nowMs - sentMs) * 1000
    sentMs = performance.now()
    return ++index > count
  }
  await host.sendAll([nameIn(0)], 'startAsking', () => ({ left: Number.MAX_SAFE_INTEGER }))
  spin(
    () => host.worker.doWork(),
    () => index > count,
  )
  assert(heard.answers - before === count + 1, 'every ask was answered once')
  return samples
}

async function byCallback(host: ActorHost, asked: string, count: number): Promise<Float64Array> {
  const samples = new Float64Array(count)
  const entity = entityId('node', asked)
  let index = 0
  let sentMs = 0
  let sum = 0
  const ask = (): void => {
    sentMs = performance.now()
    offer(host, entity, index, (reply) => {
      samples[index] = (performance.now() - sentMs) * 1000
      sum += reply
      if (++index < count) ask()
    })
  }
  ask()
  spin(
    () => host.door.doWork(),
    () => index === count,
  )
  assert(sum === (count * (count - 1)) / 2, 'every answer is that to its question')
  return samples
}

async function byPromise(host: ActorHost, asked: string, count: number): Promise<Float64Array> {
  const samples = new Float64Array(count)
  const entity = entityId('node', asked)
  let index = 0
  const askAll = async (): Promise<void> => {
    for (; index < count; index++) {
      const sentMs = performance.now()
      const reply = await new Promise<number>((resolve) => offer(host, entity, index, resolve))
      samples[index] = (performance.now() - sentMs) * 1000
      assert(reply === index, 'the answer is that to the question')
    }
  }
  const done = askAll()
  while (index < count) {
    // Gives way to promises after each turn, and to nothing else.
    for (let turn = 0; turn < TURNS_PER_LOOK && host.door.doWork() === 0; turn++);
    await Promise.resolve()
  }
  await done
  return samples
}

function offer(host: ActorHost, entity: EntityId, left: number, answered: (reply: number) => void): void {
  const offered = host.door.offer(
    { source: '', sequence: 0, entity, command: 'look', data: { left }, at: undefined },
    'always',
    (settled) => {
      assert(settled.kind === 'done', 'an ask is done')
      answered(settled.reply as number)
    },
  )
  assert(offered === 'accepted', 'there is room for one ask')
}

function spin(turn: () => void, isDone: () => boolean): void {
  const giveUpAtMs = performance.now() + SILENCE_MS_MAX
  for (let turns = 1; !isDone(); turns++) {
    turn()
    if (turns % (1 << 20) === 0 && performance.now() > giveUpAtMs) throw new Error('the other process went silent')
  }
}

serveOrders<AskSetup, AskOrder, AskReport | null>(import.meta.url, (setup) => {
  const end = openEnd(setup)
  return async (order) => (await end)(order)
})
