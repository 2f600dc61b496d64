import { describe, expect, test } from 'vitest'
import { shardOfId } from '#base/ids.js'
import type { PlantRig, RigOptions } from './plant-rig.js'
import { Relay, type RelayState } from './relay.js'
import { openTalk } from './rig-talk.js'

const SHARDS = 8

/** As a supervisor does it, with everybody there all the time. */
async function move(rig: PlantRig, shards: readonly number[], from: number, to: number): Promise<void> {
  await leave(rig, shards, from)
  rig.placement.move(shards, to)
  const adopted = rig.worker(to).adopt(shards)
  rig.placement.free(shards)
  await soon(rig, adopted)
}

async function leave(rig: PlantRig, shards: readonly number[], from: number): Promise<void> {
  hold(rig, shards)
  const release = rig.worker(from).release(shards)
  await rig.until(() => release.isOver)
}

function hold(rig: PlantRig, shards: readonly number[]): void {
  rig.placement.hold(shards)
  rig.publish()
}

async function soon<T>(rig: PlantRig, promise: Promise<T>): Promise<T> {
  let done: { readonly value: T } | undefined
  void promise.then((value) => (done = { value }))
  await rig.until(() => done !== undefined)
  return (done as unknown as { readonly value: T }).value
}

/** Names of relays of shards that the worker has at first. */
function namesAt(slot: number, count: number): string[] {
  const names: string[] = []
  for (let number = 0; names.length < count; number++) {
    if (shardOfId(`relay/r${number}`, SHARDS) % 2 === slot) names.push(`r${number}`)
  }
  return names
}

const shardOf = (name: string): number => shardOfId(`relay/${name}`, SHARDS)

const open = (options: Partial<RigOptions> = {}) => openTalk({ entities: [Relay], workers: 2, shardCount: SHARDS, ...options })

