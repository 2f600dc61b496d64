import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openChannel } from '#bus/index.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'

const COUNT = soakTimes({ smoke: 400_000, full: 100_000_000 })
const SEED = soakSeed(11)
/** So small that the tap is overtaken all the time. */
const CAPACITY_BYTES = 4096

let directory: string
let children: ChildProcess[]

beforeEach(() => {
  directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-test-'))
  children = []
})

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

/** A process of its own over the channel; what it says on stdout. */
async function start(script: string, setup: object): Promise<{ readonly child: ChildProcess; readonly said: () => string }> {
  const path = fileURLToPath(new URL(`children/${script}`, import.meta.url))
  const child = spawn(process.execPath, [path, JSON.stringify({ directory, name: 'numbers', ...setup })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  let text = ''
  child.stdout.on('data', (piece: Buffer) => (text += piece.toString()))
  await until(() => text.includes('ready'))
  return { child, said: () => text }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + (isSoak ? Number.POSITIVE_INFINITY : 30_000)
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${condition.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe(`a tap without a lease, beside two processes at full speed through a small ring (seed ${SEED})`, () => {
  test(`never holds a torn, doubled or misplaced frame among ${COUNT}, and accounts for every byte that it missed`, async () => {
    const consumer = openChannel({ directory, name: 'numbers', role: 'consumer', capacityBytes: CAPACITY_BYTES })
    let received = 0
    consumer.consume(() => void received++)
    const tap = await start('tapping.mjs', { seed: SEED })

    await start('channel-end.mjs', { task: 'send', count: COUNT, batch: 7 })
    await until(() => received === COUNT)
    const { bytesPublished } = consumer.stat()
    tap.child.stdin?.end()
    await until(() => tap.child.exitCode !== null)
    consumer.close()

    const seen = JSON.parse(tap.said().split('\n')[1] as string) as Readonly<Record<string, number>>
    expect(seen).toMatchObject({ wrong: 0, backwards: 0 })
    expect((seen['bytes'] as number) + (seen['lostBytes'] as number)).toBe(bytesPublished)
    expect(seen['jumps']).toBeLessThanOrEqual(seen['gaps'] as number)
    expect(seen['gaps']).toBeGreaterThan(0)
    expect(seen['frames']).toBeGreaterThan(0)
  })
})
