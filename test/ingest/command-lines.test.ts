import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseCommands } from '#ingest/command-lines.js'

const line = (more: object = {}) => JSON.stringify({ entity: 'press/1', command: 'sample', data: { t: 1 }, ...more })

describe('a body of commands', () => {
  test.each([
    ['lines', `${line()}\n${line()}`],
    ['lines that end as on Windows', `${line()}\r\n${line()}\r\n`],
    ['lines and empty ones between', `\n\n${line()}\n  \n${line()}\n\n`],
    ['an array', `[${line()},${line()}]`],
    ['an array over several lines', `\n [\n${line()},\n${line()}\n]\n`],
  ])('of %s is read in order, numbered on from the first', (_name, body) => {
    const parsed = parseCommands(body, 'http:plc', 7)

    expect(parsed).toMatchObject({
      commands: [
        { source: 'http:plc', sequence: 7, entity: 'press/1', command: 'sample', data: { t: 1 } },
        { source: 'http:plc', sequence: 8 },
      ],
    })
  })

  test('says of each command on which line it stood, or at which place of the array', () => {
    expect(parseCommands(`\n${line()}\n\n${line()}`, '', 0)).toMatchObject({ lines: [2, 4] })
    expect(parseCommands(`[\n${line()},\n\n${line()}]`, '', 0)).toMatchObject({ lines: [1, 2] })
  })

  test('may leave out data, time and correlation', () => {
    expect(parseCommands('{"entity":"press/1","command":"stop"}', '', 0)).toMatchObject({ commands: [{ data: {}, at: undefined }] })
  })

  test.each([
    ['"2026-01-31T12:00:00Z"', Date.UTC(2026, 0, 31, 12) * 1000],
    ['"2026-01-31T12:00:00.123456Z"', Date.UTC(2026, 0, 31, 12) * 1000 + 123_456],
    ['"2026-01-31T12:00:00+01:30"', Date.UTC(2026, 0, 31, 10, 30) * 1000],
    ['-1', -1],
    ['null', undefined],
  ])('with the time %s happened at %d microseconds', (at, micros) => {
    expect(parseCommands(`{"entity":"a/1","command":"b","at":${at}}`, '', 0)).toMatchObject({ commands: [{ at: micros }] })
  })
})

describe('a body that is wrong', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  test.each([
    ['is cut', `${line()}\n${line().slice(0, -1)}`, 2, 'not JSON'],
    ['is empty', '', 1, 'no command'],
    ['is an empty array', '[]', 1, 'no command'],
    ['is an array that goes on', `[${line()}]\n${line()}`, 1, 'not JSON'],
    ['is text', 'hello', 1, 'not JSON'],
    ['is null', 'null', 1, 'expected an object'],
    ['is an array in an array', `[${line()},[]]`, 2, 'expected an object'],
    ['is nested deep', deep, 1, 'expected an object'],
    ['has a key that nobody knows', line({ type: 'press' }), 1, 'unknown key type'],
    ['has a prototype', '{"entity":"a/1","command":"b","__proto__":{"data":{}}}', 1, 'unknown key __proto__'],
    ['has a number as entity', line({ entity: 5 }), 1, 'entity: expected a text'],
    ['has no command', '{"entity":"a/1"}', 1, 'command: expected the name'],
    ['has an array as data', line({ data: [] }), 1, 'data: expected an object'],
    ['has null as data', line({ data: null }), 1, 'data: expected an object'],
    ['has a number beyond all doubles', '{"entity":"a/1","command":"b","data":{"t":1e999}}', 1, 't: larger than any number'],
    ['has a time without offset', line({ at: '2026-01-31T12:00:00' }), 1, 'at: expected a time'],
    ['has a time that there was not', line({ at: '2026-02-30T12:00:00Z' }), 1, 'at: expected a time'],
    ['has a time with a fraction of a microsecond', line({ at: 1.5 }), 1, 'at: expected a time'],
    ['has a time beyond all calendars', line({ at: 9e15 }), 1, 'at: expected a time'],
  ])('since it %s names its line and what is wrong', (_name, body, number, error) => {
    expect(parseCommands(body, '', 0)).toEqual({ line: number, error: expect.stringContaining(error) })
  })

  test('since its data has a prototype leaves that to the entity, as a field like any other', () => {
    const parsed = parseCommands('{"entity":"a/1","command":"b","data":{"__proto__":{"t":1}}}', '', 0)

    expect(parsed).toHaveProperty('commands')
    const [command] = 'commands' in parsed ? parsed.commands : []
    expect(Object.keys(command?.data ?? {})).toEqual(['__proto__'])
    expect(command?.data['t']).toBeUndefined()
  })

  test('since it counts too far is refused', () => {
    expect(parseCommands(`${line()}\n${line()}`, 'http:x', Number.MAX_SAFE_INTEGER - 1)).toMatchObject({
      error: expect.stringContaining('Millrace-Sequence'),
    })
  })
})

describe('a body of anything', () => {
  const field = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.double(),
    fc.constant(null),
    fc.constantFrom('press/1', 'sample', '2026-01-31T12:00:00Z'),
  )
  const value = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom('entity', 'command', 'data', 'at', 'correlation', '__proto__'), field),
  )
  const body = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(value).map((values) => JSON.stringify(values)),
    fc.array(value).map((values) => values.map((one) => JSON.stringify(one)).join('\r\n')),
  )

  test('is either commands, a line for each, or one line with what is wrong', () => {
    fc.assert(
      fc.property(body, (text) => {
        const parsed = parseCommands(text, 'http:plc', 1)
        if ('error' in parsed) return parsed.line >= 1 && parsed.line <= text.length + 1 && parsed.error !== ''
        return parsed.commands.length === parsed.lines.length && parsed.commands.every(({ sequence }, index) => sequence === index + 1)
      }),
      { numRuns: 2000 },
    )
  })
})
