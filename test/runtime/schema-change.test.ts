import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sha256Hex } from '#base/hash.js'
import { type AnyEntity, defineEntity, f32, f64, type Fields, i32, label } from '#entity/index.js'
import { type Journal, readRows } from '#journal/index.js'
import { openPlant } from '#runtime/inline-plant.js'

/** Keeps what it was told of the newest event, and how many there were. */
function pressWith(fields: Fields, more: object = {}, event = 'Sampled'): AnyEntity {
  const take = (state: { last: unknown; count: number }, data: unknown) => {
    state.last = data
    state.count++
  }
  const define = defineEntity as unknown as (definition: unknown) => AnyEntity
  return define({
    name: 'press',
    events: { [event]: fields },
    commands: { sample: fields },
    initial: () => ({ last: null, count: 0 }),
    decide: {
      sample(_state: unknown, command: unknown, { emit }: { emit: Record<string, (data: unknown) => void> }) {
        emit[event]?.(command)
      },
    },
    apply: { [event]: take },
    snapshotEvery: 2,
    ...more,
  })
}

const FIELDS = { temperature: f64('°C'), force: i32('kN'), mode: label({ oneOf: ['A', 'B'] }) }
const SAMPLE = { temperature: 95.5, force: 3, mode: 'A' }

let data = ''

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'millrace-schema-'))
})

afterEach(() => {
  rmSync(data, { recursive: true })
})

async function blocksOf(journal: Journal): Promise<string[]> {
  const blocks: string[] = []
  for await (const bytes of journal.blocks({ from: 0 })) blocks.push(sha256Hex(bytes))
  return blocks
}

/** Runs a plant of the entity type and sends it `samples`: the state of press/a before and afterwards, the rows and the blocks of the log. */
async function run(entity: AnyEntity, samples: readonly object[]) {
  const plant = await openPlant({ entities: [entity], data })
  try {
    const read = samples.length === 0 ? undefined : await plant.state(entity, 'a')
    for (const sample of samples) await plant.send('press/a', 'sample', sample as never)
    const rows: unknown[] = []
    for await (const row of readRows(plant.journal, { from: 0 })) rows.push([row.event, row.data])
    const { live, replayed } = await plant.stateHash()
    expect(live).toBe(replayed)
    return { read, state: await plant.state(entity, 'a'), rows, blocks: await blocksOf(plant.journal) }
  } finally {
    await plant.close()
  }
}

describe('a plant over the log of an older version of it', () => {
  const { force, ...withoutForce } = FIELDS
  const oneMore = { note: label({ optional: true }), count: i32({ default: 7 }) }

  test.each<[string, AnyEntity, object]>([
    [
      'fields were added in front and behind, stand in another order and take more',
      pressWith({
        note: oneMore.note,
        mode: label({ oneOf: ['A', 'B', 'C'] }),
        force: f64('kN'),
        temperature: FIELDS.temperature,
        count: oneMore.count,
      }),
      { ...SAMPLE, count: 7 },
    ],
    [
      'a field was dropped',
      pressWith(withoutForce, { upcast: { Sampled: [{ from: FIELDS, to: ({ force: _, ...rest }: typeof SAMPLE) => rest }] } }),
      { temperature: 95.5, mode: 'A' },
    ],
    [
      'a field was renamed',
      pressWith(
        { ...withoutForce, load: force },
        { upcast: { Sampled: [{ from: FIELDS, to: ({ force: load, ...rest }: typeof SAMPLE) => ({ ...rest, load }) }] } },
      ),
      { temperature: 95.5, mode: 'A', load: 3 },
    ],
    [
      'a field has another unit and kind',
      pressWith(
        { ...FIELDS, temperature: f32('K') },
        { upcast: { Sampled: [{ from: FIELDS, to: (old: typeof SAMPLE) => ({ ...old, temperature: old.temperature + 273 }) }] } },
      ),
      { ...SAMPLE, temperature: 368.5 },
    ],
    [
      'a label has fewer values',
      pressWith(
        { ...FIELDS, mode: label({ oneOf: ['ON'] }) },
        { upcast: { Sampled: [{ from: FIELDS, to: (old: object) => ({ ...old, mode: 'ON' }) }] } },
      ),
      { ...SAMPLE, mode: 'ON' },
    ],
    [
      'the event has another name',
      pressWith(FIELDS, { upcast: { Measured: [{ event: 'Sampled', from: FIELDS, to: (old: object) => old }] } }, 'Measured'),
      SAMPLE,
    ],
  ])('where %s reads it, leaves it as it is and goes on', async (_, later, last) => {
    const before = await run(pressWith(FIELDS), [SAMPLE, SAMPLE, SAMPLE])

    const after = await run(later, [last])

    expect(after.read).toEqual({ last, count: 3 })
    expect(after.state).toEqual({ last, count: 4 })
    expect(after.rows).toEqual([...before.rows, [expect.any(String), last]])
    expect(after.blocks.slice(0, -1)).toEqual(before.blocks)
  })

  test('where the event was dropped counts its rows and forgets what they did', async () => {
    await run(pressWith(FIELDS), [SAMPLE, SAMPLE, SAMPLE])

    const { state } = await run(pressWith(FIELDS, { dropped: ['Sampled'] }, 'Measured'), [SAMPLE])

    expect(state).toEqual({ last: SAMPLE, count: 1 })
  })

  test('folds anew what snapshots were made of another first state, or of another stateVersion', async () => {
    await run(pressWith(FIELDS), [SAMPLE, SAMPLE, SAMPLE])
    const double = {
      apply: {
        Sampled(state: { count: number }) {
          state.count += 2
        },
      },
    }

    const same = await run(pressWith(FIELDS, double), []).catch((error: Error) => error.message)
    const raised = await run(pressWith(FIELDS, { ...double, stateVersion: 2 }), [])
    const first = await run(pressWith(FIELDS, { ...double, initial: () => ({ count: 10 }) }), [])

    // What stateVersion is for: the live state comes from the old snapshot, the replayed one does not.
    expect(same).toContain('expected')
    expect(raised.state).toEqual({ last: null, count: 6 })
    expect(first.state).toEqual({ count: 16 })
  })

  test('can have had several shapes, each of which is read by way of those that followed', async () => {
    const second = { temp: f64('°F'), ...withoutForce }
    const third = { heat: f64('K'), mode: FIELDS.mode }
    const { temperature: _, ...secondFields } = second
    const toSecond = { from: FIELDS, to: (old: typeof SAMPLE) => ({ temp: old.temperature * 1.8 + 32, mode: old.mode }) }
    const toThird = {
      from: secondFields,
      to: (old: { temp: number; mode: string }) => ({ heat: (old.temp - 32) / 1.8 + 273, mode: old.mode }),
    }
    await run(pressWith(FIELDS), [{ ...SAMPLE, temperature: 100 }])
    const inSecond = await run(pressWith(secondFields, { upcast: { Sampled: [toSecond] } }), [])
    expect(inSecond.state).toEqual({ last: { temp: 212, mode: 'A' }, count: 1 })
    await run(pressWith(secondFields, { upcast: { Sampled: [toSecond] } }), [{ temp: 32, mode: 'B' }])

    const inThird = pressWith(third, {
      upcast: { Sampled: [toSecond, toThird] },
      initial: () => ({ all: [] }),
      apply: {
        Sampled(state: { all: unknown[] }, event: unknown) {
          state.all.push(event)
        },
      },
    })
    const { state } = await run(inThird, [])

    expect(state).toEqual({
      all: [
        { heat: 373, mode: 'A' },
        { heat: 273, mode: 'B' },
      ],
    })
  })
})

