import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Mapping, PULSE_PERIOD_MS_MAX, startPulse } from '#shm/index.js'
import { Child } from './child.js'
import { codeOf, failureOf } from './failure-of.js'
import { temporaryDirectory } from './temporary-directory.js'
import { until } from './until.js'

describe('a pulse', () => {
  test('beats while the event loop is blocked', () => {
    const { mapping, words } = ring()
    const pulse = startPulse(mapping, { offset: 64, periodMs: 1 })

    const deadline = performance.now() + 5_000
    while (Atomics.load(words, 16) < 10 && performance.now() < deadline);

    expect(Atomics.load(words, 16)).toBeGreaterThanOrEqual(10)
    expect(words.filter((word, index) => index !== 16 && word !== 0)).toEqual(new Int32Array(0))
    pulse.stop()
  })

  test('beats at once and then not before its time', async () => {
    const { mapping, words } = ring()
    const pulse = startPulse(mapping, { offset: 0, periodMs: PULSE_PERIOD_MS_MAX })

    await until('it beats', () => Atomics.load(words, 0) === 1)
    pulse.stop()

    expect(words[0]).toBe(1)
  })

  test('wraps around', async () => {
    const { mapping, words } = ring()
    words[0] = 2 ** 31 - 1
    const pulse = startPulse(mapping, { offset: 0, periodMs: PULSE_PERIOD_MS_MAX })

    await until('it beats', () => Atomics.load(words, 0) !== 2 ** 31 - 1)
    pulse.stop()

    expect(words[0]).toBe(-(2 ** 31))
  })

  test('goes on in a mapping that was closed', async () => {
    const { mapping, path } = ring()
    const pulse = startPulse(mapping, { offset: 0, periodMs: 1 })
    const seen = new Int32Array(Mapping.open(path).buffer)

    mapping.close()
    const before = Atomics.load(seen, 0)

    await until('it beats on', () => Atomics.load(seen, 0) > before + 2)
    expect(mapping.isClosed).toBe(true)
    pulse.stop()
  })

  test('stands still after it was stopped, and is stopped once', async () => {
    const { mapping, words } = ring()
    const stopped = startPulse(mapping, { offset: 0, periodMs: 1 })
    const running = startPulse(mapping, { offset: 128, periodMs: 1 })
    await until('it beats', () => Atomics.load(words, 0) > 2)

    stopped.stop()
    const last = Atomics.load(words, 0)
    const others = Atomics.load(words, 32)
    await until('the other one goes on', () => Atomics.load(words, 32) > others + 10)

    expect(Atomics.load(words, 0)).toBe(last)
    expect(codeOf(() => stopped.stop())).toBe('ERR_SHM_CLOSED')
    running.stop()
  })
})

describe('the pulse of another process', () => {
  test('stands still while that process is stopped, and does not catch up', async () => {
    const { mapping, words, path } = ring()
    const own = startPulse(mapping, { offset: 0, periodMs: 1 })
    const child = new Child('beat', path, '128')
    await until('the child beats', () => Atomics.load(words, 32) > 5)

    child.signal('SIGSTOP')
    await until('the child stands', () => / \(.*\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1')))
    const atStop = Atomics.load(words, 32)
    const ownAtStop = Atomics.load(words, 0)
    await until('time passes', () => Atomics.load(words, 0) > ownAtStop + 200)
    const atContinue = Atomics.load(words, 32)
    const ownAtContinue = Atomics.load(words, 0)
    child.signal('SIGCONT')
    await until('the child beats again', () => Atomics.load(words, 32) > atStop)
    const gained = Atomics.load(words, 32) - atContinue
    const ownGained = Atomics.load(words, 0) - ownAtContinue

    expect(atContinue).toBe(atStop)
    expect(gained).toBeLessThan(ownGained + 100)
    own.stop()
  })
})

describe('a process that ends with everything in use', () => {
  test('ends with its own exit code, and so do its worker threads', async () => {
    const { path } = ring()
    const bellPath = `${path}.bell`
    const { addon } = await import('#shm/native.js')
    addon().makeFifo(bellPath)
    const child = new Child('end-in-use', path, bellPath)

    const [code, signal] = await child.ended()

    expect(child.lines).toEqual(['4 workers ended, 2 things in use'])
    expect({ code, signal }).toEqual({ code: 7, signal: null })
  })
})

describe('a pulse with a wrong argument', () => {
  test.each<unknown>([undefined, null, {}, new ArrayBuffer(8), 'mapping'])('is refused: mapping %j', (mapping) => {
    expect(failureOf(() => startPulse(mapping as Mapping, { offset: 0, periodMs: 1 })).values.argument).toBe('mapping')
  })

  test.each([undefined, Number.NaN, -4, 2, 1.5, 4096, 4093, '0'])('is refused: offset %s', (offset) => {
    const { mapping } = ring()

    expect(failureOf(() => startPulse(mapping, { offset: offset as number, periodMs: 1 })).values.argument).toBe('offset')
  })

  test.each([undefined, Number.NaN, -1, 0, 0.5, Infinity, PULSE_PERIOD_MS_MAX + 1, '1'])('is refused: periodMs %s', (periodMs) => {
    const { mapping } = ring()

    expect(failureOf(() => startPulse(mapping, { offset: 0, periodMs: periodMs as number })).values.argument).toBe('periodMs')
  })

  test('is refused: a mapping for reading', () => {
    const { path } = ring()
    const mapping = Mapping.open(path, { access: 'read' })

    expect(failureOf(() => startPulse(mapping, { offset: 0, periodMs: 1 }))).toMatchObject({
      code: 'ERR_ARGUMENT',
      values: { argument: 'mapping' },
    })
  })
})

function ring(): { path: string; mapping: Mapping; words: Int32Array } {
  const path = join(temporaryDirectory(), 'ring')
  const mapping = Mapping.create(path, 4096)
  return { path, mapping, words: new Int32Array(mapping.buffer) }
}
