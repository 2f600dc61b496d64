import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonLineReader, jsonLine } from '#processes/json-lines.js'

describe('a stream of JSON lines', () => {
  test('comes out as it went in, however it is cut', () => {
    const values = fc.array(fc.jsonValue(), { maxLength: 8 })

    fc.assert(
      fc.property(values, fc.infiniteStream(fc.integer({ min: 1, max: 17 })), (sent, cuts) => {
        const bytes = Buffer.from(sent.map((value) => jsonLine(value, 1 << 20)).join(''))
        const reader = new JsonLineReader(1 << 20)
        const read: unknown[] = []

        for (let start = 0; start < bytes.length; ) {
          const end = start + (cuts.next().value as number)
          read.push(...reader.read(bytes.subarray(start, end)))
          start = end
        }

        expect(read).toEqual(sent.map((value) => JSON.parse(JSON.stringify(value))))
      }),
      { numRuns: 200 },
    )
  })

  test('passes over empty lines', () => {
    expect([...new JsonLineReader(100).read(Buffer.from('\n1\n\n \n2\n'))]).toEqual([1, 2])
  })

  test('refuses a line beyond its bound, also one that never ends', () => {
    const reader = new JsonLineReader(10)

    expect([...reader.read(Buffer.from('"12345678"\n'))]).toEqual(['12345678'])
    expect(() => [...reader.read(Buffer.from('"123456789'))]).not.toThrow()
    expect(() => [...reader.read(Buffer.from('0'))]).toThrow(expect.objectContaining({ code: 'ERR_LINE_TOO_LONG' }))
  })

  test('refuses what is no JSON', () => {
    expect(() => [...new JsonLineReader(100).read(Buffer.from('{"a":\n'))]).toThrow(expect.objectContaining({ code: 'ERR_LINE_GARBLED' }))
  })
})

describe('a value that makes too long a line', () => {
  test.each(['x'.repeat(98), 'ä'.repeat(49)])('is refused where it is sent, and accepted one byte shorter', (text) => {
    expect(jsonLine(text, 100)).toBe(`"${text}"\n`)
    expect(() => jsonLine(`${text}x`, 100)).toThrow(expect.objectContaining({ code: 'ERR_LINE_TOO_LONG' }))
  })
})
