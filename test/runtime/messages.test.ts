import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import type { EntityId } from '#base/ids.js'
import { ChangedWorld } from '#entity/changed-world.js'
import { answer } from '#entity/answer.js'
import { type AnyEntity, defineEntity, i64, PlantModel } from '#entity/index.js'
import type { Row } from '#journal/index.js'
import { entityRowsOf, readEntityState } from '#reading/entity-state.js'
import { compileSelection } from '#reading/row-selection.js'
import { CheckFold } from '#runtime/check-fold.js'
import { type InlinePlant, type OpenPlantOptions, openPlant } from '#runtime/inline-plant.js'
import { until } from '../shm/until.js'

const Bell = defineEntity({
  name: 'bell',
  events: { Rang: { n: i64() } },
  commands: { ring: { n: i64() } },
  initial: () => ({ rang: [] as number[] }),
  decide: { ring: (_, { n }, { emit }) => emit.Rang({ n }) },
  apply: { Rang: (state, { n }) => void state.rang.push(n) },
})

const Button = defineEntity({
  name: 'button',
  events: { Pushed: { n: i64() } },
  commands: { push: { n: i64() }, pushLater: { n: i64(), ms: i64() }, onRung: answer() },
  initial: () => ({ pushed: [] as number[], answers: 0 }),
  decide: {
    push(_, { n }, { emit, tell }) {
      emit.Pushed({ n })
      tell(Bell, 'a').ring({ n })
    },
    pushLater(_, { n, ms }, { after }) {
      after(ms, 'push', { n })
    },
    onRung() {},
  },
  apply: { Pushed: (state, { n }) => void state.pushed.push(n) },
})
const entities: readonly AnyEntity[] = [Bell, Button]
const DAY_MS = 86_400_000
/** Of a push for later: told, pushed, told on, rung, and the ends of both messages. */
const ROWS_EACH = 6

async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-messages-'))
  try {
    return await use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function withPlant<T>(options: Partial<OpenPlantOptions>, use: (plant: InlinePlant) => Promise<T>): Promise<T> {
  const plant = await openPlant({ entities, ...options })
  try {
    return await use(plant)
  } finally {
    await plant.close()
  }
}

async function rowsOf(plant: InlinePlant, query: object): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of entityRowsOf(plant.journal).query(query)) rows.push(row)
  return rows
}

describe('a plant that is opened again', () => {
  test('goes on with timers whose rows retention has dropped', async () => {
    await inDirectory(async (data) => {
      const clock = new FakeClock()
      await withPlant({ data, clock, retention: { bytesMax: 0 } }, async (plant) => {
        await plant.entity(Button, 'b').pushLater({ n: 7, ms: DAY_MS })
        await plant.drain()
        await plant.journal.seal()
        await until('the segment is gone', () => {
          clock.advance(1000)
          return plant.journal.firstPosition === 1
        })
      })
      clock.advance(DAY_MS)
      await withPlant({ data, clock }, async (plant) => {
        expect(await plant.state(Bell, 'a')).toEqual({ rang: [7] })
        const { live, replayed } = await plant.stateHash()
        expect(replayed).toBe(live)
      })
    })
  })

  test('ends messages that its code has no target for any more, and says why', async () => {
    await inDirectory(async (data) => {
      const clock = new FakeClock()
      await withPlant({ data, clock }, (plant) => plant.entity(Button, 'b').pushLater({ n: 7, ms: 1000 }))
      clock.advance(1000)
      const Later = defineEntity({
        name: 'button',
        events: { Pushed: { n: i64() } },
        commands: {},
        initial: () => ({}),
        decide: {},
        apply: { Pushed() {} },
      })
      await withPlant({ data, clock, entities: [Later] }, async (plant) => {
        await plant.drain()

        const settled = await rowsOf(plant, { event: '#settled' })
        expect(settled.map((row) => row.data)).toEqual([{ number: 1, outcome: 'failed', code: 'NO_SUCH_COMMAND' }])
      })
    })
  })
})

