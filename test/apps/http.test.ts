import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SOON } from '../ingest/data.js'
import { type HttpAnswer, linesOf, numbered, post, RawConnection, rawPost } from '../ingest/http-client.js'
import { soakSeed, soakTimes } from '../soak.js'
import { exactJson } from '#base/exact-json.js'
import { Prng } from '#base/prng.js'
import type { Role } from '#processes/process-role.js'
import { pause, UpPlant } from './up-plant.js'

const WORKERS = 2
/** Processes are stopped for a while in here, which must not look like a hang; a worker's end shows, there being no spare. */
const ENV = {
  MILLRACE_PROCESSES__PULSE_LIMIT_MS: '10min',
  MILLRACE_PROCESSES__TURN_LIMIT_MS: '10min',
  MILLRACE_PROCESSES__SPARES: '0',
  MILLRACE_WORKERS__COUNT: String(WORKERS),
}
const KILLS = soakTimes({ smoke: 6, full: 300 })

const sample = (number: number, press = 'press-1', temperature = 20) => ({
  entity: `press/${press}`,
  command: 'sample',
  data: { number, temperature },
})

let plant: UpPlant

beforeAll(async () => {
  plant = await new UpPlant({ env: ENV }).ready()
})

afterAll(() => plant.remove())

/** Runs while the process is stopped, as if it were out of breath. */
async function whileStopped<T>(role: Role, work: () => Promise<T>): Promise<T> {
  const pid = await plant.pidOf(role)
  process.kill(pid, 'SIGSTOP')
  try {
    return await work()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

async function inFlight(): Promise<number> {
  return (await plant.metrics()).value('millrace_gateway_in_flight', { slot: '0' })
}

describe('commands by HTTP to a plant of processes', () => {
  test('are answered with what each came to, and are in the log by then', async () => {
    const body = linesOf(sample(1), sample(2, 'press-1', 2000), { entity: 'press/press-1', command: 'stumble' }, sample(3))

    const { status, lines } = await post(plant, body)

    expect(status).toBe(200)
    expect(lines).toEqual([
      { ok: true, version: 1, reply: { count: 1 } },
      { ok: false, version: 2, refused: 'MELTED', detail: { count: 1 } },
      { ok: false, error: 'DECIDE_FAILED: over its feet' },
      { ok: true, version: 4, reply: { count: 2 } },
    ])
    expect((await plant.rows()).map(({ entity, version, data }) => [entity, version, data['number']])).toEqual([
      ['press/press-1', 1, 1],
      ['press/press-1', 2, undefined],
      ['press/press-1', 3, undefined],
      ['press/press-1', 4, 3],
    ])
  })

  const of = (command: string, data: object) => ({ entity: 'press/press-9', command, data })
  test.each([
    ['an unknown type', { entity: 'pump/1', command: 'sample' }, 'there is no entity type pump'],
    ['an unknown command', of('explode', {}), 'press has no command explode'],
    ['a field too much', of('sample', { number: 1, temperature: 1, pressure: 1 }), 'pressure: unknown field'],
    ['a field too few', of('sample', { number: 1 }), 'temperature: missing'],
    ['a text in a number', of('sample', { number: 1, temperature: 'hot' }), "temperature: expected a number, got 'hot'"],
    ['a whole number beyond the safe ones', of('sample', { number: 2 ** 60, temperature: 1 }), 'number: expected'],
    ['a prototype as data', of('note', JSON.parse('{"__proto__":{"text":"x"}}') as object), '__proto__: unknown field'],
    ['a text larger than a field', of('note', { text: 'x'.repeat(300_000) }), 'more than the'],
    ['no entity id', { entity: 'press', command: 'sample', data: {} }, 'it has no slash'],
  ])('with %s are refused from that line on', async (name, bad, error) => {
    const own = name.replaceAll(' ', '-')

    const { status, lines } = await post(plant, `\n${linesOf(sample(1, own), bad, sample(2, own))}`)

    expect(status).toBe(400)
    expect(lines).toEqual([
      { error: expect.stringContaining(error), line: 3, taken: 1, answers: [{ ok: true, version: 1, reply: { count: 1 } }] },
    ])
  })

  test('keep every double, those beside the numbers of JSON too', async () => {
    const temperatures = ['NaN', '-Infinity', -0, 5e-324, 0.1 + 0.2]
    const lines = temperatures.map(
      (temperature, n) => `{"entity":"press/exact","command":"sample","data":{"number":${n},"temperature":${exactJson(temperature)}}}`,
    )

    expect((await post(plant, lines.join('\n'))).status).toBe(200)

    const rows = (await plant.rows()).filter(({ entity }) => entity === 'press/exact')
    expect(rows.map(({ data }) => data['temperature'])).toEqual([Number.NaN, Number.NEGATIVE_INFINITY, -0, 5e-324, 0.1 + 0.2])
  })

  test('may come packed', async () => {
    const { status, lines } = await post(plant, gzipSync(linesOf(sample(1, 'packed'))), { 'content-encoding': 'gzip' })

    expect({ status, lines }).toMatchObject({ status: 200, lines: [{ ok: true }] })
  })

  test('without a source take effect each time, and are counted', async () => {
    const before = (await plant.metrics()).value('millrace_gateway_unnumbered_total', { slot: '0' })

    await post(plant, linesOf(sample(1, 'twice')))
    const { lines } = await post(plant, linesOf(sample(1, 'twice')))

    expect(lines).toEqual([{ ok: true, version: 2, reply: { count: 2 } }])
    expect((await plant.metrics()).value('millrace_gateway_unnumbered_total', { slot: '0' })).toBe(before + 2)
  })
})

describe('a request under way while the journal cannot store', () => {
  test('is answered when all of it is durable', async () => {
    let isAnswered = false
    let answering: Promise<HttpAnswer> | undefined
    await whileStopped('journal', async () => {
      answering = post(plant, linesOf(sample(1, 'slow'), sample(2, 'slow'))).finally(() => (isAnswered = true))
      await expect.poll(inFlight, SOON).toBe(2)
      // Long enough for an answer that did not wait.
      for (let turn = 0; turn < 20; turn++) await pause()
      expect(isAnswered).toBe(false)
    })

    expect(await answering).toMatchObject({ status: 200, lines: [{ version: 1 }, { version: 2 }] })
  })

  test('is answered 429 with what was taken, once that is durable, when there is room for no more', async () => {
    const commands = Array.from({ length: 20 }, (_, n) => sample(n + 1, 'full'))
    let first: Promise<HttpAnswer> | undefined
    let second: Promise<HttpAnswer> | undefined
    await whileStopped('journal', async () => {
      first = post(plant, linesOf(...commands), numbered('full', 1))
      second = post(plant, linesOf(sample(21, 'full')), numbered('full', 21))
      expect(await second).toMatchObject({ status: 429, lines: [{ awaited: 17, taken: 0 }] })
    })
    const full = await (first as Promise<HttpAnswer>)
    const again = await post(plant, linesOf(...commands.slice(16)), numbered('full', 17))
    const last = await post(plant, linesOf(sample(21, 'full')), numbered('full', 21))

    expect(full).toMatchObject({ status: 429, lines: [{ error: 'the plant is full', taken: 16 }] })
    expect(Number(full.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(full.lines[0]?.['answers']).toEqual(
      Array.from({ length: 16 }, (_, n) => ({ ok: true, version: n + 1, reply: { count: n + 1 } })),
    )
    expect([again.status, last.status]).toEqual([200, 200])
    expect(last.lines).toEqual([{ ok: true, version: 21, reply: { count: 21 } }])
  })

  test('whose client leaves is stored once all the same', async () => {
    await whileStopped('journal', async () => {
      const connection = new RawConnection(plant).write(rawPost(linesOf(sample(1, 'left')), numbered('left', 1)))
      await expect.poll(inFlight, SOON).toBe(1)
      connection.socket.destroy()
    })
    await expect.poll(inFlight, SOON).toBe(0)

    const again = await post(plant, linesOf(sample(1, 'left')), numbered('left', 1))

    expect(again).toMatchObject({ status: 200, lines: [{ ok: true, version: 1, reply: { count: 1 } }] })
    const { value } = await plant.metrics()
    expect(value('millrace_gateway_commands_acked_total', { slot: '0' })).toBe(
      value('millrace_gateway_commands_taken_total', { slot: '0' }),
    )
  })
})

describe('/readyz', () => {
  test.each([
    ['worker', 1],
    ['journal', 0],
  ] as const)('names %s/%i while it is away, and is ready again after', async (role, slot) => {
    const ready = async () => {
      const response = await fetch(`${plant.url}/readyz`)
      return `${response.status} ${(await response.text()).trim()}`
    }
    expect(await ready()).toBe('200 ready')

    await plant.kill(role, slot)

    await expect.poll(ready, { ...SOON, interval: 1 }).toBe(`503 not ready: ${role}/${slot}`)
    await expect.poll(ready, SOON).toBe('200 ready')
    expect((await fetch(`${plant.url}/healthz`)).status).toBe(200)
  })
})

/** Devices that number their commands, each with a request at a time under way, sent until it is answered. */
class Devices {
  readonly heard = new Map<string, unknown[]>()
  isOver = false
  retryCount = 0
  readonly #prng: Prng

  constructor(prng: Prng) {
    this.#prng = prng
  }

  async run(name: string): Promise<void> {
    const heard: unknown[] = []
    this.heard.set(name, heard)
    for (let next = 1; !this.isOver; ) {
      const commands = Array.from({ length: 1 + this.#prng.below(16) }, (_, n) => sample(next + n, name, (next + n) % 7 === 0 ? 2000 : 20))
      for (;;) {
        const answer = await post(plant, linesOf(...commands), numbered(name, next)).catch(() => undefined)
        const answers = answer?.status === 200 ? answer.lines : ((answer?.lines[0]?.['answers'] ?? []) as unknown[])
        for (const [index, one] of answers.entries()) {
          // Whatever was told before is told again.
          if (heard[next - 1 + index] !== undefined) expect(one).toEqual(heard[next - 1 + index])
          heard[next - 1 + index] = one
        }
        if (answer?.status === 200) break
        this.retryCount++
        await pause()
      }
      next += commands.length
    }
  }
}

describe('gateway, worker and journal killed while devices send by HTTP', () => {
  test(`leave every command done once, in order, and its one answer (${KILLS} kills)`, async () => {
    const prng = new Prng(soakSeed(1))
    const devices = new Devices(prng)
    const names = Array.from({ length: 6 }, (_, n) => `device-${n}`)
    const running = names.map((name) => devices.run(name))
    const before = (await plant.status()).recoveryCount
    const scrapes = [await plant.metrics()]
    for (let kill = 0; kill < KILLS; kill++) {
      const role = (['gateway', 'worker', 'journal'] as const)[kill % 3] ?? 'gateway'
      await plant.killAndReplace(role, role === 'worker' ? prng.below(WORKERS) : 0)
      for (const until = performance.now() + prng.below(60); performance.now() < until; ) await pause()
      scrapes.push(await plant.metrics())
    }
    devices.isOver = true
    await Promise.all(running)

    expect((await plant.status()).recoveryCount).toBe(before + KILLS)
    expect(devices.retryCount).toBeGreaterThan(0)
    const rows = await plant.rows()
    for (const name of names) {
      const heard = devices.heard.get(name) ?? []
      const mine = rows.filter(({ entity }) => entity === `press/${name}`)
      const all = heard.map((_, index) => index + 1)
      expect(mine.map(({ sequence }) => sequence)).toEqual(all)
      expect(heard).toEqual(
        mine.map(({ version, event }, index) =>
          event === undefined
            ? { ok: false, version, refused: 'MELTED', detail: { count: index - Math.floor(index / 7) } }
            : { ok: true, version, reply: { count: index + 1 - Math.floor((index + 1) / 7) } },
        ),
      )
    }
    // Seats count on when their holders are replaced; what begins anew with the gateway is its own.
    for (const [index, later] of scrapes.slice(1).entries()) {
      for (const family of scrapes[index]?.families ?? []) {
        if (family.type !== 'counter' || !/^millrace_(?:supervisor|journal|worker|gateway)_/.test(family.name)) continue
        for (const { name, labels, value } of family.samples)
          expect(later.value(name, labels), `${name} ${JSON.stringify(labels)}`).toBeGreaterThanOrEqual(value)
      }
    }
  })
})
