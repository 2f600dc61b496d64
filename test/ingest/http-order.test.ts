import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { SOON } from './data.js'
import { FakeDoor } from './fake-door.js'
import { command, linesOf, numbered, openDoor, post, RawConnection, rawPost } from './http-client.js'

const stored = (door: FakeDoor) => door.stored.map(({ data }) => data.t)
const one = (t: number, source = 'plc') => rawPost(linesOf(command(t)), numbered(source, t))

describe('requests of one source behind each other on one connection', () => {
  test('are offered without waiting for each other, in order, and answered in order', async () => {
    const door = new FakeDoor({ isManual: true, decide: ({ data }) => ({ reply: data.t }) })
    const http = await openDoor(door)
    const connection = new RawConnection(http).write(one(1) + one(2) + one(3))

    await expect.poll(() => door.inFlightCount, SOON).toBe(3)
    door.settleOne((commands) => commands.findIndex(({ data }) => data.t === 1))
    await expect.poll(() => connection.statuses, SOON).toEqual([200])
    door.settle()

    await expect.poll(() => connection.answers.map(({ lines }) => lines[0]?.['reply']), SOON).toEqual([1, 2, 3])
    expect(stored(door)).toEqual([1, 2, 3])
  })

  test('are refused behind one for which there was no room, until it comes again', async () => {
    const door = new FakeDoor({ capacity: 0 })
    const http = await openDoor(door, { limits: { roomMs: 20 } })
    const connection = new RawConnection(http).write(one(1))
    await expect.poll(() => connection.statuses, SOON).toEqual([429])
    door.capacity = 100

    connection.write(one(2) + one(3) + one(1) + one(2) + one(3))

    await expect.poll(() => connection.statuses, SOON).toEqual([429, 429, 429, 200, 200, 200])
    expect(connection.answers[1]?.lines).toEqual([expect.objectContaining({ awaited: 1, taken: 0, answers: [] })])
    expect(stored(door)).toEqual([1, 2, 3])
  })

  test('are not taken behind one that is wrong, whose connection ends', async () => {
    const door = new FakeDoor()
    const http = await openDoor(door)
    const connection = new RawConnection(http).write(rawPost('no JSON', numbered('plc', 1)) + one(2))

    await expect.poll(() => connection.isClosed, SOON).toBe(true)

    expect(connection.statuses).toEqual([400])
    expect(door.offers).toBe(0)
    expect((await post(http, linesOf(command(2)), numbered('plc', 2))).status).toBe(200)
  })
})

describe('requests without a source', () => {
  test('keep the order of their connection', async () => {
    const door = new FakeDoor({ capacity: 1 })
    const http = await openDoor(door)
    const numbers = Array.from({ length: 20 }, (_, n) => n)

    const connection = new RawConnection(http).write(numbers.map((n) => rawPost(linesOf(command(n)))).join(''))

    await expect.poll(() => connection.statuses.length, SOON).toBe(20)
    expect(stored(door)).toEqual(numbers)
  })

  test('do not wait for those of other connections', async () => {
    const door = new FakeDoor()
    const http = await openDoor(door)
    const slow = new RawConnection(http).write(rawPost(linesOf(command(1))).slice(0, -3))
    await expect.poll(() => http.held.turns, SOON).toBe(1)

    expect((await post(http, linesOf(command(2)))).status).toBe(200)
    slow.write(linesOf(command(1)).slice(-3))

    await expect.poll(() => slow.statuses, SOON).toEqual([200])
    expect(stored(door)).toEqual([2, 1])
  })
})

