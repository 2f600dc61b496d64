import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { channelStat, openChannel } from '#bus/index.js'
import { Mapping } from '#shm/index.js'
import { temporaryDirectory } from '../shm/temporary-directory.js'
import { until } from '../shm/until.js'

const child = fileURLToPath(new URL('children/channel-end.mjs', import.meta.url))

/** Starts a process that sends every frame of `ping` back through `pong`, asleep in between. */
async function startEcho(directory: string): Promise<void> {
  const setup = JSON.stringify({ task: 'echo', directory, strategy: 'park' })
  const started = spawn(process.execPath, [child, setup], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => {
    started.kill('SIGKILL')
  })
  await new Promise<void>((resolve, reject) => {
    started.stdout.once('data', () => resolve())
    started.once('exit', (code) => reject(new Error(`the child ended with ${code} before it was ready`)))
  })
}

describe('how another process waits at its end of a channel', () => {
  test('can be seen: that it sleeps, how often it was woken and how long it slept', async () => {
    const directory = temporaryDirectory()
    await startEcho(directory)
    const ring = Mapping.open(join(directory, 'ping.ring'), { access: 'read' })
    const seen = () => channelStat(ring.buffer).consumer.waiting
    const ping = openChannel({ directory, name: 'ping', role: 'producer', strategy: 'park' })
    const pong = openChannel({ directory, name: 'pong', role: 'consumer', strategy: 'park' })
    let echoes = 0
    pong.consume(() => echoes++)
    // An end that is taken rings the other one: after an answer that is over.
    ping.trySend(Uint8Array.of(0))
    await until('it has answered', () => echoes === 1)
    await until('it sleeps', () => seen().isParked)
    const before = seen()
    const slept = performance.now()
    await until('it has slept for a while', () => performance.now() - slept > 20)

    for (let sent = 1; sent <= 3; sent++) {
      await until('it sleeps again', () => seen().isParked)
      ping.trySend(Uint8Array.of(sent))
      await until('it has answered', () => echoes === 1 + sent)
    }

    const after = seen()
    expect(after.wokenByRing - before.wokenByRing).toBe(3)
    expect(after.parks - before.parks).toBeGreaterThanOrEqual(2)
    expect(after.parkedMs - before.parkedMs).toBeGreaterThanOrEqual(20)
    ping.close()
    pong.close()
    ring.close()
  })

  test('can be seen of a producer too, which sleeps until there is room', async () => {
    const directory = temporaryDirectory()
    const producer = openChannel({ directory, name: 'full', role: 'producer', capacityBytes: 64, strategy: 'park' })
    const consumer = openChannel({ directory, name: 'full', role: 'consumer' })
    while (producer.trySend(Uint8Array.of(0)));
    const room = producer.whenRoom(1)
    await until('the producer sleeps', () => consumer.stat().producer.waiting.isParked)

    consumer.consumer.next()
    consumer.consumer.release(consumer.consumer.endPosition)
    await room

    expect(consumer.stat()).toMatchObject({ consumerRings: 1, producer: { waiting: { wokenByRing: 1, isParked: false } } })
    producer.close()
    consumer.close()
  })
})