describe('an entity whose shard moves to another worker', () => {
  test('goes on there where it was, with what was sent before, meanwhile and afterwards, in order and once', async () => {
    const { rig, send, state, settle } = await open()
    const [name = ''] = namesAt(0, 1)
    for (let id = 0; id < 10; id++) send(`relay/${name}`, 'take', { id })
    rig.stepAll()
    hold(rig, [shardOf(name)])
    for (let id = 10; id < 20; id++) send(`relay/${name}`, 'take', { id })
    await move(rig, [shardOf(name)], 0, 1)
    for (let id = 20; id < 30; id++) send(`relay/${name}`, 'take', { id })
    await settle()

    expect((await state<RelayState>(`relay/${name}`))?.taken).toEqual(Array.from({ length: 30 }, (_, id) => id))
    expect(rig.worker(0).read(`relay/${name}`, () => 0)).toBeUndefined()
    expect(rig.worker(0).counters).toMatchObject({ knownEntities: 0, liveEntities: 0 })
    expect(rig.worker(1).counters).toMatchObject({ knownEntities: 1, liveEntities: 1, commands: 20 })
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })

  test('takes a snapshot with it, so that nothing is replayed', async () => {
    const { rig, send, settle } = await open()
    const [name = ''] = namesAt(0, 1)
    for (let id = 0; id < 10; id++) send(`relay/${name}`, 'take', { id })
    await settle()

    await leave(rig, [shardOf(name)], 0)
    rig.placement.move([shardOf(name)], 1)
    const adopted = await soon(rig, rig.worker(1).adopt([shardOf(name)]))

    expect(adopted).toMatchObject({ entities: 1, snapshots: 1, events: 0 })
  })

  test('can go there and back, and is told messages all the time', async () => {
    const { rig, send, state, settle } = await open()
    const [near = ''] = namesAt(0, 1)
    const [far = ''] = namesAt(1, 1)
    for (let round = 0; round < 6; round++) {
      const from = round % 2
      for (let id = 0; id < 5; id++) {
        send(`relay/${far}`, 'spread', { id: round * 10 + id, to: [near] })
        send(`relay/${near}`, 'spread', { id: 1000 + round * 10 + id, to: [far] })
      }
      for (let step = 0; step < round; step++) rig.stepAll()
      await move(rig, [shardOf(near)], from, 1 - from)
    }
    await settle()

    const sent = Array.from({ length: 6 }, (_, round) => Array.from({ length: 5 }, (__, id) => round * 10 + id)).flat()
    const taken = (await state<RelayState>(`relay/${near}`))?.taken as number[]
    expect(taken.filter((id) => id < 1000)).toEqual(sent)
    expect(taken.filter((id) => id >= 1000)).toEqual(sent.map((id) => id + 1000))
    const other = (await state<RelayState>(`relay/${far}`))?.taken as number[]
    expect(other.filter((id) => id >= 1000)).toEqual(sent.map((id) => id + 1000))
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })

  test('has the timers that it got elsewhere when it comes back to where it was passive', async () => {
    const { rig, send, state, settle } = await open({ limits: { passivateAfterMs: 5 } })
    const [name = ''] = namesAt(0, 1)
    send(`relay/${name}`, 'later', { ms: 20_000, note: 'first' })
    await settle()
    rig.clock.advance(200)
    await rig.until(() => rig.worker(0).counters.liveEntities === 0)

    await move(rig, [shardOf(name)], 0, 1)
    send(`relay/${name}`, 'later', { ms: 10_000, note: 'second' })
    await settle()
    await move(rig, [shardOf(name)], 1, 0)
    rig.clock.advance(30_000)
    await settle()

    expect((await state<RelayState>(`relay/${name}`))?.ticks).toEqual(['second', 'first'])
  })

  test('hears the answer to what it asked before, once', async () => {
    const { rig, send, state, settle } = await open()
    const [near = ''] = namesAt(0, 1)
    const [far = ''] = namesAt(1, 1)
    for (let steps = 0; steps < 12; steps++) {
      send(`relay/${near}`, 'inquire', { id: steps, who: far, what: 'take', timeoutMs: 60_000 })
      for (let step = 0; step < steps; step++) rig.stepAll()
      await move(rig, [shardOf(near)], steps % 2, 1 - (steps % 2))
    }
    await settle()

    const heard = (await state<RelayState>(`relay/${near}`))?.heard as [string, { message: number }][]
    expect(heard.map(([outcome, { message }]) => `${outcome} ${message}`)).toEqual(
      Array.from({ length: 12 }, (_, index) => `done ${index + 1}`),
    )
  })

  test('has its timers there, each of which goes off once', async () => {
    const { rig, send, state, settle } = await open()
    const [name = ''] = namesAt(0, 1)
    send(`relay/${name}`, 'later', { ms: 5000, note: 'far' })
    send(`relay/${name}`, 'later', { ms: 1, note: 'near' })
    await settle()
    for (let round = 0; round < 4; round++) await move(rig, [shardOf(name)], round % 2, 1 - (round % 2))
    expect((await state<RelayState>(`relay/${name}`))?.ticks).toEqual(['near'])
    await move(rig, [shardOf(name)], 0, 1)
    rig.clock.advance(5000)
    await settle()

    expect((await state<RelayState>(`relay/${name}`))?.ticks).toEqual(['near', 'far'])
    await move(rig, [shardOf(name)], 1, 0)
    await settle()
    expect((await state<RelayState>(`relay/${name}`))?.ticks).toEqual(['near', 'far'])
  })

  test('executes what it had sent itself and nobody has read where it is now', async () => {
    const { rig, send, state, settle } = await open({ limits: { commandsPerTurn: 1 } })
    const [name = ''] = namesAt(0, 1)
    for (const note of ['a', 'b', 'c']) send(`relay/${name}`, 'later', { ms: 100, note })
    await settle()
    rig.clock.advance(100)
    hold(rig, [shardOf(name)])
    const release = rig.worker(0).release([shardOf(name)])
    rig.stepWorker(0)
    await rig.until(() => release.isOver)
    const before = rig.worker(0).counters.commands
    rig.placement.move([shardOf(name)], 1)
    void rig.worker(1).adopt([shardOf(name)])
    rig.placement.free([shardOf(name)])
    await settle()

    expect(before).toBe(4)
    expect(rig.worker(0).counters.commands).toBe(4)
    expect((await state<RelayState>(`relay/${name}`))?.ticks).toEqual(['a', 'b', 'c'])
  })

  test('is new where it is sent its first command', async () => {
    const { rig, send, state, settle } = await open()
    const [name = ''] = namesAt(0, 1)
    await move(rig, [shardOf(name)], 0, 1)
    send(`relay/${name}`, 'take', { id: 1 })
    await settle()

    expect((await state<RelayState>(`relay/${name}`))?.taken).toEqual([1])
    expect(rig.worker(1).counters.commands).toBe(1)
  })

  test('keeps nobody else waiting meanwhile', async () => {
    const { rig, send, settle } = await open()
    const [moving = '', staying = ''] = namesAt(0, 20).filter(
      (name, _, all) => name === all[0] || shardOf(name) !== shardOf(all[0] as string),
    )
    const [other = ''] = namesAt(1, 1)
    send(`relay/${moving}`, 'take', { id: 0 })
    await settle()
    hold(rig, [shardOf(moving)])
    const held = send(`relay/${moving}`, 'take', { id: 1 })
    await rig.until(() => rig.worker(0).inFlightCount === 0)

    expect(held.isOffered).toBe(false)
    expect(rig.door().counters.full).toBeGreaterThan(0)
    const others = [staying, other].map((name) =>
      rig
        .door()
        .offer(
          { source: 'other', sequence: 1, entity: `relay/${name}`, command: 'take', data: { id: 1 }, at: undefined },
          'always',
          () => undefined,
        ),
    )
    expect(others).toEqual(['accepted', 'accepted'])
    rig.placement.free([shardOf(moving)])
    await settle()
    expect(held.settlements).toMatchObject([{ kind: 'done' }])
  })
})