describe('requests of one source on several connections', () => {
  test('wait for one whose body is still on its way', async () => {
    const door = new FakeDoor()
    const http = await openDoor(door)
    const slow = new RawConnection(http).write(one(1).slice(0, -3))
    await expect.poll(() => http.held.turns, SOON).toBe(1)
    const later = post(http, linesOf(command(2)), numbered('plc', 2))
    await expect.poll(() => http.held.bodyBytes, SOON).toBeGreaterThan(one(1).length / 2)
    expect((await post(http, linesOf(command(7)), numbered('other', 7))).status).toBe(200)
    expect(stored(door)).toEqual([7])

    slow.write(one(1).slice(-3))

    expect((await later).status).toBe(200)
    expect(stored(door)).toEqual([7, 1, 2])
  })

  const chunked = `POST /v1/commands HTTP/1.1\r\nhost: door\r\ntransfer-encoding: chunked\r\nmillrace-source: plc\r\nmillrace-sequence: 1\r\n\r\n`
  const chunk = `ea60\r\n${'x'.repeat(60_000)}\r\n`
  const packed = { ...numbered('plc', 1), 'content-encoding': 'gzip' }
  test.each([
    ['whose client leaves within the body', one(1).slice(0, -3), undefined],
    ['that turns out to be too large', chunked + chunk, chunk],
    ['that is no JSON', rawPost('{}', numbered('plc', 1)).slice(0, -1), '{'],
    ['whose body is not what its encoding says', rawPost('{}', packed).slice(0, -1), '}'],
  ])('are refused behind one %s, when they were under way with it', async (_name, start, end) => {
    const door = new FakeDoor()
    const http = await openDoor(door)
    // The first has its turn as long as the end of its body is held back; the second comes meanwhile.
    const first = new RawConnection(http).write(start)
    await expect.poll(() => http.held.bodyBytes, SOON).toBeGreaterThan(0)
    const before = http.held.bodyBytes
    const second = post(http, linesOf(command(2)), numbered('plc', 2))
    await expect.poll(() => http.held.bodyBytes, SOON).toBeGreaterThan(before)
    if (end === undefined) first.socket.destroy()
    else first.write(end)

    expect(await second).toMatchObject({ status: 429, lines: [{ awaited: 1, taken: 0 }] })
    expect(door.offers).toBe(0)
  })

  test('are refused behind one that was taken in part, and go on once the rest has come', async () => {
    const door = new FakeDoor({ capacity: 2, isManual: true })
    const http = await openDoor(door, { limits: { roomMs: 50 } })
    const first = post(http, linesOf(command(1), command(2), command(3)), numbered('plc', 1))
    await expect.poll(() => door.inFlightCount, SOON).toBe(2)
    const second = post(http, linesOf(command(4)), numbered('plc', 4))

    expect(await second).toMatchObject({ status: 429, lines: [{ awaited: 3 }] })
    door.settle()
    expect(await first).toMatchObject({ status: 429, lines: [{ taken: 2, answers: [{ ok: true }, { ok: true }] }] })
    const settling = setInterval(() => door.settle(), 1)
    try {
      // Part of what was taken, sent again, closes no gap.
      expect((await post(http, linesOf(command(1), command(2)), numbered('plc', 1))).status).toBe(200)
      expect((await post(http, linesOf(command(4)), numbered('plc', 4))).status).toBe(429)
      expect((await post(http, linesOf(command(3)), numbered('plc', 3))).status).toBe(200)
      expect((await post(http, linesOf(command(4)), numbered('plc', 4))).status).toBe(200)
    } finally {
      clearInterval(settling)
    }
    expect(stored(door)).toEqual([1, 2, 3, 4])
  })

  test('are refused behind one that the rate limit kept out', async () => {
    const clock = new FakeClock()
    const door = new FakeDoor()
    const http = await openDoor(door, { ratePerSecond: 2, clock })
    await post(http, linesOf(command(1)), numbered('plc', 1))
    const kept = await post(http, linesOf(command(2), command(3)), numbered('plc', 2))

    const small = await post(http, linesOf(command(4)), numbered('plc', 4))

    expect(kept.status).toBe(429)
    expect(small).toMatchObject({ status: 429, lines: [{ awaited: 2 }] })
    expect(stored(door)).toEqual([1])
  })
})

describe('a client that gives up a number', () => {
  test('goes on at once after an answer that it was wrong', async () => {
    const door = new FakeDoor({ reject: ({ data }) => (data.t === 2 ? 'not that one' : undefined) })
    const http = await openDoor(door)

    const wrong = await post(http, linesOf(command(1), command(2), command(3)), numbered('plc', 1))
    const next = await post(http, linesOf(command(9)), numbered('plc', 40))

    expect(wrong).toMatchObject({ status: 400, lines: [{ line: 2, taken: 1 }] })
    expect(next.status).toBe(200)
    expect(stored(door)).toEqual([1, 9])
  })

  test('goes on with a later one after a while, when there was no room for it', async () => {
    const clock = new FakeClock()
    const door = new FakeDoor()
    const http = await openDoor(door, { clock, ratePerSecond: 1 })
    await post(http, linesOf(command(1)), numbered('plc', 1))
    expect((await post(http, linesOf(command(2)), numbered('plc', 2))).status).toBe(429)
    clock.advance(79_000)
    expect((await post(http, linesOf(command(3)), numbered('plc', 3))).status).toBe(429)

    clock.advance(1_000)

    expect((await post(http, linesOf(command(3)), numbered('plc', 3))).status).toBe(200)
  })
})
