import { describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { defineEntity, f64, i64, label, PlantModel, text } from '#entity/index.js'
import { rowsOf } from '#journal/block-rows.js'
import { readHeader } from '#journal/block-format.js'
import type { Row } from '#journal/index.js'
import { makeUpLog } from '#runtime/made-up-log.js'
import { replayHash } from '#runtime/replay-hash.js'
import { warmUp } from '#runtime/warm-up.js'

let applied = 0
let decided = 0

const Kettle = defineEntity({
  name: 'kettle',
  events: { Heated: { celsius: f64('°C'), by: label({ oneOf: ['gas', 'current'] }) }, Noted: { note: text({ optional: true }) } },
  commands: { heat: { celsius: f64('°C') } },
  initial: () => ({ celsius: 0, last: '', count: 0 }),
  decide: {
    heat(_, { celsius }, { emit }) {
      decided++
      emit.Heated({ celsius, by: 'gas' })
    },
  },
  apply: {
    Heated(state, { celsius, by }) {
      applied++
      state.celsius = celsius
      state.last = by
      state.count++
    },
    Noted(state) {
      state.count++
    },
  },
})

function odd(name: string, apply: () => void) {
  return defineEntity({
    name,
    events: { Done: { id: i64() } },
    commands: {},
    initial: () => ({ count: 0 }),
    decide: {},
    apply: { Done: apply },
  })
}

describe('a spare that warms up', () => {
  test('applies events of the plant again and again, and decides nothing', async () => {
    await warmUp(new PlantModel([Kettle]), { isOver: () => applied > 3000, cpuMsMax: Number.POSITIVE_INFINITY })

    expect(applied).toBeGreaterThan(3000)
    expect(decided).toBe(0)
  })

  test('ends when it has taken as much of the processor as it may', async () => {
    const before = applied

    await warmUp(new PlantModel([Kettle]), { isOver: () => false, cpuMsMax: 0 })

    // What is made up is applied once.
    expect(applied - before).toBeLessThanOrEqual(16 * 48)
  })

  test('ends when there is something better to do', async () => {
    let asked = 0

    await warmUp(new PlantModel([Kettle]), { isOver: () => ++asked > 3, cpuMsMax: Number.POSITIVE_INFINITY })

    expect(asked).toBeGreaterThan(3)
  })
})

describe('a log that is made up', () => {
  test('has entities of each type with events that its apply takes, and can be folded', async () => {
    const plant = new PlantModel([Kettle])
    const { journal, entities } = await makeUpLog(plant, new Prng(1))

    expect(entities.length).toBe(16)
    expect(entities.every(({ version }) => version === 48)).toBe(true)
    // And many with two events each.
    expect(journal.endPosition).toBe(16 * 48 + 2 * 4000)
    expect(await replayHash(journal, plant)).toMatch(/^[0-9a-f]{64}$/)
  })

  test('is made up in pieces, and given up between two of them', async () => {
    let rests = 0
    const upTo = (most: number) => async () => {
      if (++rests > most) throw new Error('enough')
    }

    await makeUpLog(new PlantModel([Kettle]), new Prng(1), { rest: upTo(Number.POSITIVE_INFINITY) })
    expect(rests).toBeGreaterThan(100)
    rests = 0
    await expect(makeUpLog(new PlantModel([Kettle]), new Prng(1), { rest: upTo(20) })).rejects.toThrow('enough')
    expect(rests).toBe(21)
  })

  test('is sealed in part, as logs are, and has the same rows all the same', async () => {
    const { journal } = await makeUpLog(new PlantModel([Kettle]), new Prng(1))
    const blocks: Uint8Array[] = []
    for await (const block of journal.blocks({ from: 0 })) blocks.push(block)
    const asAppended: Row[] = []
    for await (const row of journal.read({ from: 0 })) asAppended.push(row)

    const rows = blocks.flatMap((block) => [...rowsOf(block, journal)])

    expect(new Set(blocks.map((block) => readHeader(block).isClustered))).toEqual(new Set([true, false]))
    expect(rows.sort((a, b) => a.position - b.position)).toEqual(asAppended)
  })

  test('leaves types out whose apply throws or does not come to an end', async () => {
    const throwing = odd('throwing', () => {
      throw new Error('not with such data')
    })
    const endless = odd('endless', () => {
      for (;;) applied++
    })

    const { entities } = await makeUpLog(new PlantModel([Kettle, throwing, endless]), new Prng(1))

    expect(new Set(entities.map(({ model }) => model.name))).toEqual(new Set(['kettle']))
  })
})
