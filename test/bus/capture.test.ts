import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  CaptureReader,
  type CaptureSummary,
  capture,
  type ConsumerChannel,
  openChannel,
  openedChannel,
  type ProducerChannel,
} from '#bus/index.js'
import { readNumbered } from './numbered.mjs'

const channelEnd = fileURLToPath(new URL('children/channel-end.mjs', import.meta.url))
const capturing = fileURLToPath(new URL('children/capturing.mjs', import.meta.url))

let directory: string
let children: ChildProcess[]
let open: (ProducerChannel | ConsumerChannel)[]

beforeEach(() => {
  directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-test-'))
  children = []
  open = []
})

afterEach(async () => {
  for (const channel of open) channel.close()
  for (const child of children) if (child.exitCode === null && child.signalCode === null) await kill(child)
  rmSync(directory, { recursive: true, force: true })
})

const file = (name = 'capture') => join(directory, name)

function opened<Channel extends ProducerChannel | ConsumerChannel>(channel: Channel): Channel {
  open.push(channel)
  return channel
}

function bothEnds(more: object = {}): { readonly producer: ProducerChannel; readonly consumer: ConsumerChannel } {
  const producer = opened(openChannel({ directory, name: 'numbers', role: 'producer', ...more }))
  const consumer = opened(openChannel({ directory, name: 'numbers', role: 'consumer' }))
  return { producer, consumer }
}

/** Captures into `path` in this process until told to end; resolves once the file is begun. */
async function startCapture(path = file(), leaseMs = 10_000): Promise<() => Promise<CaptureSummary>> {
  const end = new AbortController()
  const paths = openedChannel(directory, 'numbers')
  const running = capture({ ...paths, path, leaseMs, signal: end.signal })
  running.catch(() => undefined)
  await until(() => existsSync(path))
  return () => {
    end.abort()
    return running
  }
}

