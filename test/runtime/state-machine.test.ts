import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AnyEntity, defineEntity, label } from '#entity/index.js'
import { readRows } from '#journal/index.js'
import { openPlant } from '#runtime/inline-plant.js'

const parts = {
  name: 'door',
  events: { Opened: { by: label() } },
  commands: { open: { by: label() }, close: {} },
  initial: () => ({ cycles: 0 }),
  apply: { Opened: (door: { cycles: number }) => void door.cycles++ },
  snapshotEvery: 2,
} as const

const Door = defineEntity({
  ...parts,
  states: {
    Closed: {
      on: {
        open(door, command, { emit, goto }) {
          emit.Opened(command)
          goto('Ajar')
          return { cycles: door.cycles + 1 }
        },
      },
    },
    Ajar: { on: { close: (_door, _command, { goto }) => goto('Closed') } },
  },
})

/** Tomorrow's: it has another name for one of its states, and one more. */
const Later = defineEntity({
  ...parts,
  states: {
    Locked: {},
    Closed: {},
    Open: { on: { close: (_door, _command, { goto }) => goto('Locked') } },
  },
  start: 'Closed',
  renamedStates: { Ajar: 'Open' },
})

let data = ''

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'millrace-states-'))
})

afterEach(() => {
  rmSync(data, { recursive: true })
})

async function withPlant<T>(entity: AnyEntity, work: (plant: Awaited<ReturnType<typeof openPlant>>) => Promise<T>): Promise<T> {
  const plant = await openPlant({ entities: [entity], data })
  try {
    const result = await work(plant)
    const { live, replayed } = await plant.stateHash()
    expect(live).toBe(replayed)
    return result
  } finally {
    await plant.close()
  }
}

describe('a plant with a state machine', () => {
  test('stores its transitions, and is where they say after a restart', async () => {
    const rows = await withPlant(Door, async (plant) => {
      const door = plant.entity(Door, 'a')
      expect(await door.open({ by: 'ann' })).toEqual({ ok: true, version: 3, reply: { cycles: 1 } })
      expect(await door.open({ by: 'bob' })).toEqual({
        ok: false,
        version: 4,
        refused: 'UNHANDLED',
        detail: { state: 'Ajar', command: 'open' },
      })
      const read: unknown[] = []
      for await (const { event, data: fields } of readRows(plant.journal, { from: 0 })) if (event !== undefined) read.push([event, fields])
      return read
    })

    expect(rows).toEqual([
      ['Transitioned', { to: 'Closed' }],
      ['Opened', { by: 'ann' }],
      ['Transitioned', { from: 'Closed', to: 'Ajar' }],
    ])
    await withPlant(Door, async (plant) => {
      expect(await plant.state(Door, 'a')).toEqual({ state: 'Ajar', cycles: 1 })
      expect(await plant.entity(Door, 'a').close({})).toMatchObject({ ok: true, version: 5 })
    })
  })

  test('whose states have other names since is where it was, by its new name', async () => {
    await withPlant(Door, (plant) => plant.entity(Door, 'a').open({ by: 'ann' }))

    await withPlant(Later, async (plant) => {
      expect(await plant.state(Later, 'a')).toEqual({ state: 'Open', cycles: 1 })
      await plant.entity(Later, 'a').close({})
      expect(await plant.state(Later, 'a')).toEqual({ state: 'Locked', cycles: 1 })
    })
  })

  test('does not start over a log with a state that is no more, which is named', async () => {
    await withPlant(Door, (plant) => plant.entity(Door, 'a').open({ by: 'ann' }))
    const Without = defineEntity({ ...parts, states: { Closed: {}, Open: {} } })

    await expect(openPlant({ entities: [Without], data })).rejects.toMatchObject({
      code: 'ERR_SCHEMA_CHANGED',
      values: { type: 'door.Transitioned', state: 'Ajar' },
      message: expect.stringContaining("renamedStates: { Ajar: '…' }"),
    })
  })

  test('starts over a log that was written with its states in another order, and fewer of them', async () => {
    await withPlant(Door, (plant) => plant.entity(Door, 'a').open({ by: 'ann' }))
    const More = defineEntity({
      ...parts,
      states: { Jammed: {}, Ajar: { on: { close: (_door, _command, { goto }) => goto('Jammed') } }, Closed: {} },
    })

    await withPlant(More, async (plant) => {
      await plant.entity(More, 'a').close({})
      expect(await plant.state(More, 'a')).toEqual({ state: 'Jammed', cycles: 1 })
    })
  })
})
