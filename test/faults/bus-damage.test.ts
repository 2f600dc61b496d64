import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { type ChannelDamage, type ConsumerChannel, channelStat, openChannel, type ProducerChannel } from '#bus/index.js'
import { CHECK_WORD, HEADER_BYTES, MAGIC_WORD, PUBLISHED_WORD, RELEASED_WORD, VERSION_WORD } from '#bus/layout.js'
import { Mapping } from '#shm/index.js'
import { codeOf, failureOf } from '../shm/failure-of.js'
import { temporaryDirectory } from '../shm/temporary-directory.js'

const PARKED = { name: 'readings', capacityBytes: 1024, strategy: 'park' } as const

let directory: string

beforeEach(() => {
  directory = temporaryDirectory()
})

function producerEnd(more: object = {}): ProducerChannel {
  const channel = openChannel({ ...PARKED, directory, role: 'producer', ...more })
  onTestFinished(() => channel.close())
  return channel
}

function consumerEnd(more: object = {}): ConsumerChannel {
  const channel = openChannel({ ...PARKED, directory, role: 'consumer', ...more })
  onTestFinished(() => channel.close())
  return channel
}

/** A channel that both ends had and left, with two frames in it. */
function leftChannel(more: object = {}): string {
  const producer = openChannel({ ...PARKED, directory, role: 'producer', ...more })
  const consumer = openChannel({ ...PARKED, directory, role: 'consumer' })
  producer.trySend(Uint8Array.of(1, 2, 3))
  producer.trySend(Uint8Array.of(4, 5, 6))
  producer.close()
  consumer.close()
  return join(directory, 'readings.ring')
}

/** Writes over words of the file, as nobody should. */
function scribble(path: string, words: Readonly<Record<number, number>>): void {
  const mapping = Mapping.open(path)
  const all = new Int32Array(mapping.buffer)
  for (const [word, value] of Object.entries(words)) all[Number(word)] = value
  mapping.close()
}

/** What comes from now on, as first bytes. */
function received(consumer: ConsumerChannel, onError?: (error: unknown) => void): number[] {
  const seen: number[] = []
  consumer.consume((offset) => seen.push(consumer.bytes[offset] as number), onError === undefined ? {} : { onError })
  return seen
}

describe('a channel damaged while nobody has it', () => {
  for (const [what, words] of [
    ['its magic number', { [MAGIC_WORD]: 7 }],
    ['its version', { [VERSION_WORD]: 7 }],
    ['its capacity', { 2: 2 ** 20 }],
    ['its check', { [CHECK_WORD]: 7 }],
    ['its published position', { [PUBLISHED_WORD]: 7 }],
    ['its released position', { [RELEASED_WORD]: 2 ** 30 }],
    ['all of its header', Object.fromEntries(Array.from({ length: HEADER_BYTES / 4 }, (_, word) => [word, -559_038_737]))],
  ] as const) {
    test(`is made anew, empty, with the same capacity: ${what}`, async () => {
      const path = leftChannel()
      const before = statSync(path).ino
      scribble(path, words)

      const consumer = consumerEnd({ capacityBytes: undefined })
      const producer = producerEnd()
      const seen = received(consumer)
      await producer.send(Uint8Array.of(9))
      await producer.whenReleased()

      expect(statSync(path).ino).not.toBe(before)
      expect(seen).toEqual([9])
      expect(consumer.stat()).toMatchObject({ capacityBytes: 1024, consumer: { term: 1 } })
      expect(readdirSync(directory).filter((name) => name.includes('draft'))).toEqual([])
    })
  }

  test('keeps its checksums', () => {
    const path = leftChannel({ checksums: true })
    scribble(path, { [PUBLISHED_WORD]: 7 })

    expect(consumerEnd().stat().hasChecksums).toBe(true)
  })

  test('has a holder that no process can be: the end is free', () => {
    const path = leftChannel()
    scribble(path, { [128 / 4]: 2 ** 30, [256 / 4]: 1, [256 / 4 + 3]: -1 })

    producerEnd()
    const seen = received(consumerEnd())

    return expect.poll(() => seen).toEqual([1, 4])
  })
})

