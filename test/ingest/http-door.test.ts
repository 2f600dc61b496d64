import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { request as tlsRequest } from 'node:https'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { SOON, temporaryDirectory } from './data.js'
import { FakeDoor, type FakeDoorOptions } from './fake-door.js'
import { command, linesOf, numbered, openDoor, post, RawConnection } from './http-client.js'

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

describe('a door with a token', () => {
  const token = 'secret-of-sixteen'
  const authorization = { authorization: `Bearer ${token}` }

  test('takes commands and shows guarded pages only with it', async () => {
    const http = await openDoor(new FakeDoor(), { token })

    expect((await post(http, linesOf(command(1)), authorization)).status).toBe(200)
    expect((await fetch(`${http.url}/metrics`)).status).toBe(401)
    expect(await (await fetch(`${http.url}/metrics`, { headers: authorization })).text()).toBe('m 1\n')
    expect(await (await fetch(`${http.url}/healthz`)).text()).toBe('alive\n')
  })

  test.each([
    ['none', {}],
    ['another', { authorization: 'Bearer secret-of-sixteeN' }],
    ['the start of it', { authorization: 'Bearer secret' }],
    ['more than it', { authorization: `Bearer ${token}x` }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['it without its scheme', { authorization: token }],
    ['it as a password', { authorization: `Basic ${token}` }],
  ])('refuses %s, and says nothing of what is there', async (_name, headers) => {
    const door = new FakeDoor()
    const http = await openDoor(door, { token })

    const answer = await post(http, linesOf(command(1)), headers)

    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect((await fetch(`${http.url}/nothing`)).status).toBe(401)
    expect(door.offers).toBe(0)
  })

  test('takes its scheme in any letters', async () => {
    const http = await openDoor(new FakeDoor(), { token })

    expect((await post(http, linesOf(command(1)), { authorization: `bearer ${token}` })).status).toBe(200)
  })
})

describe('a page of another site in a browser on this machine', () => {
  const fromPage = { origin: 'https://elsewhere.example', 'content-type': 'text/plain' }

  test('sends no commands to a door without a token', async () => {
    const door = new FakeDoor()
    const http = await openDoor(door)

    expect((await post(http, linesOf(command(1)), fromPage)).status).toBe(403)
    expect(door.offers).toBe(0)
  })

  test('is let in with the token', async () => {
    const http = await openDoor(new FakeDoor(), { token: 'secret-of-sixteen' })

    expect((await post(http, linesOf(command(1)), { ...fromPage, authorization: 'Bearer secret-of-sixteen' })).status).toBe(200)
  })
})

describe('a door with TLS', () => {
  const hasOpenssl = (() => {
    try {
      execFileSync('openssl', ['version'])
      return true
    } catch {
      return false
    }
  })()

  test.skipIf(!hasOpenssl)(`speaks https${hasOpenssl ? '' : ' (there is no openssl to make a certificate with)'}`, async () => {
    const directory = temporaryDirectory()
    const tls = { key: join(directory, 'key.pem'), cert: join(directory, 'cert.pem') }
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=localhost']
    execFileSync('openssl', [...args, '-keyout', tls.key, '-out', tls.cert], { stdio: 'ignore' })
    const http = await openDoor(new FakeDoor(), { tls, limits: { headersMs: 300, keepAliveMs: 50 } })

    const status = await new Promise((resolve, reject) => {
      const request = tlsRequest(`${http.url}/v1/commands`, { method: 'POST', rejectUnauthorized: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      request.on('error', reject)
      request.end(linesOf(command(1)))
    })

    expect(http.url).toMatch(/^https:/)
    expect(status).toBe(200)
    await expect(fetch(http.url.replace('https', 'http'))).rejects.toThrow('fetch failed')
    const silent = new RawConnection(http)
    await expect.poll(() => http.stats.connections, SOON).toBe(1)
    await expect.poll(() => silent.isClosed, SOON).toBe(true)
  })

  test('and files that are no certificate and key is refused with their names', async () => {
    const directory = temporaryDirectory()
    const tls = { key: join(directory, 'key.pem'), cert: join(directory, 'cert.pem') }
    const code = { code: 'ERR_HTTP_TLS', message: expect.stringContaining(tls.cert) as string }
    await expect(openDoor(new FakeDoor(), { tls })).rejects.toMatchObject(code)
    writeFileSync(tls.key, 'no key')
    writeFileSync(tls.cert, 'no certificate')

    await expect(openDoor(new FakeDoor(), { tls })).rejects.toMatchObject(code)
  })
})

describe('opening a door', () => {
  test('on an address of the network without token and TLS is refused', async () => {
    await expect(openDoor(new FakeDoor(), { host: '0.0.0.0' })).rejects.toMatchObject({ code: 'ERR_BIND_NOT_LOOPBACK' })
  })

  test('on a port that is taken says so', async () => {
    const first = await openDoor(new FakeDoor())

    await expect(openDoor(new FakeDoor(), { port: Number(new URL(first.url).port) })).rejects.toMatchObject({
      code: 'ERR_HTTP_LISTEN',
      message: expect.stringContaining('another program'),
    })
  })

  test('with a preferred port takes that when it is free, else another', async () => {
    const first = await openDoor(new FakeDoor())
    const preferredPort = Number(new URL(first.url).port)
    const beside = await openDoor(new FakeDoor(), { preferredPort })
    expect(beside.url).not.toBe(first.url)
    await first.close(0)

    const successor = await openDoor(new FakeDoor(), { preferredPort })

    expect(successor.url).toBe(first.url)
  })

  const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'))
  test.skipIf(!hasIpv6)(`on IPv6 says its address as a URL has it${hasIpv6 ? '' : ' (this machine has no ::1)'}`, async () => {
    const http = await openDoor(new FakeDoor(), { host: '::1' })

    expect(http.url).toMatch(/^http:\/\/\[::1\]:\d+$/)
    expect((await fetch(`${http.url}/healthz`)).status).toBe(200)
  })

  test('with room for two connections closes the third', async () => {
    const http = await openDoor(new FakeDoor(), { connectionsMax: 2 })
    const port = Number(new URL(http.url).port)
    const sockets = Array.from({ length: 3 }, () => connect(port, '127.0.0.1'))
    onTestFinished(() => sockets.forEach((socket) => socket.destroy()))
    const closed: number[] = []
    for (const [index, socket] of sockets.entries())
      socket
        .on('error', () => {})
        .on('close', () => closed.push(index))
        .resume()

    await expect.poll(() => closed, SOON).toEqual([2])
    expect(http.stats).toMatchObject({ connections: 2, dropped: 1 })
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
