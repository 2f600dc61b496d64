import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { SOON } from './data.js'
import { FakeDoor, type FakeDoorOptions } from './fake-door.js'
import { command, linesOf, numbered, openDoor, post } from './http-client.js'

const picky: FakeDoorOptions = {
  decide: ({ data }) => (data.mode === 'no' ? { refuse: 'NO' } : data.mode === 'broken' ? { fail: 'boom' } : { reply: { t: data.t } }),
  reject: ({ command: name, entity }) =>
    entity.startsWith('press/') ? (name === 'sample' ? undefined : `press has no command ${name}`) : 'there is no such type',
}

const stored = (door: FakeDoor) => door.stored.map(({ data }) => data.t)

describe('commands by HTTP', () => {
  test('are answered line by line, in order, whatever each came to', async () => {
    const door = new FakeDoor(picky)
    const http = await openDoor(door)

    const { status, lines } = await post(http, linesOf(command(1), command(2, { mode: 'no' }), command(3, { mode: 'broken' }), command(4)))

    expect(status).toBe(200)
    expect(lines).toEqual([
      { ok: true, version: 1, reply: { t: 1 } },
      { ok: false, version: 2, refused: 'NO' },
      { ok: false, error: 'boom' },
      expect.objectContaining({ ok: true, reply: { t: 4 } }),
    ])
  })

  test('may come as one JSON array, with a time as text or as microseconds', async () => {
    const door = new FakeDoor()
    const http = await openDoor(door)

    await post(
      http,
      JSON.stringify([{ ...command(1), at: '2026-01-01T00:00:00.5Z' }, { ...command(2), at: 1_600_000_000_000_001 }, command(3)]),
    )

    expect(door.stored.map(({ at }) => at)).toEqual([Date.UTC(2026, 0, 1) * 1000 + 500_000, 1_600_000_000_000_001, undefined])
  })

  test('are answered only once all of them are durable', async () => {
    const door = new FakeDoor({ isManual: true })
    const http = await openDoor(door)
    let isAnswered = false
    const answering = post(http, linesOf(command(1), command(2))).finally(() => (isAnswered = true))
    await expect.poll(() => door.inFlightCount, SOON).toBe(2)

    door.settle(1)
    await fetch(`${http.url}/healthz`)
    expect(isAnswered).toBe(false)
    door.settle(1)

    expect(await answering).toMatchObject({ status: 200 })
  })

  test('of one entity may be more than are in flight at a time', async () => {
    const door = new FakeDoor()
    const http = await openDoor(door)

    const { status, lines } = await post(http, linesOf(...Array.from({ length: 200 }, (_, n) => command(n))), numbered('s', 1))

    expect(status).toBe(200)
    expect(lines).toHaveLength(200)
    expect(stored(door)).toEqual(Array.from({ length: 200 }, (_, n) => n))
  })

  test('with a source and a sequence take effect once, however often they are sent', async () => {
    const door = new FakeDoor(picky)
    const http = await openDoor(door)
    const body = linesOf(command(1), command(2, { mode: 'no' }))

    const first = await post(http, body, numbered('plc', 1))
    const second = await post(http, body, numbered('plc', 1))

    expect(second.lines).toEqual(first.lines)
    expect(stored(door)).toEqual([1])
    expect(door.stored[0]).toMatchObject({ source: 'http:plc', sequence: 1 })
  })

  test('without them take effect each time', async () => {
    const door = new FakeDoor()
    const http = await openDoor(door)

    await post(http, linesOf(command(1)))
    await post(http, linesOf(command(1)))

    expect(stored(door)).toEqual([1, 1])
  })

  test('of one source keep their order over concurrent connections', async () => {
    const door = new FakeDoor({ capacity: 3 })
    const http = await openDoor(door)

    await Promise.all(
      Array.from({ length: 10 }, (_, n) => post(http, linesOf(command(n * 2), command(n * 2 + 1)), numbered('plc', n * 2 + 1))),
    )

    const done = stored(door)
    expect(done).toEqual([...done].sort((a, b) => Number(a) - Number(b)))
  })
})

