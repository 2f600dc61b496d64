import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MillraceError } from '#base/errors.js'
import { ControlClient, callControl, streamControl } from '#processes/control-client.js'
import { type ControlMethod, type ControlServer, connectControl, serveControl } from '#processes/control-socket.js'

let directory: string
const servers: ControlServer[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-control-'))
})

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
  rmSync(directory, { recursive: true, force: true })
})

describe('a control socket', () => {
  test('answers calls that run side by side, each with its own value', async () => {
    const path = await serve({ double: (args) => (args as number) * 2, later: async (args) => args })
    const client = await ControlClient.open(path)

    const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => client.call(n % 2 === 0 ? 'double' : 'later', n)))

    expect(answers).toEqual(Array.from({ length: 200 }, (_, n) => (n % 2 === 0 ? n * 2 : n)))
    client.close()
  })

  test('is for its owner alone', async () => {
    expect(statSync(await serve({})).mode & 0o777).toBe(0o600)
  })

  test('carries an error with its code, action and values', async () => {
    const path = await serve({
      fail: () => {
        throw new MillraceError('ERR_DISK', { fact: 'the disk is full', action: 'retry', values: { freeBytes: 3 }, next: 'make room' })
      },
    })

    await expect(callControl(path, 'fail')).rejects.toMatchObject({
      code: 'ERR_DISK',
      action: 'retry',
      values: { freeBytes: 3 },
      message: 'the disk is full freeBytes=3: make room',
    })
  })

  test('names the methods it has to who asks for another', async () => {
    const path = await serve({ status: () => 1, stop: () => 2 })

    await expect(callControl(path, 'toString')).rejects.toMatchObject({
      code: 'ERR_CONTROL_METHOD',
      message: expect.stringContaining('status,stop'),
    })
  })

  test('gives up on an answer that does not come in time, and aborts the method', async () => {
    let isAborted = false
    const path = await serve({
      hang: (_, signal) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            isAborted = true
            resolve(undefined)
          }),
        ),
    })
    const client = await ControlClient.open(path)

    await expect(client.call('hang', {}, 30)).rejects.toMatchObject({ code: 'ERR_CONTROL_TIMEOUT' })

    await expect.poll(() => isAborted).toBe(true)
    client.close()
  })

  test('tells callers when it closes', async () => {
    const path = await serve({ hang: () => new Promise(() => undefined) })
    const code = callControl(path, 'hang').catch((error) => error.code)

    await expect.poll(() => callControl(path, 'hang', {}, 1).catch((error) => error.code)).toBe('ERR_CONTROL_TIMEOUT')
    await servers.splice(0)[0]?.close()

    expect(await code).toBe('ERR_CONTROL_LOST')
    expect(existsSync(path)).toBe(false)
  })

  test('drops who sends no requests, with the reason', async () => {
    const path = await serve({})
    const said: Buffer[] = []

    const socket = createConnection(path).on('data', (piece) => said.push(piece))
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await new Promise((resolve) => socket.on('close', resolve))

    expect(Buffer.concat(said).toString()).toContain('ERR_LINE_GARBLED')
  })
})

