import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TERM_FILE_NAME, TERM_MAX, TermCounter } from '#processes/term-counter.js'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-terms-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('the terms of a new data directory', () => {
  test('count from 1', () => {
    const terms = TermCounter.openSync(directory, true)

    expect([terms.next(), terms.next(), terms.next()]).toEqual([1, 2, 3])
  })

  test('stand in a file of the owner alone before the first is handed out', () => {
    TermCounter.openSync(directory, true).next()

    expect(statSync(termFile()).mode & 0o777).toBe(0o600)
    expect(readFileSync(termFile(), 'latin1')).toMatch(/^millrace-term 1 \d+ [0-9a-f]{8}\n$/)
  })
})

describe('the terms of a directory opened again', () => {
  test('are above all terms that were handed out, however often it is opened and whatever was used', () => {
    const seen: number[] = []

    for (let up = 0; up < 30; up++) {
      const terms = TermCounter.openSync(directory, up === 0)
      for (let use = 0; use < (up * 7) % 20; use++) seen.push(terms.next())
      if (up % 3 === 0) terms.reserve()
    }

    expect(seen.every((term, index) => index === 0 || term > (seen[index - 1] as number))).toBe(true)
    expect(seen.length).toBeGreaterThan(200)
  })

  test('do not grow when nothing is used', () => {
    const first = TermCounter.openSync(directory, true).next()
    for (let up = 0; up < 5; up++) TermCounter.openSync(directory, false)

    expect(TermCounter.openSync(directory, false).next()).toBeLessThanOrEqual(first + 16)
  })
})

describe('a term file that cannot be trusted', () => {
  test('is refused when it is missing beside a log', () => {
    expect(() => TermCounter.openSync(directory, false)).toThrow(expect.objectContaining({ code: 'ERR_TERM_LOST', action: 'operator' }))
  })

  test.each(['', '\n', '17', 'millrace-term 1 17 00000000\n', 'millrace-term 2 17 00000000\n', '\0'.repeat(30), '{"term":17}'])(
    'is refused: %j',
    (text) => {
      writeFileSync(termFile(), text)

      expect(() => TermCounter.openSync(directory, true)).toThrow(expect.objectContaining({ code: 'ERR_TERM_DAMAGED', action: 'operator' }))
    },
  )

  test('is refused with any one digit changed', () => {
    TermCounter.openSync(directory, true).next()
    const text = readFileSync(termFile(), 'latin1')
    const digits = Array.from(text, (character, index) => ({ character, index })).filter(({ character }) => /[0-9a-f]/.test(character))

    for (const { character, index } of digits) {
      writeFileSync(termFile(), text.slice(0, index) + (character === '1' ? '2' : '1') + text.slice(index + 1))
      expect(() => TermCounter.openSync(directory, false)).toThrow(expect.objectContaining({ code: 'ERR_TERM_DAMAGED' }))
    }
  })

  test('can be written anew above the highest term of the log', () => {
    writeFileSync(termFile(), 'garbage')

    TermCounter.repairSync(directory, 41)

    expect(TermCounter.openSync(directory, false).next()).toBe(42)
  })
})

describe('terms at their end', () => {
  test('are refused rather than started over', () => {
    TermCounter.repairSync(directory, TERM_MAX - 3)

    expect(() => TermCounter.openSync(directory, false).next()).toThrow(expect.objectContaining({ code: 'ERR_TERM_EXHAUSTED' }))
  })
})

describe('a term that cannot be made durable', () => {
  test('is not handed out', () => {
    const terms = TermCounter.openSync(directory, true)
    rmSync(directory, { recursive: true })

    expect(() => terms.next()).toThrow(expect.objectContaining({ code: 'ERR_TERM_WRITE' }))
  })

  test('leaves those that are durable usable', () => {
    const terms = TermCounter.openSync(directory, true)
    terms.next()
    rmSync(directory, { recursive: true })

    expect(terms.next()).toBe(2)
  })
})

function termFile(): string {
  return join(directory, TERM_FILE_NAME)
}
