import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { parseMap } from '#ingest/map-file.js'
import { mqtt, type MqttOptions } from '#ingest/mqtt.js'
import { rejectLine, RejectFile } from '#ingest/mqtt-rejects.js'
import { pressMap, temporaryDirectory } from './data.js'
import { FakeDoor } from './fake-door.js'
import { PRESS_JSON_MAP } from './mqtt-under-test.js'
import { until } from '../shm/until.js'

const MAP = parseMap(PRESS_JSON_MAP, 'press.map.yaml')
const RIGHT: MqttOptions = { url: 'mqtt://localhost', topic: 'factory/+/sample', map: MAP }

function start(options: MqttOptions) {
  return mqtt(options).start({ door: new FakeDoor(), clock: systemClock, log: () => {}, directory: temporaryDirectory() })
}

describe('options of an MQTT source', () => {
  test('give it a name of its own, from broker and topic', () => {
    const names = [RIGHT, { ...RIGHT, topic: 'factory/#' }, { ...RIGHT, url: 'mqtt://localhost:1884' }].map((options) => mqtt(options).name)

    expect(names[0]).toMatch(/^mqtt-localhost-factory-any-sample-[0-9a-f]{8}$/)
    expect(new Set(names).size).toBe(3)
  })

  test.each<[string, Partial<MqttOptions>, RegExp]>([
    ['an address without scheme', { url: 'localhost:1883' }, /^not the address of a broker/],
    ['an address of another kind', { url: 'http://localhost' }, /^not the address of a broker/],
    ['a client id in the address', { url: 'mqtt://localhost?clientId=x' }, /^the address holds a client id/],
    ['no topic', { topic: [] }, /^there is no topic/],
    ['a wrong filter', { topic: ['a', 'b/#/c'] }, /^not a topic filter/],
    ['a shared subscription', { topic: '$share/g/a' }, /in no order/],
    ['a reject topic with a wildcard', { rejectTopic: 'a/+' }, /^not a topic for rejects/],
    ['a reject topic that is subscribed', { topic: 'factory/#', rejectTopic: 'factory/rejects' }, /^rejects would come back as messages/],
    ['a name with a slash', { name: '../etc' }, /^not a name for a source/],
    ['an empty client id', { clientId: '' }, /^an empty client id/],
    ['a receive maximum of 0', { receiveMaximum: 0 }, /^not a receive maximum/],
    ['a receive maximum with MQTT 3.1.1', { receiveMaximum: 10, protocolVersion: 4 }, /^receiveMaximum is of MQTT 5/],
    ['an authority without TLS', { ca: 'ca.pem' }, /^ca is for TLS, and the address is not/],
    ['a certificate without its key', { url: 'mqtts://localhost', cert: 'c.pem' }, /^a client certificate and its key go together/],
  ])('are refused with %s', (_name, wrong, message) => {
    expect(() => mqtt({ ...RIGHT, ...wrong })).toThrow(
      expect.objectContaining({ code: 'ERR_MQTT_OPTIONS', message: expect.stringMatching(message) as string }),
    )
  })

  test('never print the password of an address', () => {
    expect(() => mqtt({ ...RIGHT, url: 'http://me:secret@localhost' })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') as string }),
    )
  })

  test.each<[string, Partial<MqttOptions>, string]>([
    ['a map for files', { map: pressMap() }, 'ERR_MAP_FILE'],
    ['a map that is not there', { map: '/nowhere/press.map.yaml' }, 'ERR_MAP_FILE'],
    ['a certificate that is not there', { url: 'mqtts://localhost', ca: '/nowhere/ca.pem' }, 'ERR_MQTT_OPTIONS'],
    [
      'a sequence in a user property with MQTT 3.1.1',
      { map: parseMap(PRESS_JSON_MAP.replace('{ path: seq }', '{ property: seq }'), 'x'), protocolVersion: 4 },
      'ERR_MQTT_OPTIONS',
    ],
  ])('do not start with %s', async (_name, wrong, code) => {
    await expect(start({ ...RIGHT, ...wrong })).rejects.toMatchObject({ code })
  })
})

describe('a rejected message', () => {
  const reject = (payload: Uint8Array) => ({ topic: 'a/b', kind: 'malformed', reason: 'because', payload }) as const

  test('is a line of JSON with its text, or with base64 where it has none', () => {
    expect(JSON.parse(rejectLine('presses', 1_583_748_873_123_456, reject(Buffer.from('{"a":"°"'))))).toEqual({
      source: 'presses',
      at: '2020-03-09T10:14:33.123Z',
      topic: 'a/b',
      kind: 'malformed',
      reason: 'because',
      bytes: 9,
      encoding: 'utf-8',
      payload: '{"a":"°"',
    })
    expect(JSON.parse(rejectLine('presses', 0, reject(Buffer.of(0xff, 0))))).toMatchObject({
      bytes: 2,
      encoding: 'base64',
      payload: '/wA=',
    })
  })

  test('that is long is cut, never inside a character', () => {
    const line = JSON.parse(rejectLine('presses', 0, reject(Buffer.from(`x${'°'.repeat(100_000)}`)))) as {
      bytes: number
      encoding: string
      payload: string
    }

    expect(line).toMatchObject({ bytes: 200_001, encoding: 'utf-8' })
    expect(line.payload).toBe(`x${'°'.repeat(32_767)}`)
  })

  test('waits while its file cannot be written, and is told once it is there', async () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'rejects.jsonl')
    mkdirSync(path)
    const told: string[] = []
    const file = new RejectFile({ path, source: 'presses', clock: systemClock, log: (level, message) => told.push(`${level} ${message}`) })

    let isSafe = false
    const adding = file.add(reject(Buffer.from('x'))).then(() => (isSafe = true))
    await until('the failure is told', () => told.length > 0)
    const whileBlocked = isSafe
    rmdirSync(path)
    await adding
    await file.close()

    expect(whileBlocked).toBe(false)
    expect(told[0]).toBe('error a rejected message cannot be written down, so it is not acknowledged')
    expect(readFileSync(path, 'utf8')).toMatch(/"payload":"x"\}\n$/)
  })

  test('does not stick to half a line that a crash left', async () => {
    const path = join(temporaryDirectory(), 'rejects.jsonl')
    writeFileSync(path, '{"source":"pre')
    const file = new RejectFile({ path, source: 'presses', clock: systemClock, log: () => {} })

    await Promise.all([file.add(reject(Buffer.from('x'))), file.add(reject(Buffer.from('y')))])
    await file.close()

    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect(lines.slice(1).map((line) => (JSON.parse(line) as { payload: string }).payload)).toEqual(['x', 'y'])
  })
})
