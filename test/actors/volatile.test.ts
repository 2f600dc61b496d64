import { beforeEach, describe, expect, test } from 'vitest'
import { ForeignWriter } from './foreign-writer.js'
import { Pulse, type PulseState, seen } from './pulse.js'
import type { RigOptions } from './plant-rig.js'
import { openTalk } from './rig-talk.js'
import { Tally } from './tally.js'

const open = (options: Partial<RigOptions> = {}) => openTalk({ entities: [Pulse], ...options })

beforeEach(() => {
  seen.length = 0
})

describe.each([{ workers: 1 }, { workers: 2 }])('volatile commands between entities of $workers workers', ({ workers }) => {
  test('are done once each, and leave no row', async () => {
    const { rig, send, settle } = await open({ workers })

    send('pulse/s', 'start', { left: 20 })
    await settle()

    expect(seen).toHaveLength(21)
    expect((await rig.rows()).map(({ entity }) => entity)).toEqual(['pulse/s'])
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })

  test('know who told them, in order, and are told when what they come from is durable', async () => {
    const { rig, send, settle } = await open({ workers })

    rig.journal.isFull = true
    for (let id = 0; id < 50; id++) send('pulse/a', 'begin', { id, to: ['b', 'c'], command: 'beat' })
    for (let round = 0; round < 20; round++) {
      rig.stepAll()
      await rig.breathe()
    }
    const early = seen.length
    rig.journal.isFull = false
    await settle()

    expect(early).toBe(0)
    const ids = Array.from({ length: 50 }, (_, id) => id)
    for (const entity of ['pulse/b', 'pulse/c']) {
      const own = seen.filter((one) => (one as { entity: string }).entity === entity)
      expect(own).toEqual(ids.map((id) => ({ entity, source: 'entity:pulse/a', id, correlation: String(id), counted: 0 })))
    }
  })

  test('that emit events are stored as any, with who told them as their cause', async () => {
    const { rig, send, settle, state } = await open({ workers })

    for (let id = 0; id < 10; id++) send('pulse/a', 'begin', { id, to: ['b'], command: 'count' })
    await settle()

    expect((await state<PulseState>('pulse/b'))?.counted).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const rows = (await rig.rows()).filter(({ event }) => event === 'Counted')
    expect(rows.map(({ causation, correlation, source }) => [causation, correlation, source])).toEqual(
      Array.from({ length: 10 }, (_, id) => ['entity:pulse/a', String(id), '']),
    )
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })

  test.each([
    ['reply', ['done', { message: -1, from: 'pulse/b', reply: { counted: 0 } }]],
    ['count', ['done', { message: -1, from: 'pulse/b', reply: { counted: 0 } }]],
    ['refuse', ['refused', { message: -1, from: 'pulse/b', code: 'NO', detail: { id: 1 } }]],
    ['throw', ['failed', { message: -1, from: 'pulse/b', code: 'DECIDE_FAILED', detail: { message: 'failed on 1' } }]],
  ])('that are asked and %s are answered, once', async (what, expected) => {
    const { send, settle } = await open({ workers })

    send('pulse/a', 'inquire', { who: 'b', what, timeoutMs: 60_000 })
    await settle()

    expect(seen).toEqual([expected])
  })
})

