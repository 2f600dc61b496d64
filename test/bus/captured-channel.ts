import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import {
  CaptureReader,
  type CaptureSummary,
  capture,
  type ConsumerChannel,
  openChannel,
  openedChannel,
  type ProducerChannel,
} from '#bus/index.js'

/** Of the channel and its captures, in memory; a new one for each test. */
export let directory: string
let children: ChildProcess[]
let open: (ProducerChannel | ConsumerChannel)[]

/** For every test of the file that calls this. */
export function eachHasADirectory(): void {
  beforeEach(() => {
    directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-test-'))
    children = []
    open = []
  })

  afterEach(async () => {
    closeEnds()
    for (const child of children) if (child.exitCode === null && child.signalCode === null) await kill(child)
    rmSync(directory, { recursive: true, force: true })
  })
}

/** A path in the directory. */
export const file = (name = 'capture') => join(directory, name)

/** Is closed after the test. */
export function opened<Channel extends ProducerChannel | ConsumerChannel>(channel: Channel): Channel {
  open.push(channel)
  return channel
}

/** Closes both ends, as they do when they go; others may be opened. */
export function closeEnds(): void {
  for (const channel of open.splice(0)) channel.close()
}

export function bothEnds(more: object = {}): { readonly producer: ProducerChannel; readonly consumer: ConsumerChannel } {
  const producer = opened(openChannel({ directory, name: 'numbers', role: 'producer', ...more }))
  const consumer = opened(openChannel({ directory, name: 'numbers', role: 'consumer' }))
  return { producer, consumer }
}

/** Captures into `path` in this process until told to end; resolves once the file is begun. */
export async function startCapture(path = file(), leaseMs = 10_000): Promise<() => Promise<CaptureSummary>> {
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

/** Starts a program at the channel and resolves when it says that it is ready. It is killed after the test. */
export async function start(script: string, setup: object): Promise<ChildProcess & { said: () => string }> {
  const child = spawn(process.execPath, [script, JSON.stringify({ directory, name: 'numbers', ...setup })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  killedAfterTest(child)
  let text = ''
  child.stdout.on('data', (piece: Buffer) => (text += piece.toString()))
  await until(() => text.includes('ready') || child.exitCode !== null)
  expect(child.exitCode).toBe(null)
  return Object.assign(child, { said: () => text })
}

export function killedAfterTest(child: ChildProcess): void {
  children.push(child)
}

export async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

/** Looks until the condition holds, with a deadline. */
export async function until(condition: () => boolean, withinMs = 20_000): Promise<void> {
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
export async function read(path: string, show: (bytes: Uint8Array) => string = (bytes) => new TextDecoder().decode(bytes)): Promise<Read> {
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

/** Sends each text as a frame, for which there must be room. */
export function send(producer: ProducerChannel, ...texts: readonly string[]): void {
  for (const text of texts) expect(producer.trySend(new TextEncoder().encode(text))).toBe(true)
}