describe('a worker that a shard leaves', () => {
  test.each([0, 1, 2, 3, 4, 6, 8])(
    'is followed by one that has it on, with all that was acknowledged, when it dies after %i steps',
    async (steps) => {
      const { rig, send, state, settle } = await open()
      const [name = ''] = namesAt(0, 1)
      for (let id = 0; id < 10; id++) send(`relay/${name}`, 'take', { id })
      rig.stepAll()
      hold(rig, [shardOf(name)])
      rig.worker(0).release([shardOf(name)])
      for (let step = 0; step < steps; step++) rig.stepAll()
      rig.killWorker(0)
      rig.startWorker(0)
      rig.placement.free([shardOf(name)])
      for (let id = 10; id < 20; id++) send(`relay/${name}`, 'take', { id })
      await settle()

      expect((await state<RelayState>(`relay/${name}`))?.taken).toEqual(Array.from({ length: 20 }, (_, id) => id))
      expect(await rig.liveHash()).toBe(await rig.replayedHash())
    },
  )

  test.each([0, 1, 2, 3, 4, 6, 8])('keeps it when it is asked to after %i steps after all', async (steps) => {
    const { rig, send, state, settle } = await open()
    const [name = ''] = namesAt(0, 1)
    send(`relay/${name}`, 'later', { ms: 50, note: 'once' })
    for (let id = 0; id < 10; id++) send(`relay/${name}`, 'take', { id })
    rig.stepAll()
    hold(rig, [shardOf(name)])
    const release = rig.worker(0).release([shardOf(name)])
    for (let step = 0; step < steps; step++) rig.stepAll()
    if (!release.isOver) release.cancel()
    else await soon(rig, rig.worker(0).adopt([shardOf(name)]))
    rig.placement.free([shardOf(name)])
    for (let id = 10; id < 20; id++) send(`relay/${name}`, 'take', { id })
    rig.clock.advance(50)
    await settle()

    expect(await state<RelayState>(`relay/${name}`)).toMatchObject({ taken: Array.from({ length: 20 }, (_, id) => id), ticks: ['once'] })
    expect(rig.worker(0).counters).toMatchObject({ knownEntities: 1, liveEntities: 1 })
  })
})

describe('a worker that dies when a shard comes to it', () => {
  test.each([0, 1, 2, 3, 5])('is followed by one that has it, after %i steps', async (steps) => {
    const { rig, send, state, settle } = await open()
    const [name = ''] = namesAt(0, 1)
    for (let id = 0; id < 10; id++) send(`relay/${name}`, 'take', { id })
    rig.stepAll()
    await leave(rig, [shardOf(name)], 0)
    rig.placement.move([shardOf(name)], 1)
    void rig.worker(1).adopt([shardOf(name)])
    rig.placement.free([shardOf(name)])
    for (let id = 10; id < 20; id++) send(`relay/${name}`, 'take', { id })
    for (let step = 0; step < steps; step++) rig.stepAll()
    rig.killWorker(1)
    rig.startWorker(1)
    await settle()

    expect((await state<RelayState>(`relay/${name}`))?.taken).toEqual(Array.from({ length: 20 }, (_, id) => id))
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })
})
