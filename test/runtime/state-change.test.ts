import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AnyEntity, defineEntity, f64, i32, label } from '#entity/index.js'
import { type Journal, readRows, type Snapshot } from '#journal/index.js'
import { openPlant } from '#runtime/inline-plant.js'

const parts = { name: 'press', commands: { sample: { value: i32() } } } as const

const Old = defineEntity({
  ...parts,
  events: { Sampled: { value: i32('mm') } },
  initial: () => ({ sum: 0 }),
  decide: { sample: (_state, command, { emit }) => emit.Sampled(command) },
  apply: { Sampled: (state, event) => void (state.sum += event.value) },
  snapshotEvery: 2,
})

/** Another event and another state. */
const events = { Measured: { value: f64('cm'), mode: label({ default: 'auto' }) } }
const New = {
  ...parts,
  events,
  initial: () => ({ total: 0, seen: 0 }),
  decide: {
    sample: (_state: unknown, { value }: { value: number }, { emit }: { emit: { Measured(data: object): void } }) =>
      emit.Measured({ value }),
  },
  apply: {
    Measured(state: { total: number; seen: number }, event: { value: number }) {
      state.total += event.value
      state.seen++
    },
  },
  upcast: { Measured: [{ event: 'Sampled', from: { value: i32('mm') }, to: (old: { value: number }) => ({ value: old.value / 10 }) }] },
}
const define = defineEntity as unknown as (definition: unknown) => AnyEntity
const upcastState = (old: { sum: number }) => ({ total: old.sum / 10, seen: -1 })

let data = ''

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'millrace-state-'))
})

afterEach(() => rmSync(data, { recursive: true }))

async function run<T>(entity: AnyEntity, use: (send: (value: number) => Promise<unknown>, journal: Journal) => Promise<T>) {
  const plant = await openPlant({ entities: [entity], data })
  try {
    const used = await use((value) => plant.send('press/a', 'sample', { value }), plant.journal)
    const { live, replayed } = await plant.stateHash()
    expect(live).toBe(replayed)
    return { used, state: await plant.state(entity, 'a') }
  } finally {
    await plant.close()
  }
}

/** Sends ten samples, and takes the rows of the first six away, as retention does. */
async function dropBeginning(): Promise<void> {
  await run(Old, async (send, journal) => {
    for (let value = 10; value <= 60; value += 10) await send(value)
    await journal.seal()
    await send(70)
    const bases = journal.snapshot('press/a', 6) as Snapshot
    expect(bases.version).toBe(6)
    await journal.saveBases([bases])
    const [oldest] = journal.sealedSegments()
    await journal.dropOldest(oldest?.name as string)
    for (let value = 80; value <= 100; value += 10) await send(value)
  })
}

describe('a log whose segments have events in several shapes', () => {
  test('is read through upcasters, sealed or not', async () => {
    await run(Old, async (send, journal) => {
      await send(10)
      await journal.seal()
      await send(20)
    })

    const first = await run(define(New), async (send, journal) => {
      await send(3)
      await journal.seal()
      await send(4)
      const rows: unknown[] = []
      for await (const row of readRows(journal, { from: 0 })) rows.push([row.event, row.data])
      return rows
    })
    const again = await run(define({ ...New, stateVersion: 2 }), async () => undefined)

    expect(first.used).toEqual([
      ['Sampled', { value: 10 }],
      ['Sampled', { value: 20 }],
      ['Measured', { value: 3, mode: 'auto' }],
      ['Measured', { value: 4, mode: 'auto' }],
    ])
    expect(first.state).toEqual({ total: 10, seen: 4 })
    expect(again.state).toEqual(first.state)
  })
})

describe('a log whose beginning retention has dropped', () => {
  test('is refused, naming the type, for a state of another shape', async () => {
    await dropBeginning()

    await expect(openPlant({ entities: [define(New)], data })).rejects.toMatchObject({
      code: 'ERR_STATE_CHANGED',
      action: 'operator',
      values: { type: 'press', entity: 'press/a', version: 6 },
      message: expect.stringContaining('declare upcastState'),
    })
  })

  test('is folded upon the base snapshot as upcastState turns it, and goes on', async () => {
    await dropBeginning()

    const turned = await run(define({ ...New, upcastState }), async (send) => send(1))

    // 1 to 6 from the base, then 70, 80, 90 and 100 in mm, then 1 cm.
    expect(turned.state).toEqual({ total: 21 + 34 + 1, seen: -1 + 4 + 1 })
  })

  test('needs nothing said where the state has the same shape, though the events have changed', async () => {
    await dropBeginning()
    const same = {
      ...New,
      initial: () => ({ sum: 0 }),
      apply: {
        Measured(state: { sum: number }, event: { value: number }) {
          state.sum += event.value * 10
        },
      },
    }

    const { state } = await run(define(same), async () => undefined)

    expect(state).toEqual({ sum: 550 })
  })
})
