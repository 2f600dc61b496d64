import { describe, expect, test } from 'vitest'
import type { RelayState } from './relay.js'
import { Relay } from './relay.js'
import type { RigOptions } from './plant-rig.js'
import { openTalk } from './rig-talk.js'

const open = (options: Partial<RigOptions> = {}) => openTalk({ entities: [Relay], ...options })

describe.each([{ workers: 1 }, { workers: 2 }])('entities of $workers workers that tell each other', ({ workers }) => {
  test('hand on a number along a chain of ten, each once', async () => {
    const { rig, send, state, settle } = await open({ workers })

    send('relay/0', 'pass', { id: 7, length: 10 })
    await settle()

    for (let place = 0; place < 10; place++) expect((await state<RelayState>(`relay/${place}`))?.taken).toEqual([7])
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
    const rows = await rig.rows()
    expect(rows.filter(({ event }) => event === '#message')).toHaveLength(9)
    expect(rows.filter(({ event }) => event === '#settled').map(({ data }) => data['outcome'])).toEqual(new Array(9).fill('done'))
    expect(new Set(rows.filter(({ event }) => event === 'Took').map(({ correlation }) => correlation))).toEqual(new Set(['0']))
  })

  test('hear of done, refused and failed, and of an answer that did not come in time', async () => {
    const { send, state, settle } = await open({ workers })

    for (const [id, what] of ['take', 'refuse', 'fail'].entries())
      send('relay/a', 'inquire', { id, who: `to-${what}`, what, timeoutMs: 60_000 })
    await settle()

    const heard = (await state<RelayState>('relay/a'))?.heard
    expect(heard).toHaveLength(3)
    expect(heard).toContainEqual(['done', { message: 1, from: 'relay/to-take', reply: { count: 0, source: 'entity:relay/a' } }])
    expect(heard).toContainEqual(['refused', { message: 2, from: 'relay/to-refuse', code: 'NO', detail: { id: 1 } }])
    expect(heard).toContainEqual([
      'failed',
      { message: 3, from: 'relay/to-fail', code: 'DECIDE_FAILED', detail: { message: 'failed on 2' } },
    ])
  })

  test('go on where they were when their worker and the journal die at any step', async () => {
    for (let kill = 1; kill < 40; kill++) {
      const { rig, client, send, state } = await open({ workers })
      send('relay/0', 'pass', { id: 7, length: 4 })
      let step = 0
      await rig.until(() => {
        step++
        if (step === kill) {
          const worker = kill % workers
          rig.killWorker(worker)
          rig.startWorker(worker)
        }
        if (step === kill + (kill % 3)) {
          rig.killJournal()
          rig.startJournal()
        }
        return step > kill + 3 && rig.isIdle && client.isSettled
      })

      for (let place = 0; place < 4; place++) expect((await state<RelayState>(`relay/${place}`))?.taken, `killed at ${kill}`).toEqual([7])
      expect(await rig.liveHash()).toBe(await rig.replayedHash())
    }
  })
})

describe('a message', () => {
  test('to oneself is one command more', async () => {
    const { send, state, settle } = await open()

    send('relay/a', 'tellSelf', { id: 3 })
    await settle()

    expect((await state<RelayState>('relay/a'))?.taken).toEqual([3, 4])
  })

  test('is in order with those before it to the same entity', async () => {
    const { send, state, settle } = await open({ workers: 2 })

    for (let id = 0; id < 100; id++) send('relay/a', 'spread', { id, to: ['b', 'c'] })
    await settle()

    const ids = Array.from({ length: 100 }, (_, id) => id)
    expect((await state<RelayState>('relay/b'))?.taken).toEqual(ids)
    expect((await state<RelayState>('relay/c'))?.taken).toEqual(ids)
  })
})

describe('two entities with full outboxes for each other', () => {
  test('go on, since messages pass the commands of devices that wait', async () => {
    const { rig, send, state, settle } = await open({ workers: 2, limits: { outboxMax: 2 } })

    for (let id = 0; id < 50; id++) {
      send('relay/a', 'spread', { id, to: ['b'] })
      send('relay/b', 'spread', { id: id + 1000, to: ['a'] })
    }
    await settle()

    const own = Array.from({ length: 50 }, (_, id) => id)
    expect(rig.worker(0).counters.heldBack + rig.worker(1).counters.heldBack).toBeGreaterThan(0)
    expect(rig.worker(0).counters.told + rig.worker(1).counters.told).toBe(100)
    const taken = (await state<RelayState>('relay/a'))?.taken ?? []
    expect(taken.filter((id) => id < 1000)).toEqual(own)
    expect(taken.filter((id) => id >= 1000)).toEqual(own.map((id) => id + 1000))
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })
})

