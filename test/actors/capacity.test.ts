import { describe, expect, test } from 'vitest'
import { NO_ROOM_RETRY_MS } from '#serving/journal-server.js'
import { PlantRig } from './plant-rig.js'
import { Tally } from './tally.js'
import { answerOf, TallyRig } from './tally-rig.js'

describe('a worker whose appends channel is full', () => {
  test('stalls and refuses nothing, and goes on when the journal has released', async () => {
    const plant = await TallyRig.open({ capacityBytes: 4096 })
    plant.rig.killJournal()
    const clients = Array.from({ length: 8 }, (_, index) => plant.clientOf(`plc-${index}`))
    const send = (client: (typeof clients)[number], id: number) =>
      client.send({ entity: `tally/t${id % 3}`, command: 'add', data: { id, by: 2 }, at: undefined, answer: 'always' })
    const sent = Array.from({ length: 80 }, (_, id) => send(clients[id % 8] as (typeof clients)[number], id))

    for (let round = 0; round < 5; round++) {
      plant.rig.exhaust('door')
      plant.rig.exhaust('worker')
    }

    expect(plant.rig.worker().counters.stalls).toBeGreaterThan(0)
    expect(plant.rig.worker().counters.refusals).toBe(0)
    expect(plant.rig.door().counters.full).toBeGreaterThan(0)
    expect(sent.some((one) => answerOf(one) !== undefined)).toBe(false)
    plant.rig.startJournal()
    await plant.rig.until(() => plant.rig.isIdle && clients.every((client) => client.isSettled))
    expect(sent.every((one) => answerOf(one)?.kind === 'done')).toBe(true)
    expect((await plant.rig.rows()).length).toBe(80)
  })

  test('asks for a load when there is room again', async () => {
    const plant = await TallyRig.open({ capacityBytes: 1024, limits: { liveEntitiesMax: 1 } })
    plant.add('tally/a', 1)
    plant.add('tally/b', 2)
    await plant.settle()
    plant.rig.killJournal()
    // Fills the channel, so that the request for the passive entity finds no room.
    for (let id = 0; id < 12; id++) plant.send('tally/c', 'swell', { id, note: 'x', times: 1 })
    const toPassive = plant.add('tally/a', 3)
    for (let round = 0; round < 5; round++) {
      plant.rig.exhaust('door')
      plant.rig.exhaust('worker')
    }
    expect(plant.rig.worker().hasWork()).toBe(false)

    plant.rig.startJournal()
    await plant.settle()

    expect(answerOf(toPassive)?.kind).toBe('done')
  })
})

describe('a journal without room', () => {
  test('takes nothing, has the rings fill up to the door, and goes on without a loss', async () => {
    const plant = await TallyRig.open({ capacityBytes: 2048 })
    plant.rig.journal.isFull = true
    const sent = Array.from({ length: 200 }, (_, id) => plant.add(`tally/t${id % 20}`, id, { answer: 'refused' }))
    for (let round = 0; round < 20; round++) {
      plant.rig.stepAll()
      await plant.rig.breathe()
      plant.rig.clock.advance(NO_ROOM_RETRY_MS)
      await plant.rig.breathe()
    }
    expect(plant.rig.server.isOutOfRoom).toBe(true)
    expect(plant.rig.server.counters.noRoom).toBeGreaterThan(5)
    expect(plant.rig.journal.endPosition).toBe(0)
    expect(plant.rig.door().counters.full).toBeGreaterThan(0)
    expect(sent.some((one) => answerOf(one) !== undefined)).toBe(false)
    // Nobody spins while there is nothing to do but wait.
    for (const role of ['door', 'worker', 'journal'] as const) plant.rig.exhaust(role)

    plant.rig.journal.isFull = false
    await plant.settle()

    expect(plant.rig.journal.endPosition).toBe(200)
    for (let entity = 0; entity < 20; entity++) {
      expect(await plant.ids(`tally/t${entity}`)).toEqual(Array.from({ length: 10 }, (_, nth) => nth * 20 + entity))
    }
  })
})

