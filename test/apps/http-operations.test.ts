import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as tlsRequest } from 'node:https'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { HTTP_LIMITS } from '#ingest/http-limits.js'
import { SOON } from '../ingest/data.js'
import { type HttpAnswer, linesOf, numbered, post, RawConnection, rawPost } from '../ingest/http-client.js'
import { UpPlant, type UpOptions } from './up-plant.js'

const sample = (number: number) => ({ entity: 'press/press-1', command: 'sample', data: { number, temperature: 20 } })

function up(options: UpOptions = {}): UpPlant {
  const plant = new UpPlant({ ...options, env: { MILLRACE_WORKERS__COUNT: '1', ...options.env } })
  onTestFinished(() => plant.remove())
  return plant
}

/** Another program on a port: any, or one that it insists on until it has it. */
async function otherProgram(port = 0): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server: Server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()))
  onTestFinished(close)
  return { port: (server.address() as { port: number }).port, close }
}

describe('a plant that is stopped', () => {
  test('answers the requests under way before it ends', async () => {
    const plant = await up({ env: { MILLRACE_PROCESSES__PULSE_LIMIT_MS: '10min', MILLRACE_PROCESSES__TURN_LIMIT_MS: '10min' } }).ready()
    const journal = await plant.pidOf('journal')
    process.kill(journal, 'SIGSTOP')
    const answers: Promise<HttpAnswer>[] = []
    try {
      answers.push(post(plant, linesOf(sample(1), sample(2)), numbered('a', 1)), post(plant, linesOf(sample(3))))
      const inFlight = async () => (await plant.metrics()).value('millrace_gateway_in_flight', { slot: '0' })
      await expect.poll(inFlight, SOON).toBe(3)
      plant.signal('SIGTERM')
      await expect.poll(() => fetch(`${plant.url}/healthz`).catch(() => 'closed'), SOON).toBe('closed')
    } finally {
      process.kill(journal, 'SIGCONT')
    }

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200])
    expect(await plant.ended).toBe(0)
    expect(new Set((await plant.rows()).map(({ data }) => data['number']))).toEqual(new Set([1, 2, 3]))
  })

  test('does not wait for connections on which nothing is asked', async () => {
    const plant = await up({ env: { MILLRACE_STOP__DRAIN_MS: '9min' } }).ready()
    const silent = new RawConnection(plant)
    const slow = new RawConnection(plant).write(rawPost(linesOf(sample(1))).slice(0, 40))
    await expect.poll(async () => (await plant.metrics()).value('millrace_http_connections', {}), SOON).toBeGreaterThanOrEqual(2)

    const askedMs = performance.now()
    plant.signal('SIGTERM')

    expect(await plant.ended).toBe(0)
    expect(performance.now() - askedMs).toBeLessThan(HTTP_LIMITS.headersMs)
    expect([silent.isClosed, slow.isClosed]).toEqual([true, true])
  })
})

describe('a port that another program has', () => {
  test('keeps a plant from starting, and `up` says so and ends', async () => {
    const { port } = await otherProgram()
    const plant = up({ env: { MILLRACE_HTTP__PORT: String(port) } })

    expect(await plant.ended).toBe(1)
    expect(plant.stderr.trim().split('\n').at(-1)).toBe(
      `millrace: another program listens on the port of the HTTP door host=127.0.0.1 port=${port}: set http.port to a free one, or to 0 for any`,
    )
  })

  test('is told as JSON to whoever wants that', async () => {
    const { port } = await otherProgram()
    const plant = up({ env: { MILLRACE_HTTP__PORT: String(port) }, isJson: true })

    expect(await plant.ended).toBe(1)
    expect(JSON.parse(plant.stdout)).toEqual({ error: { code: 'ERR_HTTP_LISTEN', message: expect.stringContaining(`port=${port}`) } })
  })

  test('while a plant runs is told, and its gateway comes back once the port is free', async () => {
    const free = await otherProgram()
    await free.close()
    // Without a spare the port is free for long enough to be taken.
    const plant = await up({ env: { MILLRACE_HTTP__PORT: String(free.port), MILLRACE_PROCESSES__SPARES: '0' } }).ready()
    await plant.kill('gateway')
    const thief = await stealing(free.port)

    await expect.poll(() => plant.stderr, SOON).toContain(`ERR_HTTP_LISTEN: another program listens on the port of the HTTP door`)
    await thief.close()

    await expect.poll(async () => (await plant.status()).ready).toBe(true)
    expect((await post(plant, linesOf(sample(1)))).status).toBe(200)
  })

  test('that was free to choose is the same after a gateway was replaced', async () => {
    const plant = await up().ready()
    const { url } = plant

    await plant.killAndReplace('gateway')

    expect(plant.url).toBe(url)
    expect((await post({ url }, linesOf(sample(1)))).status).toBe(200)
  })
})

/** Takes a port as soon as its holder is gone. */
async function stealing(port: number): Promise<{ close(): Promise<void> }> {
  for (;;) {
    const taken = await otherProgram(port).catch(() => undefined)
    if (taken !== undefined) return taken
  }
}

describe('an address that others reach', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  const tls = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  const token = 'a-token-of-some-length'
  const guarded = {
    MILLRACE_HTTP__HOST: '0.0.0.0',
    MILLRACE_HTTP__TOKEN: token,
    MILLRACE_HTTP__TLS__CERT: tls.cert,
    MILLRACE_HTTP__TLS__KEY: tls.key,
  }

  test('without token and TLS is refused by name', async () => {
    const plant = up({ env: { MILLRACE_HTTP__HOST: '0.0.0.0' } })

    expect(await plant.ended).toBe(1)
    expect(plant.stderr).toContain('an address that is not loopback needs http.token and http.tls')
    expect(plant.stderr).toContain('MILLRACE_HTTP__HOST')
  })

  test('with files that are no certificate is refused by name', async () => {
    const plant = up({ env: { ...guarded, MILLRACE_HTTP__TLS__CERT: join(directory, 'nothing.pem') } })

    expect(await plant.ended).toBe(1)
    expect(plant.stderr).toContain('nothing.pem')
  })

  const hasOpenssl = spawnSync('openssl', ['version']).status === 0
  test.skipIf(!hasOpenssl)(`serves with both${hasOpenssl ? '' : ' (there is no openssl to make a certificate with)'}`, async () => {
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=localhost']
    execFileSync('openssl', [...args, '-keyout', tls.key, '-out', tls.cert], { stdio: 'ignore' })
    const plant = await up({ env: guarded }).ready()
    const url = plant.url.replace('0.0.0.0', '127.0.0.1')
    const ask = (path: string, method: string, headers: Record<string, string>, body?: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const request = tlsRequest(`${url}${path}`, { method, headers, rejectUnauthorized: false }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        request.on('error', reject)
        request.end(body)
      })
    const authorization = `Bearer ${token}`

    expect(url).toMatch(/^https:/)
    expect(await ask('/v1/commands', 'POST', {}, linesOf(sample(1)))).toBe(401)
    expect(await ask('/v1/commands', 'POST', { authorization }, linesOf(sample(1)))).toBe(200)
    expect(await ask('/metrics', 'GET', {})).toBe(401)
    expect(await ask('/metrics', 'GET', { authorization })).toBe(200)
    expect(await ask('/healthz', 'GET', {})).toBe(200)
    expect(await ask('/readyz', 'GET', {})).toBe(200)
  })
})
