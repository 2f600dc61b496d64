import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { channelBytes, createChannel } from '#bus/index.js'
import { allowedCores, Mapping } from '#shm/index.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'

/**
 * A process that parks as often as it can, without ever looking again by itself, and one that spins and gives it something to do at random
 * moments around its parking. A wake-up that is lost is lost for good, so that the driver sees it: nothing happens for `lostMs` although
 * there is something to do. The parks of both kinds of sleepers together are what is counted.
 */
const PARKS = soakTimes({ smoke: 10_000, full: 10_000_000 })
const SEED = soakSeed(20_26)

const child = fileURLToPath(new URL('children/wake-up-end.mjs', import.meta.url))

type Sleeper = 'consumer' | 'producer'

interface Driven {
  readonly cycles: number
  readonly parks: number
  readonly wokenByRing: number
  readonly wokenByTime: number
  readonly lost: number
  readonly longestMs: number
}

let directory: string
let children: ChildProcess[]

beforeEach(() => {
  directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-wake-ups-'))
  children = []
  const ring = Mapping.create(join(directory, 'ring'), channelBytes(64))
  createChannel(ring.buffer, { capacityBytes: 64, schemaHash: 0, name: 'wake-ups' })
  ring.close()
  Mapping.create(join(directory, 'state'), 4096).close()
})

afterEach(async () => {
  for (const started of children) {
    if (started.exitCode === null && started.signalCode === null && started.kill('SIGKILL')) await once(started, 'exit')
  }
  rmSync(directory, { recursive: true, force: true })
})

/** Runs both processes and answers what the driver counted. A short run ends in time on a busy machine too, with fewer parks. */
async function drive(sleeper: Sleeper, setup: { readonly lostMs: number; readonly sabotage?: string }): Promise<Driven> {
  const common = { directory, sleeper, seed: SEED, parksWanted: Math.ceil(PARKS / 2), msMax: isSoak ? 1e9 : 8_000, ...setup }
  await firstLine({ task: 'sleep', ...common })
  return (await firstLine({ task: 'drive', ...common })) as Driven
}

async function firstLine(setup: object): Promise<unknown> {
  const started = spawn(process.execPath, [child, JSON.stringify(setup)], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(started)
  for await (const line of createInterface(started.stdout)) return JSON.parse(line)
  throw new Error('the child ended without a word')
}

describe.each(['consumer', 'producer'] as const)('a parked %s that something comes for at any moment', (sleeper) => {
  test('is woken every time', async () => {
    const driven = await drive(sleeper, { lostMs: 10_000 })

    if (isSoak) process.stderr.write(`${sleeper}: ${JSON.stringify(driven)}\n`)
    expect(driven, `seed=${SEED}`).toMatchObject({ lost: 0, wokenByTime: 0 })
    expect(driven.parks).toBeGreaterThan(isSoak ? PARKS / 2 - 1 : 500)
    expect(driven.parks - driven.wokenByRing).toBeLessThanOrEqual(1)
  })

  // On one core the two never meet in the middle of parking.
  test.runIf(allowedCores().length >= 2).each(['no-second-look', 'early-ring'])('is not, and that shows, with %s', async (sabotage) => {
    const driven = await drive(sleeper, { lostMs: 300, sabotage })

    expect(driven.lost).toBeGreaterThan(0)
  })
})