describe('a streaming method', () => {
  test('gives all its values in order and then ends', async () => {
    const path = await serve({ count: countTo })

    expect(await collect(streamControl(path, 'count', 10_000))).toEqual(Array.from({ length: 10_000 }, (_, n) => n))
  })

  test('waits for a reader that is slow', async () => {
    let produced = 0
    const path = await serve({
      bulk: async function* () {
        for (; produced < 2000; produced++) yield 'x'.repeat(10_000)
      },
    })

    const stream = streamControl(path, 'bulk')
    await stream.next()
    let last = -1
    await vi.waitFor(() => {
      const before = last
      last = produced
      expect(produced).toBe(before)
    }, 60_000)

    expect(produced).toBeLessThan(1500)
    expect((await collect(stream)).length).toBe(1999)
  })

  test('does not hold its server up when it stands still', async () => {
    const path = await serve({
      bulk: async function* () {
        for (;;) yield 'x'.repeat(100_000)
      },
    })
    const socket = await connectControl(path)
    socket.pause()
    socket.write('{"id":1,"name":"bulk","args":{}}\n')
    await callControl(path, 'bulk')

    await expect(Promise.all(servers.splice(0).map((server) => server.close()))).resolves.toHaveLength(1)

    socket.destroy()
  })

  test('makes nothing for which its reader has given no credit', async () => {
    const made: number[] = []
    const path = await serve({
      numbers: async function* () {
        for (let n = 0; n < 50; n++) {
          made.push(n)
          yield n
        }
      },
      beat: () => made.length,
    })
    const stream = streamControl(path, 'numbers', {}, { aheadMax: 1 })

    await stream.next()
    await expect.poll(() => made).toEqual([0, 1])
    // By the time that some calls were answered, a third one would have been made.
    for (let calls = 0; calls < 5; calls++) expect(await callControl(path, 'beat')).toBe(2)

    expect(await collect(stream)).toHaveLength(49)
  })

  test('ends while it waits when its reader says so', async () => {
    let isOver = false
    const path = await serve({
      silence: async function* (_, signal) {
        yield 'here'
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
        isOver = true
      },
    })
    const stop = new AbortController()
    const stream = streamControl(path, 'silence', {}, { aheadMax: 1, signal: stop.signal })
    expect(await stream.next()).toEqual({ done: false, value: 'here' })

    const end = stream.next()
    stop.abort()

    expect(await end).toEqual({ done: true, value: undefined })
    await expect.poll(() => isOver).toBe(true)
  })

  test('is aborted when its reader leaves', async () => {
    let isAborted = false
    const path = await serve({
      forever: async function* (_, signal) {
        signal.addEventListener('abort', () => {
          isAborted = true
        })
        for (let n = 0; !signal.aborted; n++) yield n
      },
    })

    for await (const value of streamControl(path, 'forever')) if (value === 5) break

    await expect.poll(() => isAborted).toBe(true)
  })

  test('ends with the error that it met, after the values before', async () => {
    const path = await serve({
      breaks: async function* () {
        yield 1
        throw new MillraceError('ERR_BLOCK_DAMAGED', { fact: 'a block is damaged', action: 'operator' })
      },
    })
    const seen: unknown[] = []

    const reading = (async () => {
      for await (const value of streamControl(path, 'breaks')) seen.push(value)
    })()

    await expect(reading).rejects.toMatchObject({ code: 'ERR_BLOCK_DAMAGED' })
    expect(seen).toEqual([1])
  })
})

describe('the path of a control socket', () => {
  test('may be longer than the kernel allows for one', async () => {
    const deep = join(directory, ...Array.from({ length: 6 }, (_, n) => `${n}-${'long-directory-name'.repeat(4)}`))
    mkdirSync(deep, { recursive: true })
    const path = join(deep, 'supervisor.sock')
    expect(Buffer.byteLength(path)).toBeGreaterThan(400)

    await serve({ whoami: () => 'deep' }, path)

    expect(await callControl(path, 'whoami')).toBe('deep')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    await expect(serveControl(path, {})).rejects.toMatchObject({ code: 'ERR_SOCKET_HELD' })
    await servers.splice(0)[0]?.close()
    expect(existsSync(path)).toBe(false)
  })

  test('is refused while somebody listens there, who goes on listening', async () => {
    const path = await serve({ whoami: () => 'first' })

    await expect(serveControl(path, { whoami: () => 'second' })).rejects.toMatchObject({ code: 'ERR_SOCKET_HELD' })

    expect(await callControl(path, 'whoami')).toBe('first')
  })

  test('is taken over from a process that died', async () => {
    const path = join(directory, 'stale.sock')
    await leaveStale(path)
    await expect(connectControl(path)).rejects.toMatchObject({ code: 'ERR_SOCKET_ABSENT' })

    await serve({ whoami: () => 'next' }, path)

    expect(await callControl(path, 'whoami')).toBe('next')
  })

  test('in a directory that is not there is an error that names it', async () => {
    const path = join(directory, 'absent', 'supervisor.sock')

    await expect(serveControl(path, {})).rejects.toMatchObject({ code: 'ERR_SOCKET_LISTEN', message: expect.stringContaining(path) })
    await expect(callControl(path, 'status')).rejects.toMatchObject({ code: 'ERR_SOCKET_ABSENT' })
  })
})

async function serve(methods: Record<string, ControlMethod>, path = join(directory, 'control.sock')): Promise<string> {
  servers.push(await serveControl(path, methods))
  return path
}

async function* countTo(end: unknown): AsyncGenerator<number> {
  for (let n = 0; n < (end as number); n++) yield n
}

async function collect(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const values: unknown[] = []
  for await (const value of stream) values.push(value)
  return values
}

/** A socket file that nobody listens on, as SIGKILL leaves it: the listener closes another path than the one that it made. */
async function leaveStale(path: string): Promise<void> {
  const { renameSync } = await import('node:fs')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(`${path}.made`, resolve))
  renameSync(`${path}.made`, path)
  await new Promise((resolve) => server.close(resolve))
}
