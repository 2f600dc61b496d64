import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { FakeClock } from '#base/clock.js'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type ConsumerChannel, openChannel, type ProducerChannel } from '#bus/index.js'
import { payloads, readAll } from '../bus/ring-of.js'
import { temporaryDirectory } from '../shm/temporary-directory.js'

const child = fileURLToPath(new URL('children/dying-end.mjs', import.meta.url))
/** Its clock stands still: an end that sleeps is woken by a ring, or never. */
const CHANNEL = { name: 'mortal', capacityBytes: 256, strategy: 'park', clock: new FakeClock() } as const

let directory: string

beforeEach(() => {
  directory = temporaryDirectory()
})

/** Resolves once the process has killed itself at the point. */
async function death(dies: string): Promise<void> {
  const dying = spawn(process.execPath, [child, JSON.stringify({ directory, dies })], { stdio: ['ignore', 'ignore', 'inherit'] })
  const signal = await new Promise((resolve) => dying.once('exit', (_code, by) => resolve(by)))
  expect(signal).toBe('SIGKILL')
}

function producerEnd(): ProducerChannel {
  const channel = openChannel({ ...CHANNEL, directory, role: 'producer' })
  onTestFinished(() => channel.close())
  return channel
}

function consumerEnd(): ConsumerChannel {
  const channel = openChannel({ ...CHANNEL, directory, role: 'consumer' })
  onTestFinished(() => channel.close())
  return channel
}

function sendAll(channel: ProducerChannel, ...numbers: readonly number[]): void {
  for (const number of numbers) expect(channel.trySend(Uint8Array.of(number))).toBe(true)
}

/** Numbers of the frames that the consumer has not released. */
function unreleased(channel: ConsumerChannel): number[] {
  return payloads(readAll(channel.consumer)).map(([number]) => number as number)
}

describe('a producer that dies', () => {
  test('mid-claim leaves what it had published, and no trace of the claim', async () => {
    await death('mid-claim')

    sendAll(producerEnd(), 9)

    expect(unreleased(consumerEnd())).toEqual([1, 2, 3, 9])
  })

  test('between commit and publish leaves none of what it had committed', async () => {
    await death('between-commit-and-publish')

    sendAll(producerEnd(), 9)

    expect(unreleased(consumerEnd())).toEqual([1, 2, 3, 9])
  })

  test('behind its publish leaves everything, for a consumer that comes later', async () => {
    await death('between-publish-and-ring')

    expect(unreleased(consumerEnd())).toEqual([1, 2, 3, 4])
  })

  test('over a consumer that sleeps leaves it frames that the successor wakes it for, although no ring came', async () => {
    const consumer = consumerEnd()
    const seen: number[] = []
    consumer.consume((offset) => seen.push(consumer.bytes[offset] as number))
    await expect.poll(() => consumer.stat().consumer.waiting.isParked).toBe(true)

    await death('between-publish-and-ring')
    const successor = producerEnd()
    sendAll(successor, 9)
    await successor.whenReleased()

    expect(seen).toEqual([1, 2, 3, 4, 9])
  })
})

describe('a consumer that dies', () => {
  test('between read and release leaves all that it read to its successor', async () => {
    sendAll(producerEnd(), 1, 2, 3, 4)

    await death('between-read-and-release')

    expect(unreleased(consumerEnd())).toEqual([1, 2, 3, 4])
  })

  test('behind a release leaves what came after that, and nothing twice', async () => {
    sendAll(producerEnd(), 1, 2, 3, 4)

    await death('behind-a-release')

    expect(unreleased(consumerEnd())).toEqual([3, 4])
  })

  test('in its handler leaves that frame, and at most those of the same turn, to its successor', async () => {
    sendAll(producerEnd(), 1, 2, 3, 4)

    await death('in-its-handler')

    const left = unreleased(consumerEnd())
    expect(left.slice(-2)).toEqual([3, 4])
  })

  test('with its ring full lets the producer go on once a successor releases', async () => {
    const producer = producerEnd()
    while (producer.trySend(Uint8Array.of(7))) expect(producer.stat().unreleasedBytes).toBeLessThanOrEqual(256)
    const waiting = producer.send(Uint8Array.of(8))

    await death('between-read-and-release')
    const successor = consumerEnd()
    const seen: number[] = []
    successor.consume((offset) => seen.push(successor.bytes[offset] as number))
    await waiting
    await producer.whenReleased()

    expect(seen).toEqual([...new Array<number>(16).fill(7), 8])
  })
})

describe('both ends that die', () => {
  test('together leave what was published and not released', async () => {
    await death('at-both-ends')

    sendAll(producerEnd(), 9)

    expect(unreleased(consumerEnd())).toEqual([2, 3, 4, 5, 9])
  })
})
