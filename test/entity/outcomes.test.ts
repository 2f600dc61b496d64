import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createOutcomes,
  decodeCanonical,
  encodeCanonical,
  FORGOTTEN,
  OUTCOME_NONE,
  OUTCOME_REFUSAL,
  OUTCOME_REPLY,
  OUTCOMES_PER_SOURCE,
  Outcomes,
  SOURCES_PER_ENTITY_MAX,
} from '#entity/index.js'

const NO_BYTES = new Uint8Array(0)

describe('the outcomes of an entity that heard nothing', () => {
  test('know no command', () => {
    expect(createOutcomes().lookup('device', 1)).toBeUndefined()
  })
})

describe('the outcomes of a source that sent twenty commands', () => {
  const outcomes = createOutcomes()
  for (let sequence = 101; sequence <= 120; sequence++) {
    outcomes.record('device', sequence, sequence % 2 === 0 ? OUTCOME_REFUSAL : OUTCOME_REPLY, new Uint8Array([sequence]), sequence * 2)
  }

  test('hold the last sixteen', () => {
    expect(outcomes.lookup('device', 105)).toEqual({ kind: OUTCOME_REPLY, bytes: new Uint8Array([105]), version: 210 })
    expect(outcomes.lookup('device', 120)).toEqual({ kind: OUTCOME_REFUSAL, bytes: new Uint8Array([120]), version: 240 })
  })

  test('have forgotten older ones, but not that they were done', () => {
    expect(outcomes.lookup('device', 104)).toBe(FORGOTTEN)
    expect(outcomes.lookup('device', -5)).toBe(FORGOTTEN)
  })

  test('do not know the next one, nor another source', () => {
    expect(outcomes.lookup('device', 121)).toBeUndefined()
    expect(outcomes.lookup('other', 105)).toBeUndefined()
  })

  test('come back from a snapshot, and go on the same', () => {
    const back = Outcomes.fromPlain(decodeCanonical(encodeCanonical(outcomes.toPlain())) as ReturnType<Outcomes['toPlain']>)
    back.record('device', 121, OUTCOME_REPLY, NO_BYTES, 300)

    expect(back.lookup('device', 105)).toBe(FORGOTTEN)
    expect(back.lookup('device', 106)).toEqual({ kind: OUTCOME_REFUSAL, bytes: new Uint8Array([106]), version: 212 })
    expect(back.lookup('device', 121)).toEqual({ kind: OUTCOME_REPLY, bytes: NO_BYTES, version: 300 })
  })
})

describe('the outcomes of a source whose commands come one after the other again', () => {
  test('take no more room in a snapshot than if they always had', () => {
    const always = createOutcomes()
    const again = createOutcomes()
    again.record('device', 1, OUTCOME_REFUSAL, new Uint8Array([1]), 1)
    for (let sequence = 2; sequence < 40; sequence++)
      for (const outcomes of [always, again]) outcomes.record('device', sequence, OUTCOME_REPLY, NO_BYTES, sequence)

    expect(again.toPlain()).toEqual(always.toPlain())
    expect(again.toPlain().sources).toEqual([['device', 39, OUTCOMES_PER_SOURCE, 39]])
    expect(Outcomes.fromPlain(again.toPlain()).lookup('device', 30)).toEqual({ kind: OUTCOME_REPLY, bytes: NO_BYTES, version: 30 })
  })
})

describe('a command recorded', () => {
  test('stays known when a duplicate is recorded over it', () => {
    const outcomes = createOutcomes()
    outcomes.record('device', 5, OUTCOME_REPLY, new Uint8Array([1]), 1)

    outcomes.record('device', 5, OUTCOME_REFUSAL, new Uint8Array([2]), 2)
    outcomes.record('device', 4, OUTCOME_REFUSAL, new Uint8Array([2]), 3)

    expect(outcomes.lookup('device', 5)).toEqual({ kind: OUTCOME_REPLY, bytes: new Uint8Array([1]), version: 1 })
    expect(outcomes.lookup('device', 4)).toBe(FORGOTTEN)
  })

  test('of a sender who does not number, or without an outcome, leaves nothing', () => {
    const outcomes = createOutcomes()

    outcomes.record('', 5, OUTCOME_REPLY, NO_BYTES, 1)
    outcomes.record('device', 5, OUTCOME_NONE, NO_BYTES, 1)

    expect(outcomes.lookup('', 5)).toBeUndefined()
    expect(outcomes.lookup('device', 5)).toBeUndefined()
    expect(outcomes.sourceCount).toBe(0)
  })

  test('keeps its bytes when the memory they lay in is used again', () => {
    const outcomes = createOutcomes()
    const memory = Buffer.from([7, 8])
    outcomes.record('device', 1, OUTCOME_REPLY, memory.subarray(0, 1), 1)

    memory.fill(0)

    expect(outcomes.lookup('device', 1)).toHaveProperty('bytes', new Uint8Array([7]))
  })

  test('is looked up as a copy that later commands leave alone', () => {
    const outcomes = createOutcomes()
    outcomes.record('device', 1, OUTCOME_REPLY, NO_BYTES, 1)
    const found = outcomes.lookup('device', 1)

    for (let sequence = 2; sequence < 2 + OUTCOMES_PER_SOURCE; sequence++)
      outcomes.record('device', sequence, OUTCOME_REPLY, NO_BYTES, sequence)

    expect(found).toHaveProperty('version', 1)
    expect(outcomes.lookup('device', 1)).toBe(FORGOTTEN)
  })
})

