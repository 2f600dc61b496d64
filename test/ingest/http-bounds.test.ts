import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { SOON } from './data.js'
import { FakeDoor } from './fake-door.js'
import { command, linesOf, numbered, openDoor, post, RawConnection, rawPost } from './http-client.js'

const QUICK = { headersMs: 150, requestMs: 300, keepAliveMs: 100, answerMs: 200 }
const NOTHING = { bodyBytes: 0, turns: 0, waiting: 0 }

describe('a slow client', () => {
  test.each([
    ['says nothing', ''],
    ['does not end its headers', 'POST /v1/commands HTTP/1.1\r\nhost: door\r\n'],
    ['does not end its body', rawPost(linesOf(command(1)), numbered('plc', 1)).slice(0, -1)],
    ['does not end its chunks', 'POST /v1/commands HTTP/1.1\r\nhost: door\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n'],
  ])('that %s is answered 408 and loses its connection', async (_name, text) => {
    const door = new FakeDoor()
    const http = await openDoor(door, { limits: QUICK })
    const connection = new RawConnection(http).write(text)

    await expect.poll(() => connection.isClosed, SOON).toBe(true)

    expect(connection.statuses).toEqual([408])
    await expect.poll(() => http.held, SOON).toEqual(NOTHING)
    expect(door.offers).toBe(0)
  })

  test('that sends byte by byte within the time is served', async () => {
    const http = await openDoor(new FakeDoor())
    const connection = new RawConnection(http)
    connection.socket.setNoDelay(true)
    for (const letter of rawPost(linesOf(command(1)))) connection.write(letter)

    await expect.poll(() => connection.statuses, SOON).toEqual([200])
  })

  test('that does not read its answers is cut off', async () => {
    const reply = 'x'.repeat(1 << 20)
    const http = await openDoor(new FakeDoor({ decide: () => ({ reply }) }), { limits: QUICK })
    const connection = new RawConnection(http, false)
    connection.write(rawPost(linesOf(...Array.from({ length: 10 }, (_, n) => command(n)))))
    await expect.poll(() => http.stats.requests.get(200), SOON).toBe(1)

    await expect.poll(() => http.stats.connections, SOON).toBe(0)
  })

  test('that is idle after its answer loses its connection without a word', async () => {
    const http = await openDoor(new FakeDoor(), { limits: QUICK })
    const connection = new RawConnection(http).write(rawPost(linesOf(command(1))))

    await expect.poll(() => connection.isClosed, SOON).toBe(true)

    expect(connection.statuses).toEqual([200])
  })

  test('whose commands take longer than a request may is waited for', async () => {
    const door = new FakeDoor({ isManual: true })
    const http = await openDoor(door, { limits: QUICK })
    const connection = new RawConnection(http).write(rawPost(linesOf(command(1))))
    const silent = new RawConnection(http)
    const started = performance.now()
    // As long as it takes to give up two others in a row.
    await expect.poll(() => silent.isClosed, SOON).toBe(true)
    const second = new RawConnection(http).write('POST')
    await expect.poll(() => second.isClosed && performance.now() - started > 2 * QUICK.requestMs, SOON).toBe(true)

    door.settle()

    await expect.poll(() => connection.statuses, SOON).toEqual([200])
  })
})

describe('a body beyond the limit', () => {
  test('of a declared length is refused before it is sent', async () => {
    const http = await openDoor(new FakeDoor())
    const connection = new RawConnection(http)
    connection.write(rawPost('', { 'content-length': '100001', expect: '100-continue' }))

    await expect.poll(() => connection.answers, SOON).toMatchObject([{ status: 413, lines: [{ taken: 0 }] }])
  })

  test.each([
    ['a declared', (size: number) => new Uint8Array(size)],
    [
      'no declared',
      (size: number) =>
        new ReadableStream({
          start(controller) {
            for (let sent = 0; sent < size; sent += 1 << 16) controller.enqueue(new Uint8Array(1 << 16))
            controller.close()
          },
        }),
    ],
  ])('with %s length is answered although 10 MB of it come behind the answer', async (_name, body) => {
    const http = await openDoor(new FakeDoor())

    expect(await post(http, body(10 << 20))).toMatchObject({ status: 413, lines: [{ taken: 0 }] })
    await expect.poll(() => http.held, SOON).toEqual(NOTHING)
  })

  test('is one byte longer than one that is taken', async () => {
    const line = linesOf(command(1))
    const http = await openDoor(new FakeDoor(), { bodyBytesMax: line.length })

    expect((await post(http, line)).status).toBe(200)
    expect((await post(http, `${line} `)).status).toBe(413)
  })

  test('is asked for when it is within the limit and the client wants to be asked', async () => {
    const http = await openDoor(new FakeDoor())
    const body = linesOf(command(1))
    const connection = new RawConnection(http)
    let said = ''
    connection.socket.on('data', (piece: Buffer) => (said += piece.toString()))
    connection.write(rawPost('', { 'content-length': String(body.length), expect: '100-continue' }))
    await expect.poll(() => said, SOON).toContain('100 Continue')

    connection.write(body)

    await expect.poll(() => connection.statuses, SOON).toEqual([200])
  })
})