describe('a channel that is not damaged', () => {
  test('is never replaced, whoever asks', () => {
    const path = leftChannel()
    const before = statSync(path).ino

    const [producer, consumer] = [producerEnd(), consumerEnd()]

    expect([producer.reopen(), consumer.reopen()]).toEqual([undefined, undefined])
    expect(statSync(path).ino).toBe(before)
    expect(consumer.stat().unreleasedBytes).toBe(32)
  })

  test('is refused to an end that wants it otherwise, and is left as it is', () => {
    leftChannel()

    expect(codeOf(() => openChannel({ ...PARKED, directory, role: 'consumer', checksums: true }))).toBe('ERR_CHANNEL_OPTION')
    expect(codeOf(() => openChannel({ ...PARKED, directory, role: 'consumer', capacityBytes: 2048 }))).toBe('ERR_CHANNEL_OPTION')
    expect(consumerEnd().stat().unreleasedBytes).toBe(32)
  })

  test('is refused when it has another format', () => {
    const path = leftChannel()
    // As a later version would write it: its check is over its own version.
    scribble(path, { [VERSION_WORD]: 9, [CHECK_WORD]: 12345 })

    expect(codeOf(() => openChannel({ ...PARKED, directory, role: 'consumer' }))).toBe('ERR_CHANNEL_FORMAT')
  })
})

describe('a file in the way that never was a channel', () => {
  test.each([
    ['text', 'to whom it may concern'],
    ['zeros', '\0'.repeat(HEADER_BYTES + 1024)],
  ])('is refused and left as it is: %s', (_what, text) => {
    mkdirSync(directory, { recursive: true })
    const path = join(directory, 'readings.ring')
    writeFileSync(path, text)

    expect(codeOf(() => openChannel({ ...PARKED, directory, role: 'consumer' }))).toBe('ERR_CHANNEL_FORMAT')
    expect(statSync(path).size).toBe(text.length)
  })
})

describe('a channel damaged while both ends have it', () => {
  test('tells both what was given up, and goes on once both have reopened it', async () => {
    const producer = producerEnd({ checksums: true })
    const consumer = consumerEnd()
    const errors: unknown[] = []
    const seen = received(consumer, (error) => errors.push(error))
    await producer.send(Uint8Array.of(1))
    await producer.whenReleased()
    consumer.bytes[HEADER_BYTES + 24 + 8] = 77 // of the free ring: not live

    producer.producer.tryClaim(3, 0)
    producer.producer.commit()
    producer.producer.publish()
    producer.producer.bytes[HEADER_BYTES + 16 + 8] = 99 // of the frame, after its commit
    const waiting = producer.whenReleased()

    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CHANNEL_CORRUPT', values: { releasedPosition: 16, endPosition: 32 } })
    expect(errors).toMatchObject([{ code: 'ERR_CHANNEL_CORRUPT', values: { channel: 'readings', releasedPosition: 16, endPosition: 16 } }])
    expect(failureOf(() => producer.trySend(Uint8Array.of(2)))).toMatchObject({ code: 'ERR_CHANNEL_CORRUPT' })

    expect(consumer.reopen()).toMatchObject({ releasedPosition: 16, position: 16 })
    expect(producer.reopen()).toMatchObject({ releasedPosition: 16 })
    await producer.send(Uint8Array.of(3))
    await producer.whenReleased()

    expect(seen).toEqual([1, 3])
    expect(consumer.stat().hasChecksums).toBe(true)
    expect(readdirSync(directory).filter((name) => name.includes('draft'))).toEqual([])
  })

  for (const finder of ['producer', 'consumer'] as const) {
    test(`is made anew by itself where the ends ask for it; the other is rung when the ${finder} finds the damage`, async () => {
      const damages: Record<string, ChannelDamage[]> = { producer: [], consumer: [] }
      // Where time stands still, an end that sleeps is woken by a ring, or never.
      const clock = new FakeClock()
      const told = (role: string) => ({ clock, onDamaged: (damage: ChannelDamage) => damages[role]?.push(damage) })
      const producer = producerEnd({ ...told('producer'), checksums: true })
      const consumer = consumerEnd(told('consumer'))
      const seen = received(consumer)
      await producer.send(Uint8Array.of(1))
      await producer.whenReleased()
      const [oldProducer, oldConsumer] = [producer.producer, consumer.consumer]
      await expect.poll(() => consumer.stat().consumer.waiting.isParked).toBe(true)

      if (finder === 'producer') {
        new Int32Array(producer.producer.bytes.buffer)[MAGIC_WORD] = 3
        expect(producer.trySend(Uint8Array.of(2))).toBe(false)
      } else {
        const offset = producer.producer.tryClaim(1, 0)
        producer.producer.commit()
        producer.producer.bytes[offset] = 99
        producer.producer.publish()
      }
      await expect.poll(() => [damages['producer']?.length, damages['consumer']?.length], { interval: 1 }).toEqual([1, 1])

      await producer.send(Uint8Array.of(3))
      await producer.whenReleased()
      expect(seen.at(-1)).toBe(3)
      expect(producer.producer).not.toBe(oldProducer)
      expect(consumer.consumer).not.toBe(oldConsumer)
      expect(channelStat(producer.producer.bytes.buffer)).toMatchObject({ producer: { attachCount: 1 }, consumer: { attachCount: 1 } })
    })
  }
})
