import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { unpack } from '#base/pack.js'
import { attempt } from '#effects/attempt.js'
import { idempotencyKey } from '#effects/effect-job.js'
import type { HttpReply } from '#effects/http-post.js'
import { post } from '#effects/http-request.js'
import type { EffectTarget } from '#entity/effect.js'
import { PostBox } from './post-box.js'

const KEY = 'press/press-1:17:lk3'
let box: PostBox

beforeEach(async () => {
  box = await PostBox.open()
})

afterEach(() => box.close())

function targetAt(url: string, headers: Record<string, string> = {}): EffectTarget {
  return { name: 'pager', url: new URL(url), headers, responseBytesMax: 1000 }
}

/** What a POST comes to: its reply, or code, message and whether it is final. */
async function posted(target: EffectTarget, path = '/x', timeoutMs = 2000): Promise<unknown> {
  const context = { key: KEY, entity: 'press/press-1', at: 0, correlation: 'c-1', attempt: 1, target }
  const { end } = attempt((signal) => post(path, { n: 1 }, { ...context, signal }), timeoutMs, systemClock)
  const { reply, failure } = { reply: undefined, failure: undefined, ...(await end) }
  if (failure === undefined) return unpack<HttpReply>(reply ?? new Uint8Array(0))
  const { code, isFinal, afterMs, detail } = failure
  return { code, isFinal, ...(afterMs === 0 ? {} : { afterMs }), ...(detail === undefined ? {} : { detail }) }
}

describe('a POST', () => {
  test('says what it is, and has the headers of its target and not those that data would like', async () => {
    await posted(targetAt(`${box.url}/api/`, { authorization: 'Bearer s3cret', 'idempotency-key': 'mine' }), 'alarms?a=1')

    expect(box.posted[0]).toMatchObject({ path: '/api/alarms?a=1', key: KEY, body: { n: 1 } })
    expect(box.posted[0]?.headers).toMatchObject({
      authorization: 'Bearer s3cret',
      'content-type': 'application/json',
      'x-correlation-id': 'c-1',
    })
  })

  test.each([
    [200, { 'content-type': 'application/json' }, '{"id":7}', { status: 200, body: { id: 7 }, isCut: false }],
    [201, { 'content-type': 'application/json' }, '{"id":', { status: 201, body: '{"id":', isCut: false }],
    [202, {}, 'taken', { status: 202, body: 'taken', isCut: false }],
    [204, {}, '', { status: 204, body: undefined, isCut: false }],
    [200, {}, 'x'.repeat(5000), { status: 200, body: 'x'.repeat(1000), isCut: true }],
    [
      301,
      { location: 'http://elsewhere/' },
      '',
      { code: 'HTTP_301', isFinal: true, detail: { status: 301, body: '', location: 'http://elsewhere/' } },
    ],
    [404, {}, 'who?', { code: 'HTTP_404', isFinal: true, detail: { status: 404, body: 'who?' } }],
    [408, {}, '', { code: 'HTTP_408', isFinal: false, detail: { status: 408, body: '' } }],
    [429, { 'retry-after': '7' }, '', { code: 'HTTP_429', isFinal: false, afterMs: 7000, detail: { status: 429, body: '' } }],
    [503, { 'retry-after': 'soon' }, '', { code: 'HTTP_503', isFinal: false, detail: { status: 503, body: '' } }],
  ])('that is answered with %i comes to what that means', async (status, headers, body, expected) => {
    box.answer = (_, response) => void response.writeHead(status, headers).end(body)

    expect(await posted(targetAt(box.url))).toEqual(expected)
    expect(box.posted).toHaveLength(1)
  })

  test('waits until the date that the target names, by its own clock', async () => {
    const headers = { date: 'Sun, 22 Nov 2026 04:00:00 GMT', 'retry-after': 'Sun, 22 Nov 2026 04:01:00 GMT' }
    box.answer = (_, response) => void response.writeHead(503, headers).end()

    expect(await posted(targetAt(box.url))).toMatchObject({ afterMs: 60_000 })
  })

  test.each(['//elsewhere/x', '/../x', 'http://elsewhere/x', '/%2e%2e/x'])(
    'to %s goes nowhere else than below its target',
    async (path) => {
      const came = await posted(targetAt(`${box.url}/api`), path)

      expect(box.posted.every((one) => one.path.startsWith('/api/'))).toBe(true)
      if (box.posted.length === 0) expect(came).toMatchObject({ code: 'WRONG_PATH', isFinal: true })
    },
  )

  test('to a port where nobody listens is tried again', async () => {
    const url = box.url
    await box.close()

    expect(await posted(targetAt(url))).toMatchObject({ code: 'ECONNREFUSED', isFinal: false })
    box = await PostBox.open()
  })

  test('that is never answered is over when its time is', async () => {
    box.answer = () => {}

    expect(await posted(targetAt(box.url), '/x', 50)).toMatchObject({ code: 'TIMED_OUT', isFinal: false })
  })

  test('is done once its status has come, whatever becomes of the body', async () => {
    box.answer = (_, response) => void response.writeHead(200, { 'content-length': '500' }).write('half')

    expect(await posted(targetAt(box.url), '/x', 200)).toEqual({ status: 200, body: 'half', isCut: true })
  })
})

describe('a target that speaks no HTTP', () => {
  test.each([
    ['garbage', (socket: Socket) => void socket.write('\u0000\u0001 what is this?\r\n\r\n')],
    ['a header without an end', (socket: Socket) => void socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`)],
    ['nothing, and hangs up', (socket: Socket) => void socket.destroy()],
    ['half a status line, and hangs up', (socket: Socket) => void socket.end('HTTP/1.1 2')],
  ])('and answers %s is tried again', async (_, answer) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => answer(socket))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo

    expect(await posted(targetAt(`http://127.0.0.1:${port}`))).toMatchObject({ isFinal: false })
    server.close()
  })
})

describe('the key of an effect', () => {
  test.each([
    [{ entity: 'press/press-1', number: 17, at: 36 }, 'press/press-1:17:10'],
    [{ entity: 'press/prëss 1', number: 1, at: 0 }, 'press/pr%C3%ABss%201:1:0'],
  ])('of %j is %s', (effect, key) => {
    expect(idempotencyKey(effect)).toBe(key)
  })

  test('is short however long the name is', () => {
    const key = idempotencyKey({ entity: `press/${'ë'.repeat(90)}`, number: 1, at: 0 })

    expect(key).toMatch(/^[0-9a-f]{64}$/)
    expect(idempotencyKey({ entity: `press/${'ë'.repeat(90)}`, number: 2, at: 0 })).not.toBe(key)
  })
})