describe('a door for very large bodies', () => {
  test('has room for one', async () => {
    const bodyBytesMax = 100 << 20
    const http = await openDoor(new FakeDoor(), { bodyBytesMax })
    const body = Buffer.alloc(70 << 20, ' ')
    body.write(linesOf(command(1)))

    expect((await post(http, body)).status).toBe(200)
  })
})

describe('a packed body', () => {
  const gzip = { 'content-encoding': 'gzip' }

  test('is unpacked', async () => {
    const door = new FakeDoor()
    const http = await openDoor(door)

    expect((await post(http, gzipSync(linesOf(command(1), command(2))), gzip)).status).toBe(200)
    expect((await post(http, gzipSync(linesOf(command(3))), { 'content-encoding': 'x-gzip' })).status).toBe(200)
    expect(door.stored.map(({ data }) => data.t)).toEqual([1, 2, 3])
  })

  test('may not be larger unpacked than one that was not', async () => {
    const http = await openDoor(new FakeDoor())
    const bomb = gzipSync(' '.repeat(50 << 20))

    expect(bomb.length).toBeLessThan(100_000)
    expect((await post(http, bomb, gzip)).status).toBe(413)
    expect(http.held).toEqual(NOTHING)
  })

  test.each([
    ['is cut', gzipSync(linesOf(command(1))).subarray(0, -4)],
    ['is none', Buffer.from(linesOf(command(1)))],
    ['is damaged', Buffer.concat([gzipSync(linesOf(command(1))).subarray(0, -8), Buffer.alloc(8)])],
    ['is empty', Buffer.alloc(0)],
  ])('that %s is answered 400', async (_name, body) => {
    const door = new FakeDoor()
    const http = await openDoor(door)

    expect(await post(http, body, gzip)).toMatchObject({ status: 400, lines: [{ taken: 0 }] })
    expect(door.offers).toBe(0)
  })
})

describe('more than the door holds', () => {
  test('of bodies is answered 429, and taken when others have gone', async () => {
    const door = new FakeDoor({ isManual: true })
    const line = linesOf(command(1))
    const http = await openDoor(door, { limits: { bodiesBytesMax: line.length * 2 } })
    const held = [post(http, line), post(http, line)]
    await expect.poll(() => door.inFlightCount, SOON).toBe(2)

    const third = await post(http, line)

    expect(third).toMatchObject({ status: 429, lines: [{ taken: 0, answers: [] }] })
    expect(third.headers.get('retry-after')).toBe('1')
    door.settle()
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200])
    const fourth = post(http, line)
    await expect.poll(() => door.inFlightCount, SOON).toBe(1)
    door.settle()
    expect((await fourth).status).toBe(200)
  })

  test('of requests on one connection is answered 429 in its turn', async () => {
    const door = new FakeDoor({ isManual: true })
    const http = await openDoor(door, { limits: { pipelinedMax: 2 } })
    const connection = new RawConnection(http).write([1, 2, 3].map((t) => rawPost(linesOf(command(t)))).join(''))
    await expect.poll(() => door.inFlightCount, SOON).toBe(2)
    door.settle()

    await expect.poll(() => connection.statuses, SOON).toEqual([200, 200, 429])
    await expect.poll(() => connection.isClosed, SOON).toBe(true)
    expect(door.stored.map(({ data }) => data.t)).toEqual([1, 2])
  })

  test('of requests far beyond that costs the connection', async () => {
    const door = new FakeDoor({ isManual: true })
    const http = await openDoor(door, { limits: { pipelinedMax: 2 } })
    const connection = new RawConnection(http)
    connection.write(Array.from({ length: 1000 }, (_, t) => rawPost(linesOf(command(t)))).join(''))

    await expect.poll(() => connection.isClosed, SOON).toBe(true)

    expect(door.inFlightCount).toBeLessThanOrEqual(2)
    expect((await fetch(`${http.url}/healthz`)).status).toBe(200)
    door.settle()
    await expect.poll(() => http.held, SOON).toEqual(NOTHING)
  })
})

