import { describe, expect, test } from 'vitest'
import { defineEntity, f32, f64, i64, json, PlantModel, text } from '#entity/index.js'
import type { IngestCommand } from '#ingest/door.js'
import { NumberWords } from '#ingest/number-words.js'

const Press = defineEntity({
  name: 'press',
  events: {},
  commands: {
    sample: {
      t: f64(),
      p: f32({ optional: true }),
      n: i64({ optional: true }),
      said: text({ optional: true }),
      more: json({ optional: true }),
    },
  },
  initial: () => ({}),
  decide: { sample: () => undefined },
  apply: {},
})
const words = new NumberWords(new PlantModel([Press]))

function commandOf(data: Record<string, unknown>, more: Partial<IngestCommand> = {}): IngestCommand {
  return { source: 'plc', sequence: 7, entity: 'press/1', command: 'sample', data, at: 5, ...more }
}

describe('the words for numbers that JSON does not have', () => {
  test.each([
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY],
  ])('%s is a number in a field that holds doubles', (word, number) => {
    expect(words.read(commandOf({ t: word, p: word, said: 'x' }))).toEqual(commandOf({ t: number, p: number, said: 'x' }))
  })

  test('are texts in every other field', () => {
    const data = { t: 1, n: 'NaN', said: 'NaN', more: 'Infinity' }

    expect(words.read(commandOf(data))).toEqual(commandOf(data))
  })

  test('are left alone in commands that the plant does not have, and spelt otherwise', () => {
    for (const more of [{ entity: 'pump/1' as const }, { command: 'explode' }, { entity: 'nothing' as 'a/b' }])
      expect(words.read(commandOf({ t: 'NaN' }, more))).toEqual(commandOf({ t: 'NaN' }, more))
    const other = commandOf({ t: 'nan', p: '+Infinity' })
    expect(words.read(other)).toBe(other)
  })

  test('do not make a prototype of a key of that name', () => {
    const data = JSON.parse('{"t":"NaN","__proto__":"NaN"}') as Record<string, unknown>

    const read = words.read(commandOf(data))

    expect(Object.keys(read.data)).toEqual(['t', '__proto__'])
    expect(Object.getPrototypeOf(read.data)).toBe(Object.prototype)
  })
})
