import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CaptureReader, capture, openChannel, openedChannel } from '#bus/index.js'
import { bothEnds, closeEnds, directory, eachHasADirectory, file, opened, read, send, startCapture, until } from './captured-channel.js'

eachHasADirectory()

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
    closeEnds()
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
    closeEnds()
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
