import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { request as tlsRequest } from 'node:https'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SOON, temporaryDirectory } from './data.js'
import { FakeDoor } from './fake-door.js'
import { command, linesOf, openDoor, post, RawConnection } from './http-client.js'

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
