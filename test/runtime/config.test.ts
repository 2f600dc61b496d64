import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { type ConfigRequest, type LoadedConfig, loadConfig, showOrigin } from '#runtime/config.js'
import { configJsonSchema } from '#runtime/config-json-schema.js'
import { KNOBS } from '#runtime/config-schema.js'
import { variableOf } from '#runtime/config-sources.js'
import { parseBytes, parseDuration } from '#runtime/config-units.js'

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('a configuration without a file or a variable', () => {
  test('is config/default.yaml, which says every knob', () => {
    const { config, origins, file } = load({})

    expect(file).toBeUndefined()
    expect([...origins.keys()]).toEqual([...KNOBS.keys()])
    expect([...origins.values()].every((origin) => origin.kind === 'default')).toBe(true)
    expect(config.bus.capacityBytes).toBe(4 * 1024 * 1024)
    expect(config.http.host).toBe('127.0.0.1')
  })

  test('is what config/config.schema.json describes', () => {
    const written = readFileSync(new URL('../../config/config.schema.json', import.meta.url), 'utf8')

    expect(JSON.parse(written), 'run: node .ci/write-config-schema.mjs').toEqual(configJsonSchema())
  })

  test('explains every knob in the JSON Schema', () => {
    const undescribed = leaves(configJsonSchema()).filter((leaf) => typeof leaf.schema['description'] !== 'string')

    expect(leaves(configJsonSchema()).map((leaf) => leaf.path)).toEqual([...KNOBS.keys()])
    expect(undescribed).toEqual([])
  })
})

describe('a configuration with a millrace.yaml', () => {
  test('takes what it says from there and the rest from the defaults', () => {
    const loaded = loadFile('# ours\nbus:\n  capacityBytes: 4MiB\nworkers:\n  count: 3\n')

    expect(loaded.config.bus.capacityBytes).toBe(4_194_304)
    expect(loaded.config.workers.count).toBe(3)
    expect(loaded.config.workers.snapshotEvery).toBe(1000)
    expect(originOf(loaded, 'bus.capacityBytes')).toMatch(/millrace\.yaml:3$/)
    expect(originOf(loaded, 'workers.count')).toMatch(/millrace\.yaml:5$/)
    expect(originOf(loaded, 'workers.snapshotEvery')).toBe('default')
  })

  test('finds it beside the plant file, and another one by name', () => {
    writeFileSync(join(folder, 'millrace.yaml'), 'workers: { count: 3 }')
    writeFileSync(join(folder, 'other.yaml'), 'workers: { count: 4 }')

    const beside = load({ plantFile: join(folder, 'plant.js') })
    const named = load({ plantFile: join(folder, 'plant.js'), configFile: join(folder, 'other.yaml') })

    expect(beside.config.workers.count).toBe(3)
    expect(named.config.workers.count).toBe(4)
  })

  test('may be empty, or have a group without a knob', () => {
    expect(loadFile('').config.workers.count).toBe(2)
    expect(loadFile('bus:\n  # capacityBytes: 8MiB\n').config.bus.capacityBytes).toBe(4_194_304)
  })

  test('takes TLS files from the folder of the file that names them', () => {
    const { config } = loadFile('http: { tls: { cert: tls/cert.pem, key: /etc/key.pem } }')

    expect(config.http.tls).toEqual({ cert: join(folder, 'tls/cert.pem'), key: '/etc/key.pem' })
  })
})

describe('a configuration with variables', () => {
  test('lets them override the file', () => {
    const loaded = loadFile('http: { port: 9000 }', { MILLRACE_HTTP__PORT: '9001', MILLRACE_BUS__CAPACITY_BYTES: '8MiB' })

    expect(loaded.config.http.port).toBe(9001)
    expect(loaded.config.bus.capacityBytes).toBe(8_388_608)
    expect(originOf(loaded, 'http.port')).toBe('variable MILLRACE_HTTP__PORT')
  })

  test('reads each as its knob wants it', () => {
    const { config } = load({
      env: { MILLRACE_METRICS__ENABLED: 'false', MILLRACE_HTTP__TOKEN: '1234567890123456', MILLRACE_BUS__STRATEGY: 'park' },
    })

    expect(config.metrics.enabled).toBe(false)
    expect(config.http.token).toBe('1234567890123456')
    expect(config.bus.strategy).toBe('park')
  })

  test('has one for every knob', () => {
    expect(variableOf('bus.capacityBytes')).toBe('MILLRACE_BUS__CAPACITY_BYTES')
    for (const path of KNOBS.keys()) {
      expect(() => load({ env: { [variableOf(path)]: '[{}]' } })).toThrow(`variable=${variableOf(path)}`)
    }
  })

  test('leaves alone what belongs to somebody else', () => {
    expect(load({ env: { MILLRACE_SOAK: '1', PATH: '/bin' } }).config.workers.count).toBe(2)
  })
})

