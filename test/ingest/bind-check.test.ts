import { describe, expect, test } from 'vitest'
import { checkBind } from '#ingest/bind-check.js'

describe('an address that only this machine reaches', () => {
  test.each(['127.0.0.1', '127.3.2.1', '::1', 'localhost'])('%s needs neither token nor TLS', (host) => {
    expect(() => checkBind({ host, hasToken: false, hasTls: false })).not.toThrow()
  })
})

describe('an address that others reach', () => {
  const hosts = ['0.0.0.0', '::', '192.168.1.10', '127.example.com', '::ffff:10.0.0.1', 'plant.example.com', '']
  const guards = [
    [false, false],
    [true, false],
    [false, true],
  ] as const
  test.each(hosts.flatMap((host) => guards.map(([hasToken, hasTls]) => ({ host, hasToken, hasTls }))))(
    'is refused as $host with token $hasToken and TLS $hasTls',
    (bind) => {
      expect(() => checkBind(bind)).toThrow(expect.objectContaining({ code: 'ERR_BIND_NOT_LOOPBACK' }))
    },
  )

  test.each(hosts)('may be %s behind both', (host) => {
    expect(() => checkBind({ host, hasToken: true, hasTls: true })).not.toThrow()
  })
})