describe('clients that come and give up while the plant is full', () => {
  test('leave nothing behind, however many they were', async () => {
    const door = new FakeDoor({ capacity: 0 })
    let asked = 0
    const counting = { offer: door.offer.bind(door), onRoom: (callback: () => void) => (asked++, door.onRoom(callback)) }
    const http = await openDoor(counting, { limits: { roomMs: 5 } })

    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => post(http, linesOf(command(n)), numbered(`plc-${n}`, 1))))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([429]))
    }

    expect(http.held).toEqual(NOTHING)
    expect(asked).toBe(1)
  })

  test('leave what was taken, and nothing behind it, when they leave in the middle', async () => {
    const door = new FakeDoor({ capacity: 2, isManual: true })
    const http = await openDoor(door)
    const connection = new RawConnection(http).write(rawPost(linesOf(...[1, 2, 3, 4].map((t) => command(t))), numbered('plc', 1)))
    await expect.poll(() => http.held.waiting, SOON).toBe(1)
    connection.socket.destroy()
    await expect.poll(() => http.stats.connections, SOON).toBe(0)

    door.settle()

    await expect.poll(() => http.held, SOON).toEqual(NOTHING)
    expect(door.stored.map(({ data }) => data.t)).toEqual([1, 2])
    expect(http.stats.requests.get(0)).toBe(1)
    door.capacity = 10
    const again = post(http, linesOf(...[1, 2, 3, 4].map((t) => command(t))), numbered('plc', 1))
    await expect.poll(() => door.inFlightCount, SOON).toBe(4)
    door.settle()
    expect(await again).toMatchObject({ status: 200, lines: [{ version: 1 }, { version: 2 }, { version: 3 }, { version: 4 }] })
  })
})

describe('the headers of a request', () => {
  test.each([
    ['a source of 200 characters', { 'millrace-source': 'x'.repeat(200), 'millrace-sequence': '1' }, 200],
    ['a longer one', { 'millrace-source': 'x'.repeat(201), 'millrace-sequence': '1' }, 400],
    ['a source with a space', { 'millrace-source': 'a b', 'millrace-sequence': '1' }, 400],
    ['an empty source', { 'millrace-source': '', 'millrace-sequence': '1' }, 400],
    ['a sequence alone', { 'millrace-sequence': '1' }, 400],
    ['a sequence with a fraction', { 'millrace-source': 'x', 'millrace-sequence': '1.5' }, 400],
    ['the last safe sequence', { 'millrace-source': 'x', 'millrace-sequence': String(Number.MAX_SAFE_INTEGER - 1) }, 200],
    ['one beyond it', { 'millrace-source': 'x', 'millrace-sequence': String(Number.MAX_SAFE_INTEGER) }, 400],
    ['a sequence that no double holds', { 'millrace-source': 'x', 'millrace-sequence': '9007199254740993' }, 400],
    ['more than 16 kB', { 'x-more': 'x'.repeat(20_000) }, 431],
  ])('with %s are answered so', async (_name, headers, status) => {
    const http = await openDoor(new FakeDoor())
    const connection = new RawConnection(http).write(rawPost(linesOf(command(1)), headers))

    await expect.poll(() => connection.statuses, SOON).toEqual([status])
  })

  test('twice with a source are refused', async () => {
    const http = await openDoor(new FakeDoor())
    const text = rawPost(linesOf(command(1)), { 'millrace-source': 'a', 'Millrace-Source': 'b', 'millrace-sequence': '1' })

    const connection = new RawConnection(http).write(text)

    await expect.poll(() => connection.statuses, SOON).toEqual([400])
  })
})