describe('a command that was held back by a full outbox', () => {
  test('is not overtaken by a later one of its source that comes in the turn in which there is room again', async () => {
    // Its channels come first in turns.
    for (const turns of [0, 1]) {
      const { rig, send, settle } = await open({ limits: { outboxMax: 1 } })
      for (let turn = 0; turn < turns; turn++) rig.stepWorker()
      send('relay/0', 'tellSelf', { id: 1 })
      const held = send('relay/0', 'take', { id: 10 })
      rig.stepDoor()
      rig.stepWorker()
      expect(rig.worker().counters.heldBack).toBe(1)
      rig.stepJournal()
      await rig.breathe()
      rig.stepJournal()

      const later = send('relay/0', 'take', { id: 11 })
      rig.stepDoor()
      rig.stepWorker()
      await settle()

      expect([held.settlements[0], later.settlements[0]]).toMatchObject([{ kind: 'done' }, { kind: 'done' }])
    }
  })
})

describe('a timer', () => {
  test('goes off once when it is due, whatever dies', async () => {
    const { rig, send, state, settle } = await open()
    send('relay/a', 'later', { ms: 5000, note: 'x' })
    await settle()
    expect((await state<RelayState>('relay/a'))?.ticks).toEqual([])
    rig.killWorker()
    rig.startWorker()
    await rig.until(() => rig.isIdle)

    rig.clock.advance(4000)
    await rig.until(() => rig.isIdle)
    expect((await state<RelayState>('relay/a'))?.ticks).toEqual([])
    rig.clock.advance(1000)
    await rig.until(() => rig.isIdle)

    expect((await state<RelayState>('relay/a'))?.ticks).toEqual(['x'])
    rig.killWorker()
    rig.startWorker()
    await rig.until(() => rig.isIdle)
    expect((await state<RelayState>('relay/a'))?.ticks).toEqual(['x'])
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })

  test('that is overdue after a recovery goes off in order of due time, with those of all entities', async () => {
    const { rig, send, settle } = await open({ limits: { snapshotEvery: 2 } })
    for (const [name, ms] of [
      ['a', 300],
      ['b', 100],
      ['c', 200],
      ['a', 150],
      ['d', 250],
    ] as const)
      send(`relay/${name}`, 'later', { ms: ms * 1000, note: String(ms) })
    await settle()
    rig.killWorker()
    rig.clock.advance(400_000)
    rig.startWorker()

    await rig.until(() => rig.isIdle)

    const ticks = (await rig.rows()).filter(({ event }) => event === 'Ticked').sort((a, b) => a.appendNumber - b.appendNumber)
    expect(ticks.map(({ data }) => data['note'])).toEqual(['100', '150', '200', '250', '300'])
  })

  test('goes off again and again until it is cancelled, and leaves out what has passed by', async () => {
    const { rig, send, state, settle } = await open()
    send('relay/a', 'again', { ms: 1000, note: 'x', key: 'k' })
    await settle()
    for (let second = 0; second < 3; second++) {
      rig.clock.advance(1000)
      await rig.until(() => rig.isIdle)
    }
    expect((await state<RelayState>('relay/a'))?.ticks).toEqual(['x', 'x', 'x'])
    rig.clock.advance(10_000)
    await rig.until(() => rig.isIdle)
    expect((await state<RelayState>('relay/a'))?.ticks).toHaveLength(4)

    const stopped = send('relay/a', 'stop', { key: 'k' })
    await settle()
    rig.clock.advance(10_000)
    await rig.until(() => rig.isIdle)

    expect(stopped.settlements[0]).toMatchObject({ kind: 'done', reply: { cancelled: true } })
    expect((await state<RelayState>('relay/a'))?.ticks).toHaveLength(4)
  })

  test('with the key of another one takes its place', async () => {
    const { rig, send, state, settle } = await open()
    send('relay/a', 'later', { ms: 1000, note: 'first', key: 'k' })
    send('relay/a', 'later', { ms: 2000, note: 'second', key: 'k' })
    await settle()

    rig.clock.advance(5000)
    await rig.until(() => rig.isIdle)

    expect((await state<RelayState>('relay/a'))?.ticks).toEqual(['second'])
  })

  test('of an entity that is passive goes off', async () => {
    const { rig, send, state, settle } = await open({ limits: { liveEntitiesMax: 1 } })
    send('relay/a', 'later', { ms: 60_000, note: 'x' })
    await settle()
    send('relay/b', 'take', { id: 1 })
    await settle()
    expect(rig.worker().counters.passivations).toBeGreaterThan(0)

    rig.clock.advance(60_000)
    await rig.until(() => rig.isIdle)

    expect((await state<RelayState>('relay/a'))?.ticks).toEqual(['x'])
  })

  test.each([{ snapshotEvery: 1 }, { snapshotEvery: 1_000_000 }])(
    'of entities for which there is no room after a recovery go off all the same, $snapshotEvery',
    async (limits) => {
      const { rig, send, settle } = await open({ limits })
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        send(`relay/${name}`, 'later', { ms: 60_000, note: name })
        send(`relay/${name}`, 'later', { ms: 1, note: 'first' })
      }
      send('relay/f', 'take', { id: 1 })
      await settle()
      rig.clock.advance(10)
      await rig.until(() => rig.isIdle)
      rig.killWorker()
      rig.startWorker(0, {}, { liveEntitiesMax: 1 })
      await rig.until(() => rig.isIdle)
      const { activations } = rig.worker().counters

      rig.clock.advance(60_000)
      await rig.until(() => rig.isIdle)

      const ticks = (await rig.rows())
        .filter(({ event }) => event === 'Ticked')
        .map(({ entity, data }) => `${entity} ${String(data['note'])}`)
      expect(ticks.filter((tick) => !tick.endsWith('first')).sort()).toEqual(
        ['a', 'b', 'c', 'd', 'e'].map((name) => `relay/${name} ${name}`),
      )
      expect(ticks).toHaveLength(10)
      // The one that had nothing open stayed as it was, unless it was the one that there was room for.
      expect(activations).toBeGreaterThanOrEqual(5)
      expect(await rig.liveHash()).toBe(await rig.replayedHash())
    },
  )

  test('whose command is refused is over', async () => {
    const { rig, send, settle } = await open()
    send('relay/a', 'laterDeny', { ms: 10 })
    await settle()

    rig.clock.advance(20)
    await rig.until(() => rig.isIdle)

    const settled = (await rig.rows()).filter(({ event }) => event === '#settled')
    expect(settled.map(({ data }) => data['outcome'])).toEqual(['refused'])
  })
})