describe('a command that comes to more than the bus carries', () => {
  test('is refused as too large, with a receipt, when its events are', async () => {
    const plant = await TallyRig.open({ capacityBytes: 4096 })
    const swollen = plant.send('tally/a', 'swell', { id: 1, note: 'n'.repeat(100), times: 20 })
    const next = plant.add('tally/a', 2)

    await plant.settle()

    expect(answerOf(swollen)).toEqual({ kind: 'failed', message: 'TOO_LARGE: the events of the command are larger than the bus carries' })
    expect(answerOf(next)).toEqual({ kind: 'done', version: 2, reply: { chain: 0 } })
    const rows = await plant.rig.rows()
    expect(rows.map(({ event, outcomeKind }) => [event, outcomeKind])).toEqual([
      [undefined, 2],
      ['Added', 1],
    ])
    plant.client.sendAgain(swollen)
    await plant.settle()
    expect(swollen.settlements[1]).toEqual(swollen.settlements[0])
  })

  test('is refused as too large when its reply is', async () => {
    const plant = await TallyRig.open({ answerCapacityBytes: 256 })
    const sent = plant.send('tally/a', 'refuseWith', { code: 'C'.repeat(150) })

    await plant.settle()

    expect(answerOf(sent)).toEqual({ kind: 'failed', message: 'TOO_LARGE' })
  })

  test('is refused without its correlation where even the receipt would not fit', async () => {
    const plant = await TallyRig.open({ capacityBytes: 1024 })
    const offered: unknown[] = []
    plant.rig.door().offer(
      {
        source: 's',
        sequence: 1,
        entity: 'tally/a',
        command: 'swell',
        data: { id: 1, note: 'n', times: 100 },
        at: undefined,
        correlation: 'c'.repeat(150),
      },
      'always',
      (settlement) => offered.push(settlement),
    )

    await plant.settle()

    expect(offered).toEqual([{ kind: 'failed', message: 'TOO_LARGE' }])
    expect((await plant.rig.rows())[0]).toMatchObject({ source: 's', sequence: 1, correlation: '' })
  })
})

describe('a worker with many shards and a small channel', () => {
  test('says that the channel is too small to ask for them', async () => {
    const rig = await PlantRig.open({ entities: [Tally], capacityBytes: 1024, shardCount: 1024 })

    rig.stepWorker()

    expect(rig.failures).toEqual([expect.objectContaining({ code: 'ERR_CHANNEL_TOO_SMALL' })])
  })
})

describe('numbers that come to their end', () => {
  test('wrap where they are positions', async () => {
    for (const firstPosition of [0x7fff_ff00, -0x100]) {
      const plant = await TallyRig.open({ firstPosition, capacityBytes: 4096, limits: { liveEntitiesMax: 2 } })
      for (let id = 0; id < 100; id++) plant.add(`tally/t${id % 5}`, id)

      await plant.settle()

      expect(plant.rig.journal.endPosition).toBe(100)
      expect(await plant.rig.liveHash()).toBe(await plant.rig.replayedHash())
    }
  })

  test('wrap where they are requests, shortly after each door has begun', async () => {
    const plant = await TallyRig.open()
    const sent = Array.from({ length: 40 }, (_, id) => plant.add(`tally/t${id}`, id))

    await plant.settle()

    expect(sent.every((one) => answerOf(one)?.kind === 'done')).toBe(true)
  })

  test('end a worker where they are append numbers, and its successor goes on', async () => {
    const plant = await TallyRig.open({ appendNumber: 0xffff_ffff - 3 })
    for (const id of [1, 2, 3]) plant.add('tally/a', id)
    await plant.settle()
    const last = plant.add('tally/a', 4)
    plant.rig.stepDoor()
    expect(() => plant.rig.stepWorker()).toThrow(/used up the append numbers of its term term=\d+: start its successor/)

    plant.rig.killWorker()
    plant.rig.startWorker()
    await plant.settle()

    expect(await plant.ids('tally/a')).toEqual([1, 2, 3, 4])
    expect(answerOf(last)?.kind).toBe('done')
  })
})
