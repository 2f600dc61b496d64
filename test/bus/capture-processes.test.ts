import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { openChannel } from '#bus/index.js'
import { directory, eachHasADirectory, file, kill, killedAfterTest, opened, read, start, until } from './captured-channel.js'
import { readNumbered } from './numbered.mjs'

const channelEnd = fileURLToPath(new URL('children/channel-end.mjs', import.meta.url))
const capturing = fileURLToPath(new URL('children/capturing.mjs', import.meta.url))

eachHasADirectory()

describe('a capture beside processes at full speed', () => {
  const count = 200_000

  test('holds every frame that another process sent, once and in order', async () => {
    const consumer = opened(openChannel({ directory, name: 'numbers', role: 'consumer', capacityBytes: 65_536 }))
    let received = 0
    consumer.consume(() => void received++)
    const tap = await start(capturing, { path: file(), leaseMs: 10_000 })

    await start(channelEnd, { task: 'send', count, batch: 16 })
    await until(() => received === count)
    tap.stdin?.end()
    await until(() => tap.exitCode !== null)

    expect(JSON.parse(tap.said().split('\n')[1] as string)).toMatchObject({ frames: count, gaps: 0, lostBytes: 0 })
    const { texts, hasEnd } = await read(file(), numberIn)
    expect(texts).toHaveLength(count)
    expect(texts.findIndex((text, index) => text !== String(index))).toBe(-1)
    expect(hasEnd).toBe(true)
  })

  test('is readable up to its last whole chunk after SIGKILL; the channel goes on after the lease and the next tap takes over', async () => {
    const leaseMs = 300
    const consumer = opened(openChannel({ directory, name: 'numbers', role: 'consumer', capacityBytes: 65_536 }))
    let received = 0
    consumer.consume(() => void received++)
    const first = await start(capturing, { path: file('first'), leaseMs })
    await start(channelEnd, { task: 'send', count, batch: 16 })
    await until(() => received > 1000 && statSync(file('first')).size > 10_000)

    await kill(first)
    const killedAt = received
    await until(() => received > killedAt + 10_000 || received === count, leaseMs + 10_000)
    const second = await start(capturing, { path: file('second'), leaseMs })
    await until(() => received === count)
    second.stdin?.end()
    await until(() => second.exitCode !== null)

    const before = await read(file('first'), numberIn)
    expect(before).toMatchObject({ isTruncated: true, hasEnd: false, gaps: 0 })
    expect(before.texts.length).toBeGreaterThan(0)
    expect(before.texts.findIndex((text, index) => text !== String(index))).toBe(-1)
    expect(await read(file('second'), numberIn)).toMatchObject({ isTruncated: false, hasEnd: true })
  })

  test('ends when the disk takes no more, keeps what is written and lets the channel go on', async () => {
    const consumer = opened(openChannel({ directory, name: 'numbers', role: 'consumer', capacityBytes: 65_536 }))
    let received = 0
    consumer.consume(() => void received++)
    const setup = JSON.stringify({ directory, name: 'numbers', path: file(), leaseMs: 10_000 })
    // In blocks of 512 bytes.
    const limited = spawn('sh', ['-c', 'ulimit -f 2000; exec "$0" "$1" "$2"', process.execPath, capturing, setup], { stdio: 'pipe' })
    killedAfterTest(limited)
    let errors = ''
    limited.stderr.on('data', (piece: Buffer) => (errors += piece.toString()))
    await until(() => existsSync(file()))

    await start(channelEnd, { task: 'send', count, batch: 16 })
    await until(() => received === count)
    await until(() => limited.exitCode !== null)

    expect(errors).toContain('ERR_CAPTURE_WRITE')
    expect(consumer.stat().tap.state).toBe('none')
    const { texts, isTruncated } = await read(file(), numberIn)
    expect(isTruncated).toBe(true)
    expect(texts.length).toBeGreaterThan(0)
    expect(texts.findIndex((text, index) => text !== String(index))).toBe(-1)
  })

  test('says what it missed when it was stopped for longer than its lease', async () => {
    const consumer = opened(openChannel({ directory, name: 'numbers', role: 'consumer', capacityBytes: 65_536 }))
    let received = 0
    consumer.consume(() => void received++)
    const tap = await start(capturing, { path: file(), leaseMs: 200 })
    await start(channelEnd, { task: 'send', count, batch: 16 })
    await until(() => received > 1000)

    tap.kill('SIGSTOP')
    const stoppedAt = received
    await until(() => received > stoppedAt + 20_000 || received === count)
    tap.kill('SIGCONT')
    await until(() => received === count)
    tap.stdin?.end()
    await until(() => tap.exitCode !== null)

    const { texts, gaps, lostBytes, hasEnd } = await read(file(), numberIn)
    expect(gaps).toBe(1)
    expect(lostBytes).toBeGreaterThan(0)
    expect(hasEnd).toBe(true)
    expect(texts.length).toBeLessThan(count)
    // One piece is missing, perhaps at the end.
    const numbers = [...texts.map(Number), count]
    const steps = numbers.map((number, index) => number - (numbers[index - 1] ?? -1))
    expect(steps.filter((step) => step !== 1)).toEqual([count - texts.length + 1])
  })
})

function numberIn(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return String(readNumbered(view, 0, bytes.length))
}