describe('an ask', () => {
  test('is answered that time is up, once, and what comes later is noted and dropped', async () => {
    const { rig, send, state, settle } = await open({ workers: 2 })
    const [asker, other] = ['relay/a', 'relay/b'] as const
    rig.killWorker(0)
    rig.killWorker(1)
    rig.startWorker(0)
    rig.startWorker(1)
    await rig.until(() => rig.isIdle)
    send(asker, 'inquire', { id: 5, who: 'b', what: 'take', timeoutMs: 1 })
    await settle()

    const heard = (await state<RelayState>(asker))?.heard ?? []
    expect(heard).toHaveLength(1)
    expect((heard[0] as unknown[])[0]).toBe('timed-out')
    expect((await state<RelayState>(other))?.taken).toEqual([5])
    expect(await rig.liveHash()).toBe(await rig.replayedHash())
  })
})

describe('a message that ends worker after worker', () => {
  test('is refused by the one that is told to, and its sender stores that', async () => {
    const { rig, send, state, settle } = await open()
    let place: { readonly link: number; readonly position: number } | undefined
    const dies = (link: number, position: number): void => {
      if (link < rig.gatewayCount) return
      place = { link, position }
      throw new Error('it dies')
    }
    rig.killWorker()
    rig.startWorker(0, { atHand: { set: dies, clear: () => undefined } })
    send('relay/a', 'spread', { id: 1, to: ['b'] })
    await expect(rig.until(() => false)).rejects.toThrow('it dies')
    rig.killWorker()
    rig.startWorker(0, { parked: [{ link: -1, position: -1, ...place, reason: 'it ended 3 workers' }] })

    await settle()

    const settled = (await rig.rows()).filter(({ event }) => event === '#settled')
    expect(settled.map(({ data }) => data)).toEqual([{ number: 1, outcome: 'failed', code: 'PARKED' }])
    expect((await state<RelayState>('relay/b'))?.taken).toEqual([])
    send('relay/a', 'spread', { id: 2, to: ['b'] })
    await settle()
    expect((await state<RelayState>('relay/b'))?.taken).toEqual([2])
  })
})