describe('a full plant', () => {
  test('is answered 429 with what was taken, durable by then; nothing later overtakes, and a resend finishes', async () => {
    const door = new FakeDoor({ capacity: 2, isManual: true })
    const http = await openDoor(door)
    const body = linesOf(...[1, 2, 3, 4].map((t) => command(t)))
    const answering = post(http, body, numbered('plc', 1))
    await expect.poll(() => door.inFlightCount, SOON).toBe(2)
    door.capacity = 0
    door.settle()

    const full = await answering
    expect(full).toMatchObject({ status: 429, lines: [{ taken: 2, answers: [{ ok: true }, { ok: true }] }] })
    expect(Number(full.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(stored(door)).toEqual([1, 2])
    door.capacity = 10
    const settling = setInterval(() => door.settle(), 1)
    onTestFinished(() => clearInterval(settling))

    expect(await post(http, linesOf(command(5)), numbered('plc', 5))).toMatchObject({
      status: 429,
      lines: [{ taken: 0, error: expect.stringContaining('number 3') }],
    })
    expect(await post(http, linesOf(command(9)), numbered('other', 5))).toMatchObject({ status: 200 })
    expect(await post(http, body, numbered('plc', 1))).toMatchObject({ status: 200 })
    expect(await post(http, linesOf(command(5)), numbered('plc', 5))).toMatchObject({ status: 200 })
    expect(stored(door)).toEqual([1, 2, 9, 3, 4, 5])
  })
})

describe('more commands than the rate allows', () => {
  test('are answered 429 until there are tokens again; nothing later of the source overtakes them', async () => {
    const clock = new FakeClock()
    const door = new FakeDoor()
    const http = await openDoor(door, { ratePerSecond: 2, clock })
    expect(await post(http, linesOf(command(1), command(2)), numbered('plc', 1))).toMatchObject({ status: 200 })

    const limited = await post(http, linesOf(command(3)), numbered('plc', 3))
    clock.advance(1000)
    const overtaking = await post(http, linesOf(command(4)), numbered('plc', 4))

    expect(limited.status).toBe(429)
    expect(limited.headers.get('retry-after')).toBe('1')
    expect(overtaking).toMatchObject({ status: 429, lines: [{ error: expect.stringContaining('number 3') }] })
    expect(await post(http, linesOf(command(3)), numbered('plc', 3))).toMatchObject({ status: 200 })
    expect(await post(http, linesOf(command(4)), numbered('plc', 4))).toMatchObject({ status: 200 })
    expect(stored(door)).toEqual([1, 2, 3, 4])
  })
})

describe('a request that is wrong', () => {
  test.each([
    ['no JSON', `${linesOf(command(1))}\n{"entity":`, 2, 'not JSON'],
    ['an array that is cut', '[{}', 1, 'not JSON'],
    ['no command', '\n\n', 1, 'no command'],
    ['a line that is no object', `${linesOf(command(1))}\n5`, 2, 'expected an object'],
    ['an unknown key', linesOf({ ...command(1), att: 5 }), 1, 'unknown key att'],
    ['no entity', linesOf({ command: 'sample' }), 1, 'entity: expected a text'],
    ['a wrong time', linesOf({ ...command(1), at: 'noon' }), 1, 'at: expected a time'],
    ['a wrong correlation', linesOf({ ...command(1), correlation: 5 }), 1, 'correlation: expected a text'],
  ])('with %s is answered 400 with its line, and nothing of it is taken', async (_name, body, line, error) => {
    const door = new FakeDoor(picky)
    const http = await openDoor(door)

    expect(await post(http, body)).toMatchObject({ status: 400, lines: [{ line, error: expect.stringContaining(error), taken: 0 }] })
    expect(door.offers).toBe(0)
  })

  test.each([
    ['an unknown type', { entity: 'pump/1', command: 'sample', data: {} }, 'there is no such type'],
    ['an unknown command', { entity: 'press/1', command: 'explode', data: {} }, 'press has no command explode'],
  ])('names %s that the plant does not have, and says what was taken before it', async (_name, bad, error) => {
    const door = new FakeDoor(picky)
    const http = await openDoor(door)

    const answer = await post(http, linesOf(command(1), bad, command(3)))

    expect(answer).toMatchObject({ status: 400, lines: [{ line: 2, error, taken: 1, answers: [{ ok: true }] }] })
    expect(stored(door)).toEqual([1])
  })

  test.each([
    ['invalid UTF-8', Buffer.from([0x7b, 0xff]), {}, 400],
    ['half a numbering', linesOf(command(1)), { 'Millrace-Source': 'x' }, 400],
    ['a sequence that is no number', linesOf(command(1)), { 'Millrace-Source': 'x', 'Millrace-Sequence': '-1' }, 400],
    ['a body packed as nobody here unpacks', linesOf(command(1)), { 'content-encoding': 'br' }, 415],
    ['too large a body', 'x'.repeat(100_001), {}, 413],
  ])('with %s is answered so', async (_name, body, headers, status) => {
    const door = new FakeDoor()
    const http = await openDoor(door)

    expect(await post(http, body, headers)).toMatchObject({ status, lines: [{ error: expect.any(String) }] })
    expect(door.offers).toBe(0)
  })

  test('that goes on beyond the limit without saying how long it is gets its answer too', async () => {
    const http = await openDoor(new FakeDoor())
    const socket = connect(Number(new URL(http.url).port), '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    let text = ''
    socket.on('data', (piece: Buffer) => (text += piece.toString()))
    socket.on('error', () => {})
    socket.write('POST /v1/commands HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let chunk = 0; chunk < 3; chunk++) socket.write(`c350\r\n${'x'.repeat(50_000)}\r\n`)

    await expect.poll(() => text, SOON).toContain('HTTP/1.1 413')
    await expect.poll(() => text, SOON).toContain('"taken":0')
  })

  test.each([
    ['GET', '/v1/commands', 405],
    ['HEAD', '/v1/commands', 405],
    ['PUT', '/v1/commands', 405],
    ['DELETE', '/v1/commands', 405],
    ['OPTIONS', '/v1/commands', 405],
    ['POST', '/v1/commands/', 404],
    ['POST', '//v1/commands', 404],
    ['GET', '/__proto__', 404],
    ['GET', '/healthz?verbose', 200],
    ['HEAD', '/healthz', 200],
    ['POST', '/v1/other', 404],
    ['GET', '/', 404],
    ['POST', '/healthz', 405],
  ])('%s %s is answered %i', async (method, path, status) => {
    const http = await openDoor(new FakeDoor())

    expect((await fetch(http.url + path, { method })).status).toBe(status)
  })

  test('that is no HTTP at all ends its connection, and the door goes on', async () => {
    const http = await openDoor(new FakeDoor())
    const socket = connect(Number(new URL(http.url).port), '127.0.0.1')
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.write('\u0000\u0001garbage\r\n\r\n')
    socket.resume()
    await closed

    expect((await fetch(`${http.url}/healthz`)).status).toBe(200)
  })
})

describe('a page that fails', () => {
  test('is answered 500 without its reason, which goes to the log', async () => {
    const errors: unknown[] = []
    const read = () => Promise.reject(new Error('secret path'))
    const http = await openDoor(new FakeDoor(), { pages: { '/page': { isOpen: true, read } }, onError: (error) => errors.push(error) })

    const answer = await fetch(`${http.url}/page`)

    expect(answer.status).toBe(500)
    expect(await answer.text()).not.toContain('secret')
    expect(errors).toEqual([new Error('secret path')])
  })
})
