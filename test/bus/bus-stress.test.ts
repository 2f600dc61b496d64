import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isSoak, soakSeed, soakTimes } from '../soak.js'

/**
 * Two real processes, one channel, frames of random lengths that follow from a seed: the receiver checks length, type and every byte of each,
 * in order. This is where the memory order that the comments argue is attacked. Publishing, releasing, aborting and shortening happen at random too.
 */
const FRAMES = soakTimes({ smoke: 1_000_000, full: 1_000_000_000 })
const SEED = soakSeed(20_26)

const child = fileURLToPath(new URL('children/stress-end.mjs', import.meta.url))

interface Setup {
  readonly strategy: readonly [sender: string, receiver: string]
  readonly capacityBytes: number
  readonly checksums?: boolean
  readonly seed: number
  readonly count: number
  readonly sabotage?: string
  readonly sabotageAt?: number
}

let directory: string
let children: ChildProcess[]

beforeEach(() => {
  directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-stress-'))
  children = []
})

afterEach(async () => {
  await Promise.all(
    children.map(async (started) => {
      if (started.exitCode !== null || started.signalCode !== null) return
      started.kill('SIGKILL')
      await once(started, 'exit')
    }),
  )
  rmSync(directory, { recursive: true, force: true })
})

/** Starts both ends and answers what they came to; the sender's is undefined when the receiver failed. */
async function stress({ strategy: [sender, receiver], ...setup }: Setup): Promise<{ sent: unknown; received: unknown }> {
  const receiving = end('receive', receiver, setup)
  const sending = end('send', sender, setup)
  const received = await Promise.race([receiving, sending.then(() => receiving)])
  return { received, sent: 'failed' in received ? undefined : await sending }
}

async function end(task: 'send' | 'receive', strategy: string, setup: object): Promise<Record<string, unknown>> {
  const started = spawn(process.execPath, [child, JSON.stringify({ directory, task, strategy, ...setup })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(started)
  let said = ''
  started.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code, signal] = (await once(started, 'close')) as [number | null, string | null]
  if (said === '') return { failed: `it ended with ${code ?? signal}` }
  return { code, ...(JSON.parse(said) as object) }
}

describe('a million frames and more between two processes', () => {
  test.each([
    [['spin', 'spin'], 65_536, false, 0.6],
    [['adaptive', 'adaptive'], 65_536, false, 0.2],
    [['spin', 'spin'], 65_536, true, 0.1],
    [['spin', 'adaptive'], 1024, false, 0.02],
    [['park', 'spin'], 4096, false, 0.04],
    [['adaptive', 'spin'], 1_048_576, false, 0.04],
  ] as const)(
    '%s over a ring of %i bytes, checksums %s: arrive whole and in order',
    async (strategy, capacityBytes, checksums, share) => {
      const count = Math.ceil(FRAMES * share)

      const { sent, received } = await stress({ strategy, capacityBytes, checksums, seed: SEED, count })

      expect({ seed: SEED, sent, received }).toMatchObject({ seed: SEED, sent: { sent: count }, received: { code: 0, received: count } })
      if (isSoak) process.stderr.write(`${strategy.join(' and ')}, ${capacityBytes} bytes: ${JSON.stringify(received)}\n`)
    },
    120_000,
  )
})

describe('a sender that breaks the order of its frames on purpose', () => {
  test.each([
    ['lose', 'frame 5000 is another one'],
    ['duplicate', 'frame 5001 is another one'],
    ['swap', 'frame 5000 is another one'],
    ['tear', /^frame 500\d is torn at byte \d+ of \d+$/],
  ])('is found out: %s', async (sabotage, fault) => {
    const setup = { strategy: ['spin', 'spin'], capacityBytes: 65_536, seed: SEED, count: 20_000, sabotageAt: 5000 } as const

    const { received } = await stress({ ...setup, sabotage })

    expect(received).toMatchObject({ code: 1, failed: typeof fault === 'string' ? fault : (expect.stringMatching(fault) as string) })
  })

  test('is a sender like any other without the sabotage', async () => {
    const setup = { strategy: ['spin', 'spin'], capacityBytes: 65_536, seed: SEED, count: 20_000, sabotageAt: 5000 } as const

    expect(await stress(setup)).toMatchObject({ received: { code: 0, received: 20_000 } })
  })
})
