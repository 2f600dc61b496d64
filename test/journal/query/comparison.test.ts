import { describe, expect, test } from 'vitest'
import { holds, mayMatch, OPERATORS, parseComparison, surelyMatch } from '#journal/query/comparison.js'

describe('a comparison', () => {
  test.each([
    ['temperature > 90', 'temperature', '>', '90', false],
    ['  temperature>=-1.5e3 ', 'temperature', '>=', '-1.5e3', false],
    ['code != "it\'s \\"hot\\""', 'code', '!=', 'it\'s "hot"', true],
    ["code = 'a b'", 'code', '=', 'a b', true],
    ['note = a = b', 'note', '=', 'a = b', false],
    ['row.at < 2026-01-31T12:00:00Z', 'row.at', '<', '2026-01-31T12:00:00Z', false],
    ['größe <= 1', 'größe', '<=', '1', false],
    ['code = ""', 'code', '=', '', true],
  ])('is taken apart: %s', (text, column, operator, literal, isQuoted) => {
    expect(parseComparison(text)).toEqual({ text, column, operator, literal, isQuoted })
  })

  test.each([
    ['', 1, 'it does not begin with the name of a column'],
    ['> 90', 1, 'it does not begin with the name of a column'],
    ['temperature', 12, 'there is no comparison behind temperature'],
    ['temperature 90', 12, 'there is no comparison behind temperature'],
    ['temperature == 90', 12, '== is no comparison, say = behind temperature'],
    ['temperature => 90', 12, '=> is no comparison behind temperature'],
    ['temperature >', 14, 'there is nothing to compare with'],
    ['code = "HOT', 8, 'the text is not closed by "'],
    ['code = "HOT" or', 8, 'the text is not closed by "'],
  ])('that cannot be read says where: %s', (text, character, what) => {
    expect(() => parseComparison(text)).toThrow(expect.objectContaining({ code: 'ERR_QUERY', values: { where: text, character } }) as Error)
    expect(() => parseComparison(text)).toThrow(what)
  })
})

describe('a zone map', () => {
  const values = [-Infinity, -2, -0, 0, 0.5, 1, Infinity]

  test('never rules out a value that matches, nor lets one in that does not', () => {
    const wrong: unknown[] = []
    for (const min of values)
      for (const max of values.filter((value) => value >= min))
        for (const operator of OPERATORS)
          for (const value of values) {
            const zone = { min, max, count: 2 }
            const found = new Set([min, max].map((one) => holds(one, operator, value)))
            if (found.has(true) && !mayMatch(zone, operator, value)) wrong.push(['may', zone, operator, value])
            if (found.has(false) && surelyMatch(zone, operator, value, 2)) wrong.push(['surely', zone, operator, value])
          }

    expect(wrong).toEqual([])
  })

  test('rules out what it can', () => {
    const zone = { min: 1, max: 3, count: 5 }

    expect(OPERATORS.map((operator) => mayMatch(zone, operator, 0))).toEqual([false, true, false, false, true, true])
    expect(OPERATORS.map((operator) => surelyMatch(zone, operator, 0, 5))).toEqual([false, true, false, false, true, true])
    expect(surelyMatch(zone, '>', 0, 6)).toBe(false)
  })

  test('of nothing but NaN lets only != in', () => {
    const zone = { min: Infinity, max: -Infinity, count: 0 }

    expect(OPERATORS.map((operator) => mayMatch(zone, operator, 1))).toEqual([false, true, false, false, false, false])
    expect(OPERATORS.map((operator) => holds(Number.NaN, operator, 1))).toEqual([false, true, false, false, false, false])
  })
})