describe('a volatile command', () => {
  test('of a device is answered without a row, and done again when it comes again', async () => {
    const { rig, client, send, settle } = await open()

    const sent = send('pulse/a', 'beat', { id: 1 })
    await settle()
    client.sendAgain(sent)
    await settle()

    expect(sent.settlements[0]).toMatchObject({ kind: 'done', reply: { counted: 0 } })
    expect(seen).toHaveLength(2)
    expect(await rig.rows()).toEqual([])
  })

  test('whose event cannot be applied is dropped, and its entity is as it was', async () => {
    const { rig, send, settle, state } = await open()

    send('pulse/b', 'count', { id: 5 })
    send('pulse/b', 'spoil', {})
    await settle()

    expect((await state<PulseState>('pulse/b'))?.counted).toEqual([5])
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })

  test('to a passive entity waits until that is loaded', async () => {
    const { rig, send, settle } = await open({ limits: { passivateAfterMs: 5 } })
    send('pulse/b', 'count', { id: 5 })
    await settle()
    await rig.until(() => rig.worker().counters.liveEntities === 0)

    send('pulse/a', 'begin', { id: 1, to: ['b'], command: 'beat' })
    await settle()

    expect(seen).toMatchObject([{ entity: 'pulse/b', counted: 1 }])
  })

  test('to one that was being loaded when its shard was dropped is done or dropped, also where there is no room for it after that', async () => {
    for (let step = 0; step < 12; step++) {
      const { rig, client, send, state } = await open({ entities: [Pulse, Tally], shardCount: 1, limits: { liveEntitiesMax: 1 } })
      const foreign = new ForeignWriter(rig)
      for (const name of ['b', 'c', 'd']) send(`pulse/${name}`, 'count', { id: 0 })
      await rig.until(() => rig.isIdle && client.isSettled)
      send('pulse/a', 'begin', { id: 1, to: ['b', 'c', 'd'], command: 'count' })
      let steps = 0
      await rig.until(() => {
        if (steps === step) send('tally/x', 'add', { id: 1, by: 1 })
        if (steps === step) foreign.interfere('tally/x')
        return steps++ > step && rig.isIdle && client.isSettled
      })

      expect(rig.worker().counters.rejections).toBeGreaterThan(0)
      // What was decided on the state that went may be lost with it, and nothing waits for ever.
      for (const name of ['b', 'c', 'd']) expect([[0], [0, 1]]).toContainEqual((await state<PulseState>(`pulse/${name}`))?.counted)
      expect(rig.worker().isIdle).toBe(true)
    }
  })

  test('is dropped and counted where there are too many, and who asked hears it', async () => {
    const { rig, send, settle } = await open({ limits: { volatileMax: 4 } })

    send('pulse/a', 'begin', { id: 1, to: ['1', '2', '3', '4', '5', '6'], command: 'beat' })
    await settle()

    expect(seen).toHaveLength(4)
    expect(rig.worker().counters).toMatchObject({ volatileTold: 6, volatileDropped: 2 })
  })
})

describe('a volatile ask', () => {
  test('that nobody answers in time comes back as timed out, and only so', async () => {
    const { rig, send, settle } = await open({ workers: 2 })
    const own = (name: string) => [0, 1].find((slot) => rig.worker(slot).read(`pulse/${name}`, () => 0) !== undefined)
    for (const name of ['a', 'b', 'c', 'd']) send(`pulse/${name}`, 'count', { id: 0 })
    await settle()
    const other = ['b', 'c', 'd'].find((name) => own(name) !== own('a')) as string

    send('pulse/a', 'inquire', { who: other, what: 'reply', timeoutMs: 20 })
    rig.stepDoor()
    for (let round = 0; round < 30; round++) {
      rig.stepWorker(own('a'))
      rig.stepJournal()
      await rig.breathe()
      rig.clock.advance(1)
    }
    const early = [...seen]
    await settle()

    expect(early).toEqual([['timed-out', { message: -1, from: `pulse/${other}` }]])
    expect(seen).toEqual(early)
  })
})

describe('workers that die while volatile commands are under way', () => {
  test('never do one twice', async () => {
    for (let kill = 1; kill < 25; kill++) {
      const { rig, client, send, state } = await open({ workers: 2 })
      for (let id = 0; id < 5; id++) send('pulse/a', 'begin', { id, to: ['b', 'c', 'd', 'e'], command: 'count' })
      let step = 0
      await rig.until(() => {
        step++
        if (step === kill) {
          rig.killWorker(kill % 2)
          rig.startWorker(kill % 2)
        }
        return step > kill + 3 && rig.isIdle && client.isSettled
      })

      for (const name of ['b', 'c', 'd', 'e']) {
        const counted = (await state<PulseState>(`pulse/${name}`))?.counted ?? []
        expect(counted, `killed at ${kill}`).toEqual([...new Set(counted)].sort((one, other) => one - other))
      }
      expect(await rig.liveHash()).toBe(await rig.replayedHash())
    }
  })
})