describe('more sources than an entity remembers', () => {
  test('push out the one that was recorded longest ago, whoever was looked up, and are counted', () => {
    const outcomes = createOutcomes()
    for (let number = 0; number < SOURCES_PER_ENTITY_MAX; number++) outcomes.record(`device-${number}`, 1, OUTCOME_REPLY, NO_BYTES, 1)
    outcomes.record('device-0', 2, OUTCOME_REPLY, NO_BYTES, 2)
    outcomes.lookup('device-1', 1)

    outcomes.record('one-more', 1, OUTCOME_REPLY, NO_BYTES, 3)

    expect(outcomes.lookup('device-0', 2)).toHaveProperty('version', 2)
    expect(outcomes.lookup('device-1', 1)).toBeUndefined()
    expect(outcomes.droppedCount).toBe(1)
    expect(outcomes.sourceCount).toBe(SOURCES_PER_ENTITY_MAX)
  })

  test('are the same ones after a snapshot', () => {
    const record = (outcomes: Outcomes, from: number, to: number) => {
      for (let number = from; number < to; number++)
        outcomes.record(`device-${(number * 7) % 300}`, number, OUTCOME_REPLY, NO_BYTES, number)
    }
    const live = createOutcomes()
    record(live, 0, 400)
    const replayed = Outcomes.fromPlain(live.toPlain())

    record(live, 400, 900)
    record(replayed, 400, 900)

    expect(encodeCanonical(replayed.toPlain())).toEqual(encodeCanonical(live.toPlain()))
    expect(live.droppedCount).toBeGreaterThan(0)
  })
})

describe('the outcomes of sources that command in any way', () => {
  test('are those of a list of the last sixteen', () => {
    const record = fc.record({
      source: fc.constantFrom('a', 'b'),
      step: fc.integer({ min: -1, max: 2 }),
      rows: fc.integer({ min: 1, max: 2 }),
      kind: fc.constantFrom(OUTCOME_REPLY, OUTCOME_REPLY, OUTCOME_REPLY, OUTCOME_REFUSAL),
      length: fc.constantFrom(0, 0, 0, 1),
    })
    fc.assert(
      fc.property(fc.array(record, { maxLength: 80 }), fc.integer({ min: -20, max: 20 }), (records, first) => {
        const model = new Map<string, { sequence: number; kind: number; bytes: Uint8Array; version: number }[]>()
        const outcomes = createOutcomes()
        let version = 0
        const next = new Map<string, number>()
        for (const { source, step, rows, kind, length } of records) {
          const sequence = (next.get(source) ?? first) + step
          next.set(source, sequence)
          version += rows
          const bytes = new Uint8Array(length)
          outcomes.record(source, sequence, kind, bytes, version)
          const known = model.get(source) ?? []
          if (known.every((one) => one.sequence < sequence)) model.set(source, [...known, { sequence, kind, bytes, version }])
        }

        for (const restored of [outcomes, Outcomes.fromPlain(outcomes.toPlain())]) {
          for (const [source, all] of model) {
            const highest = (all.at(-1) as { sequence: number }).sequence
            for (let sequence = highest - 40; sequence <= highest + 1; sequence++) {
              const { sequence: _, ...one } = all.slice(-OUTCOMES_PER_SOURCE).find((each) => each.sequence === sequence) ?? { sequence }
              const expected = sequence > highest ? undefined : 'kind' in one ? one : FORGOTTEN
              expect(restored.lookup(source, sequence)).toEqual(expected)
            }
          }
        }
      }),
    )
  })
})