describe('a plant whose events changed without a word', () => {
  const { force: _, ...withoutForce } = FIELDS

  test.each<[string, AnyEntity, object, string]>([
    [
      'a field dropped',
      pressWith(withoutForce),
      { type: 'press.Sampled', field: 'force', how: 'it is gone' },
      'upcast: { Sampled: [{ from: {',
    ],
    [
      'another unit',
      pressWith({ ...FIELDS, force: i32('N') }),
      { field: 'force', how: 'it was in kN, it is in N' },
      'declare the former shape',
    ],
    ['a new field that must be there', pressWith({ ...FIELDS, x: f64() }), { field: 'x' }, 'declare the former shape'],
    ['the event renamed', pressWith(FIELDS, {}, 'Measured'), { type: 'press.Sampled' }, "dropped: ['Sampled']"],
  ])('is refused for %s, naming type and field and what to declare, and changes nothing', async (__, later, values, next) => {
    const before = await run(pressWith(FIELDS), [SAMPLE])

    const refused = openPlant({ entities: [later], data })

    await expect(refused).rejects.toMatchObject({
      code: 'ERR_SCHEMA_CHANGED',
      action: 'operator',
      values,
      message: expect.stringContaining(next),
    })
    expect((await run(pressWith(FIELDS), [])).blocks).toEqual(before.blocks)
  })

  test('is refused when it is older than the log', async () => {
    const later = pressWith(withoutForce, { upcast: { Sampled: [{ from: FIELDS, to: ({ force: __, ...rest }: typeof SAMPLE) => rest }] } })
    await run(pressWith(FIELDS), [SAMPLE])
    await run(later, [])

    const refused = openPlant({ entities: [pressWith(FIELDS)], data })

    await expect(refused).rejects.toMatchObject({
      code: 'ERR_SCHEMA_NEWER',
      values: { type: 'press.Sampled', field: 'force' },
      message: expect.stringContaining('start the version of the plant that wrote them'),
    })
  })

  test('starts as an older version where that loses nothing', async () => {
    await run(pressWith(FIELDS), [SAMPLE])
    await run(pressWith({ ...FIELDS, mode: label({ oneOf: ['A', 'B'], default: 'A' }) }), [SAMPLE])

    const { state } = await run(pressWith(FIELDS), [SAMPLE])

    expect(state).toMatchObject({ count: 3 })
  })

  test('may leave out entity types that the log has', async () => {
    await run(pressWith(FIELDS), [SAMPLE])
    const Oven = defineEntity({ name: 'oven', events: {}, commands: {}, initial: () => ({}), decide: {}, apply: {} })

    const plant = await openPlant({ entities: [Oven], data })

    expect(plant.journal.endPosition).toBe(1)
    await plant.close()
  })
})