async function start(script: string, setup: object): Promise<ChildProcess & { said: () => string }> {
  const child = spawn(process.execPath, [script, JSON.stringify({ directory, name: 'numbers', ...setup })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  let text = ''
  child.stdout.on('data', (piece: Buffer) => (text += piece.toString()))
  await until(() => text.includes('ready') || child.exitCode !== null)
  expect(child.exitCode).toBe(null)
  return Object.assign(child, { said: () => text })
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

async function until(condition: () => boolean, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${condition.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

interface Read {
  readonly texts: string[]
  readonly gaps: number
  readonly lostBytes: number
  readonly anew: number
  readonly hasEnd: boolean
  readonly isTruncated: boolean
}

/** All that a capture holds; payloads by `show`. */
async function read(path: string, show: (bytes: Uint8Array) => string = (bytes) => new TextDecoder().decode(bytes)): Promise<Read> {
  const reader = await CaptureReader.open(path)
  const found = { texts: [] as string[], gaps: 0, lostBytes: 0, anew: 0, hasEnd: false }
  try {
    for await (const item of reader.items()) {
      if (item.kind === 'gap') {
        found.gaps++
        found.lostBytes += item.lostBytes
      } else if (item.kind === 'anew') found.anew++
      else if (item.kind === 'end') found.hasEnd = true
      else {
        const { frames, bytes } = item
        while (frames.next() === 'frame') found.texts.push(show(bytes.subarray(frames.offset, frames.offset + frames.length)))
      }
    }
    return { ...found, isTruncated: reader.isTruncated }
  } finally {
    await reader.close()
  }
}

function send(producer: ProducerChannel, ...texts: readonly string[]): void {
  for (const text of texts) expect(producer.trySend(new TextEncoder().encode(text))).toBe(true)
}

describe('a capture of a channel', () => {
  test('holds its frames, with its header and its end', async () => {
    const { producer } = bothEnds({ capacityBytes: 4096, schemaHash: 0 })
    send(producer, 'before')
    const end = await startCapture()
    send(producer, 'one', 'two')

    const summary = await end()

    expect(summary).toMatchObject({ channel: 'numbers', frames: 3, bytes: 48, gaps: 0, lostBytes: 0, anew: 0, endedBy: 'signal' })
    expect(summary.fileBytes).toBe(statSync(file()).size)
    expect(await read(file())).toMatchObject({ texts: ['before', 'one', 'two'], gaps: 0, hasEnd: true, isTruncated: false })
    const reader = await CaptureReader.open(file())
    expect(reader.header).toMatchObject({ channel: 'numbers', capacityBytes: 4096, schemaHash: 0, hasChecksums: false })
    expect(Math.abs(reader.header.startMicros / 1000 - Date.now())).toBeLessThan(60_000)
    await reader.close()
  })

  test('says when the tap saw what', async () => {
    const { producer } = bothEnds()
    const end = await startCapture()
    const before = Date.now() * 1000
    send(producer, 'one')
    await end()

    const reader = await CaptureReader.open(file())
    for await (const item of reader.items()) {
      expect(item.micros).toBeGreaterThanOrEqual(before - 1000)
      expect(item.micros).toBeLessThanOrEqual((Date.now() + 1) * 1000)
    }
    await reader.close()
  })

  test('ends when the time is over and when the file is large enough', async () => {
    const { producer } = bothEnds()
    send(producer, 'one')
    const paths = {
      ...openedChannel(directory, 'numbers'),
      leaseMs: 1000,
      signal: new AbortController().signal,
    }

    expect(await capture({ ...paths, path: file('a'), forMs: 20 })).toMatchObject({ frames: 1, endedBy: 'time' })
    expect(await capture({ ...paths, path: file('b'), bytesMax: 100 })).toMatchObject({ frames: 1, endedBy: 'size' })
  })

  test('ends when the channel is removed', async () => {
    bothEnds()
    const end = await startCapture()
    rmSync(file('numbers.ring'))
    rmSync(directory, { recursive: true })

    const summary = await Promise.race([end(), new Promise((resolve) => setTimeout(resolve, 5000))])
    expect(summary).toMatchObject({ frames: 0 })
  })

  test('goes on when the channel is made anew under its name', async () => {
    const before = bothEnds()
    const end = await startCapture()
    send(before.producer, 'before')
    await until(() => before.producer.stat().tap.position === before.producer.stat().publishedPosition)
    for (const channel of open) channel.close()
    open = []
    rmSync(file('numbers.ring'))

    const after = bothEnds({ capacityBytes: 16_384 })
    await until(() => after.producer.stat().tap.state === 'holding')
    send(after.producer, 'after')

    expect(await end()).toMatchObject({ frames: 2, anew: 1, gaps: 0 })
    expect(await read(file())).toMatchObject({ texts: ['before', 'after'], anew: 1, hasEnd: true })
  })

  test('says what it missed of a channel that was made anew before it looked', async () => {
    const before = bothEnds()
    const end = await startCapture()
    send(before.producer, 'before')
    await until(() => before.producer.stat().tap.position === before.producer.stat().publishedPosition)
    for (const channel of open) channel.close()
    open = []
    rmSync(file('numbers.ring'))

    // In one turn of the loop, so that the tap cannot look between the two.
    const after = bothEnds()
    send(after.producer, 'missed', 'seen')
    after.consumer.consumer.next()
    after.consumer.consumer.release(after.consumer.consumer.endPosition)
    await until(() => after.producer.stat().tap.state === 'holding')

    expect(await end()).toMatchObject({ frames: 2, anew: 1, gaps: 1, lostBytes: 16 })
    expect(await read(file())).toMatchObject({ texts: ['before', 'seen'], anew: 1, gaps: 1, lostBytes: 16, hasEnd: true })
  })

  for (const [who, isCopied] of [
    ['the consumer', true],
    ['the tap', false],
  ] as const) {
    test(`goes on in the channel that the ends made of one that ${who} found damaged`, async () => {
      const damages: string[] = []
      const onDamaged = () => void damages.push('damaged')
      const producer = opened(openChannel({ directory, name: 'numbers', role: 'producer', onDamaged }))
      const consumer = opened(openChannel({ directory, name: 'numbers', role: 'consumer', onDamaged }))
      const end = await startCapture()
      send(producer, 'before')
      const isSeen = () => producer.stat().tap.position === producer.stat().publishedPosition
      if (isCopied) await until(isSeen)
      // The length of the first frame.
      consumer.consumer.view.setInt32(4096, 1 << 30, true)
      if (!isCopied) await until(() => producer.stat().tap.state === 'none')
      const seen: string[] = []
      consumer.consume((offset, length) => void seen.push(new TextDecoder().decode(consumer.bytes.subarray(offset, offset + length))))

      await until(() => damages.length === 2)
      await until(() => producer.stat().tap.state === 'holding')
      send(producer, 'after')
      await until(() => seen.includes('after'))

      const texts = isCopied ? ['before', 'after'] : ['after']
      expect(await end()).toMatchObject({ frames: texts.length, anew: 1, gaps: 0 })
      expect(await read(file())).toMatchObject({ texts, anew: 1, hasEnd: true })
    })
  }

  test('ends when the channel is damaged and nobody makes it anew', async () => {
    const { producer, consumer } = bothEnds()
    send(producer, 'one')
    consumer.consumer.view.setInt32(4096, 1 << 30, true)
    const paths = { ...openedChannel(directory, 'numbers'), leaseMs: 1000, signal: new AbortController().signal }

    await expect(capture({ ...paths, path: file() })).rejects.toMatchObject({ code: 'ERR_CHANNEL_CORRUPT' })

    expect(producer.stat().tap.state).toBe('none')
    expect(await read(file())).toMatchObject({ texts: [], isTruncated: false })
  })

  test('is one at a time', async () => {
    bothEnds()
    const end = await startCapture()

    const second = capture({
      ...openedChannel(directory, 'numbers'),
      path: file('second'),
      leaseMs: 1000,
      signal: new AbortController().signal,
    })

    await expect(second).rejects.toMatchObject({ code: 'ERR_TAP_HELD', values: { pid: process.pid } })
    expect(existsSync(file('second'))).toBe(false)
    await end()
  })

  test('never writes over a file', async () => {
    const { producer } = bothEnds()
    writeFileSync(file(), 'precious')

    const refused = capture({
      ...openedChannel(directory, 'numbers'),
      path: file(),
      leaseMs: 1000,
      signal: new AbortController().signal,
    })

    await expect(refused).rejects.toMatchObject({ code: 'ERR_CAPTURE_EXISTS' })
    expect(readFileSync(file(), 'utf8')).toBe('precious')
    expect(producer.stat().tap.state).toBe('none')
  })

  test('says so when the disk refuses it', async () => {
    bothEnds()
    const refused = capture({
      ...openedChannel(directory, 'numbers'),
      path: '/proc/nowhere/capture',
      leaseMs: 1000,
      signal: new AbortController().signal,
    })

    await expect(refused).rejects.toMatchObject({ code: 'ERR_CAPTURE_WRITE' })
  })
})

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
    children.push(limited)
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

describe('a capture that is not as it was written', () => {
  async function captured(): Promise<void> {
    const { producer } = bothEnds()
    const end = await startCapture()
    send(producer, 'one')
    await until(() => statSync(file()).size > 100)
    send(producer, 'two')
    await end()
  }

  test('gives what is whole of a shortened one, and says that it is shortened', async () => {
    await captured()
    truncateSync(file(), statSync(file()).size - 41)

    const found = await read(file())

    expect(found).toMatchObject({ isTruncated: true, hasEnd: false })
    expect(found.texts[0]).toBe('one')
  })

  test('is found damaged wherever a byte of it changed', async () => {
    await captured()
    const bytes = readFileSync(file())

    for (let offset = 0; offset < bytes.length; offset += 3) {
      const damaged = Buffer.from(bytes)
      damaged[offset] = (damaged[offset] as number) ^ 0x10
      writeFileSync(file('damaged'), damaged)
      const outcome = await read(file('damaged')).then(
        ({ isTruncated }) => (isTruncated ? 'truncated' : 'whole'),
        (error: { code?: string }) => error.code,
      )
      expect(['ERR_CAPTURE_CORRUPT', 'ERR_CAPTURE_FORMAT', 'truncated'], `offset ${offset}`).toContain(outcome)
    }
  })

  test.each([
    ['an empty file', ''],
    ['a text', 'a text that is longer than the header of a capture would be, by far'],
  ])('is refused by name: %s', async (_name, content) => {
    writeFileSync(file(), content)

    await expect(CaptureReader.open(file())).rejects.toMatchObject({ code: 'ERR_CAPTURE_FORMAT' })
  })

  test('is refused by name when it is not there', async () => {
    await expect(CaptureReader.open(file())).rejects.toMatchObject({ code: 'ERR_CAPTURE_MISSING' })
    await expect(CaptureReader.open(directory)).rejects.toMatchObject({ code: 'ERR_CAPTURE_MISSING' })
  })

  test('is refused from another version', async () => {
    await captured()
    const bytes = readFileSync(file())
    bytes[8] = 9
    writeFileSync(file(), bytes)

    await expect(CaptureReader.open(file())).rejects.toMatchObject({ code: 'ERR_CAPTURE_FORMAT', values: { version: 9 } })
  })
})

/** The frame's number, having checked that its content is that of the number. */
function numberIn(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return String(readNumbered(view, 0, bytes.length))
}