describe('a configuration that is wrong', () => {
  test.each([
    ['bus:\n  capacityByte: 4MiB', 'no such configuration key at=FILE:2 key=bus.capacityByte: did you mean bus.capacityBytes'],
    ['worker:\n  count: 3', 'no such configuration key at=FILE:1 key=worker: did you mean workers'],
    ['count: 3', 'no such configuration key at=FILE:1 key=count: did you mean workers.count'],
    ['entirelyDifferent: 3', 'no such configuration key at=FILE:1 key=entirelyDifferent: see config/default.yaml for every key there is'],
    ['\n\nworkers:\n  count: 0', 'not a value for this key at=FILE:4 key=workers.count value=0: too small: expected number to be >=1'],
    ['workers:\n  count: two', 'at=FILE:2 key=workers.count value=two'],
    ['workers:\n  count:', 'at=FILE:2 key=workers.count value=null'],
    ['bus: { capacityBytes: 3MiB }', 'at=FILE:1 key=bus.capacityBytes value=3MiB: must be a power of two'],
    ['bus: { capacityBytes: 4 apples }', 'must be a size such as 4MiB, or a whole number from 4096 to 1073741824'],
    ['bus: { capacityBytes: 2GiB }', 'must be from 4096 to 1073741824'],
    ['processes: { pulseMs: 0.5us }', 'must be a time such as 100ms that comes to whole ms'],
    ['bus: fast', 'a group was given a value at=FILE:1 key=bus: put its knobs below it: capacityBytes, strategy, spinMicros'],
    ['- bus', 'a group was given a value at=FILE:1'],
    ['bus:\n  strategy: park\n  strategy: spin', 'not valid YAML: Map keys must be unique at=FILE:3'],
    ['bus: {', 'not valid YAML'],
    ['processes: { pulseMs: 2s }', 'must be at least twice processes.pulseMs, or healthy processes are replaced'],
    ['processes: { backoffMs: 20s }', 'must not be below processes.backoffMs'],
    ['workers: { count: 3, max: 2 }', 'must not be below workers.count at=FILE:1 key=workers.max value=2'],
    ['http: { tls: { cert: cert.pem } }', 'http.tls wants both cert and key, or neither at=FILE:1'],
  ])('refuses %j and says where', (text, message) => {
    const error = thrownBy(() => loadFile(text))

    expect(error.replaceAll(join(folder, 'millrace.yaml'), 'FILE')).toContain(message)
  })

  test.each([
    [
      { MILLRACE_BUS__CAPACITY_BYTE: '4MiB' },
      'no such configuration variable variable=MILLRACE_BUS__CAPACITY_BYTE: did you mean MILLRACE_BUS__CAPACITY_BYTES',
    ],
    [{ MILLRACE_HTTP_PORT: '80' }, 'not a variable that is read variable=MILLRACE_HTTP_PORT: say MILLRACE_HTTP__PORT'],
    [{ MILLRACE_HTTP__PORT: '99999' }, 'not a value for this key variable=MILLRACE_HTTP__PORT key=http.port value=99999'],
  ])('refuses the variable %j by its name', (env, message) => {
    expect(thrownBy(() => load({ env }))).toContain(message)
  })

  test('refuses a file that is not there', () => {
    expect(thrownBy(() => load({ configFile: join(folder, 'none.yaml') }))).toContain('the configuration file cannot be read')
  })

  test('never shows a token', () => {
    expect(thrownBy(() => loadFile('http: { token: hunter2 }'))).not.toContain('hunter2')
  })
})

describe('an HTTP door', () => {
  const TOKEN = '0123456789abcdef'
  const TLS = 'tls: { cert: cert.pem, key: key.pem }'

  test.each([['127.0.0.1'], ['127.8.9.1'], ['::1'], ['localhost']])('needs nothing on %s', (host) => {
    expect(loadFile(`http: { host: "${host}" }`).config.http.host).toBe(host)
  })

  test.each([
    ['0.0.0.0', ''],
    ['0.0.0.0', `, token: ${TOKEN}`],
    ['0.0.0.0', `, ${TLS}`],
    ['::', `, ${TLS}`],
    ['10.0.0.7', `, token: ${TOKEN}`],
    ['127.0.0.1.example.org', ''],
  ])('is refused on %s with only "%s"', (host, rest) => {
    expect(thrownBy(() => loadFile(`http: { host: "${host}"${rest} }`))).toContain(
      'an address that is not loopback needs http.token and http.tls',
    )
  })

  test('listens anywhere with a token and TLS', () => {
    expect(loadFile(`http: { host: 0.0.0.0, token: ${TOKEN}, ${TLS} }`).config.http.host).toBe('0.0.0.0')
  })
})

describe('a size and a time', () => {
  test.each([
    ['1B', 1],
    ['4KiB', 4096],
    ['1.5 KiB', 1536],
    ['4MB', 4_000_000],
    ['1GiB', 1_073_741_824],
    ['0.3B', undefined],
    ['4 mib', undefined],
    ['-1B', undefined],
    ['9999999999GiB', undefined],
  ])('%s is %s bytes', (text, value) => {
    expect(parseBytes(text)).toBe(value)
  })

  test.each([
    ['100ms', 100],
    ['1.5s', 1500],
    ['10min', 600_000],
    ['1h', 3_600_000],
    ['1500us', undefined],
    ['5', undefined],
  ])('%s is %s ms', (text, value) => {
    expect(parseDuration(text, 'ms')).toBe(value)
  })
})

function load(request: Partial<ConfigRequest>): LoadedConfig {
  return loadConfig({ env: {}, ...request })
}

function loadFile(text: string, env: Record<string, string> = {}): LoadedConfig {
  writeFileSync(join(folder, 'millrace.yaml'), text)
  return load({ plantFile: join(folder, 'plant.js'), env })
}

function originOf(loaded: LoadedConfig, path: string): string {
  const origin = loaded.origins.get(path)
  return origin === undefined ? 'none' : showOrigin(origin)
}

function thrownBy(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (!isMillraceError(error, 'ERR_CONFIG')) throw error
    expect(error.action).toBe('operator')
    return error.message
  }
  throw new Error('nothing was thrown')
}

function leaves(schema: Record<string, unknown>, prefix = ''): { path: string; schema: Record<string, unknown> }[] {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Record<string, unknown>>)
  return properties.flatMap(([name, property]) => {
    const path = `${prefix}${name}`
    return property['properties'] === undefined ? [{ path, schema: property }] : leaves(property, `${path}.`)
  })
}
