import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest'
import { MillraceError } from '#base/errors.js'
import { Output } from '../../../apps/cli/output.js'

let stdout: MockInstance<typeof process.stdout.write>
let stderr: MockInstance<typeof process.stderr.write>

beforeEach(() => {
  stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe('output for a person', () => {
  test('lines a table up, numbers to the right with thousands marked', () => {
    outputOf({}).table(
      [{ title: 'entity' }, { title: 'events' }],
      [
        ['press/press-1', 12],
        ['press/2', 1_234_567],
      ],
    )

    expect(written(stdout)).toBe('entity            events\npress/press-1         12\npress/2        1,234,567\n')
  })

  test('has no colour where stdout is no terminal or NO_COLOR is set', () => {
    const isTTY = Object.getOwnPropertyDescriptor(process.stdout, 'isTTY')
    Object.defineProperty(process.stdout, 'isTTY', { value: true, configurable: true })

    const tones = [{ NO_COLOR: '1' }, { NO_COLOR: '' }, { TERM: 'dumb' }].map((env) => outputOf({ env }).tone('red', 'x'))

    if (isTTY === undefined) Reflect.deleteProperty(process.stdout, 'isTTY')
    else Object.defineProperty(process.stdout, 'isTTY', isTTY)
    expect(tones).toEqual(['x', '\u001b[31mx\u001b[0m', 'x'])
  })

  test('says a foreseen failure in one line and an unforeseen one with a way to learn more', () => {
    const foreseen = outputOf({}).fail(new MillraceError('ERR_CONFIG', { fact: 'no such key', action: 'operator', next: 'look again' }))
    const unforeseen = outputOf({}).fail(new TypeError('x is undefined'))

    expect([foreseen, unforeseen]).toEqual([1, 1])
    expect(written(stdout)).toBe('')
    expect(written(stderr)).toBe(
      'millrace: no such key: look again\nmillrace: x is undefined\nThis is a fault in Millrace or in the plant: run it again with --debug to see where.\n',
    )
  })

  test('shows the stack and the causes when debugging', () => {
    const error = new MillraceError('ERR_CONFIG', { fact: 'cannot read', action: 'operator', cause: new Error('ENOENT') })

    outputOf({ isDebug: true }).fail(error)

    expect(written(stderr)).toMatch(/^millrace: cannot read\nMillraceError: cannot read\n {4}at [\s\S]*caused by: Error: ENOENT\n {4}at /)
  })
})

describe('output for a program', () => {
  test('is one line of JSON for a value, and for a failure its code and message', () => {
    const output = outputOf({ isJson: true })

    output.json({ rows: 3 })
    const code = output.fail(new MillraceError('ERR_USAGE', { fact: 'which file', action: 'operator' }))

    expect(code).toBe(2)
    expect(written(stdout)).toBe('{"rows":3}\n{"error":{"code":"ERR_USAGE","message":"which file"}}\n')
    expect(written(stderr)).toBe('millrace: which file\n')
  })

  test('shows no progress where stderr is no terminal', () => {
    const progress = outputOf({}).progress(10, 'rows')

    progress.update(5)
    progress.stop()

    expect(written(stderr)).toBe('')
  })
})

function outputOf(options: { isJson?: boolean; isDebug?: boolean; env?: Record<string, string> }): Output {
  return new Output({ isJson: false, isDebug: false, env: {}, ...options })
}

function written(stream: MockInstance): string {
  return stream.mock.calls.map(([text]) => String(text)).join('')
}