describe('the rows of outboxes', () => {
  const [ID, SENDER]: EntityId[] = ['bell/a', 'button/b']

  test('are shown to who asks for them, and are in nobody else’s way', async () => {
    await withPlant({}, async (plant) => {
      await plant.tell(Button, 'b').push({ n: 1 })
      await plant.drain()
      const eventsOf = async (query: object): Promise<unknown[]> => (await rowsOf(plant, query)).map(({ event }) => event)

      expect(new Set(await eventsOf({}))).toEqual(new Set(['Pushed', 'Rang']))
      expect(await eventsOf({ entity: SENDER, receipts: true })).toEqual(['#message', 'Pushed', '#settled'])
      expect(await eventsOf({ event: '#message', where: ['to = bell/a', 'kind = tell'] })).toEqual(['#message'])
      expect(await eventsOf({ event: 'button.#settled' })).toEqual(['#settled'])
      expect(await eventsOf({ entity: 'button/*', where: ['n = 1'] })).toEqual(['Pushed'])
      await expect(eventsOf({ where: ['kind = tell'] })).rejects.toThrow('kind')
      const selection = compileSelection({ entity: '*' })
      expect((await rowsOf(plant, { receipts: true })).filter((row) => selection.matches(row)).map(({ event }) => event)).not.toContain(
        '#message',
      )
      const [told] = await rowsOf(plant, { entity: ID })
      expect(told).toMatchObject({ source: 'entity:button/b', sequence: 1 })
    })
  })

  test('count as versions, and are no part of the state that is read or checked', async () => {
    await withPlant({}, async (plant) => {
      for (const n of [1, 2]) await plant.entity(Button, 'b').push({ n })
      await plant.drain()
      const { journal } = plant
      const model = new PlantModel(entities)

      const read = await readEntityState(entityRowsOf(journal), model.model('button') as never, 'button/b')
      expect(read).toMatchObject({ version: 6, state: { pushed: [1, 2] } })
      expect(await plant.stateAsOf(Button, 'b', { version: 2 })).toEqual({ pushed: [1], answers: 0 })
      const world = new ChangedWorld({})
      const { endPosition: to, eventTypes: types } = journal
      const fold = new CheckFold({ plant: model, types, world, copies: [], isThorough: true, wants: () => true, to, isComparing: false })
      for (const entity of ['bell/a', 'button/b'] as const) {
        const { shard, number } = journal.head(entity) ?? { shard: -1, number: -1 }
        fold.learn(shard, number, [entity])
      }
      const faults: unknown[] = []
      for await (const bytes of journal.blocks({ from: 0 })) faults.push(...fold.block(bytes, 'test').faults)
      expect(faults).toEqual([])
      expect(fold.counts).toMatchObject({ events: 4, entities: 2 })
    })
  })

  test('do not let a device take the name of an entity', async () => {
    await withPlant({}, async (plant) => {
      const sent = plant.entity(Bell, 'a').ring({ n: 1 }, { source: 'entity:button/b', sequence: 1 })

      await expect(sent).rejects.toThrow('source: entity: is what entities call themselves')
    })
  })
})

describe('timers by the clock of the machine', () => {
  test('go off when they are due, and not before', async () => {
    await withPlant({}, async (plant) => {
      const startMs = performance.now()
      const waits = [40, 10, 25, 60]
      for (const ms of waits) await plant.entity(Button, `b${ms}`).pushLater({ n: ms, ms })
      const late: number[] = []
      await until('all have gone off', () => plant.journal.endPosition === waits.length * ROWS_EACH)
      for (const { data, at, accepted } of await rowsOf(plant, { event: 'Pushed' })) {
        const due = (await rowsOf(plant, { entity: `button/b${String(data['n'])}`, event: '#message' }))[0]?.data['due'] as number
        expect(at).toBe(due)
        late.push((accepted - due) / 1000)
      }

      expect(performance.now() - startMs).toBeGreaterThanOrEqual(60)
      expect(late).toHaveLength(waits.length)
      expect(Math.min(...late)).toBeGreaterThanOrEqual(0)
    })
  })
})
