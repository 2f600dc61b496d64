import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { httpPost } from '#effects/http-post.js'
import { answer } from '#entity/answer.js'
import { defineEffect, EffectFailure } from '#entity/effect.js'
import { defineEntity, i64, label } from '#entity/index.js'
import { type InlinePlant, type OpenPlantOptions, openPlant } from '#runtime/inline-plant.js'
import { ParkedCommands } from '#runtime/parked-commands.js'
import { PostBox } from '../effects/post-box.js'
import { readRows } from '#journal/index.js'
import { until } from '../shm/until.js'

const Page = httpPost({ name: 'page', target: 'pager', path: '/alarms', fields: { code: label(), n: i64() } })

const Lamp = defineEntity({
  name: 'lamp',
  effects: [Page],
  events: { Lit: { n: i64() }, Heard: { outcome: label(), detail: label() } },
  commands: { light: { n: i64() }, lightAndHear: { n: i64() }, onPaged: answer<{ status: number }, { message: string; parked: string }>() },
  initial: () => ({ lit: 0, heard: [] as string[] }),
  decide: {
    light(_, { n }, { emit, effect }) {
      emit.Lit({ n })
      effect(Page, { code: 'LIT', n })
    },
    lightAndHear(_, { n }, { emit, effect }) {
      emit.Lit({ n })
      effect(Page, { code: 'LIT', n }, { answer: 'onPaged' })
    },
    onPaged(_, { outcome, reply, code, detail }, { emit }) {
      emit.Heard({ outcome, detail: `${code ?? reply?.status ?? ''} ${detail?.message ?? ''}`.trim() })
    },
  },
  apply: {
    Lit: (state, { n }) => void (state.lit = n),
    Heard: (state, { outcome, detail }) => void state.heard.push(`${outcome} ${detail}`),
  },
})

let box: PostBox
let plant: InlinePlant | undefined
let data: string

beforeEach(async () => {
  box = await PostBox.open()
  data = mkdtempSync(join(tmpdir(), 'millrace-effects-'))
})

afterEach(async () => {
  await plant?.close()
  plant = undefined
  await box.close()
  rmSync(data, { recursive: true, force: true })
})

async function open(options: Partial<OpenPlantOptions> = {}): Promise<InlinePlant> {
  plant = await openPlant({
    entities: [Lamp],
    effects: { targets: { pager: { url: `${box.url}/v1` } }, retryMs: 1, retryMsMax: 5 },
    log: () => {},
    ...options,
  })
  return plant
}

describe('a command that wants an effect', () => {
  test('has it done once, after which it is over', async () => {
    const { entity, drain, stateHash } = bound(await open())

    await entity(Lamp, 'a').light({ n: 1 })
    await drain()

    expect(box.posted.map(({ path, body }) => ({ path, body }))).toEqual([{ path: '/v1/alarms', body: { code: 'LIT', n: 1 } }])
    expect(box.keys[0]).toMatch(/^lamp\/a:1:[0-9a-z]+$/)
    const { live, replayed } = await stateHash()
    expect(live).toBe(replayed)
    await plant?.close()
    await open()
    await plant?.drain()
    expect(box.posted).toHaveLength(1)
  })

  test('hears what came of it where it asks', async () => {
    box.answer = (_, response) => void response.writeHead(201, { 'content-type': 'application/json' }).end('{"id":7}')
    const { entity, drain, state } = bound(await open())

    await entity(Lamp, 'a').lightAndHear({ n: 1 })
    await drain()

    expect((await state(Lamp, 'a'))?.heard).toEqual(['done 201'])
  })

  test('has nothing done when it is refused or throws', async () => {
    const Shy = defineEntity({
      name: 'shy',
      effects: [Page],
      events: {},
      commands: { refuse: {}, fail: {}, wrong: {} },
      initial: () => ({}),
      decide: {
        refuse(_, __, { effect, refuse }) {
          effect(Page, { code: 'A', n: 1 })
          return refuse('NO')
        },
        fail(_, __, { effect }) {
          effect(Page, { code: 'A', n: 1 })
          throw new Error('no')
        },
        wrong: (_, __, { effect }) => void effect(Page, { code: 'A', n: 'x' as never }),
      },
      apply: {},
    })
    const { entity, drain } = bound(await open({ entities: [Shy] }))

    await entity(Shy, 'a').refuse({})
    await expect(entity(Shy, 'a').fail({})).rejects.toThrow('no')
    await expect(entity(Shy, 'a').wrong({})).rejects.toThrow('effect page: n')
    await drain()

    expect(box.posted).toEqual([])
  })

  test('has effects of one name done in order, also when the first one fails at first', async () => {
    let failures = 2
    box.answer = (_, response) => void response.writeHead(failures-- > 0 ? 503 : 200).end()
    const { entity } = bound(await open())

    for (const n of [1, 2, 3]) await entity(Lamp, 'a').light({ n })
    await until('all of it came', () => box.posted.length === 5)

    expect(box.posted.map(({ body }) => (body as { n: number }).n)).toEqual([1, 1, 1, 2, 3])
    expect(new Set(box.keys).size).toBe(3)
  })
})

describe('an effect that fails', () => {
  test('for good is parked, with its key, and its entity hears of it', async () => {
    box.answer = (_, response) => void response.writeHead(404).end('who?')
    const { entity, drain, state } = bound(await open({ data }))

    await entity(Lamp, 'a').lightAndHear({ n: 1 })
    await drain()

    expect(box.posted).toHaveLength(1)
    expect((await state(Lamp, 'a'))?.heard).toEqual(['failed HTTP_404 pager answered 404: who?'])
    expect(new ParkedCommands(data).list()).toMatchObject([
      {
        entity: 'lamp/a',
        command: 'page',
        data: { code: 'LIT', n: 1 },
        source: 'effect:page',
        sequence: 1,
        causes: ['HTTP_404: pager answered 404: who?'],
        effect: { key: box.keys[0], code: 'HTTP_404' },
      },
    ])
  })

  test('is tried again until its attempts are used up', async () => {
    box.answer = (_, response) => void response.writeHead(500).end()
    const { entity, state, drain } = bound(
      await open({ data, effects: { targets: { pager: { url: box.url, attemptsMax: 3 } }, retryMs: 1 } }),
    )

    await entity(Lamp, 'a').lightAndHear({ n: 1 })
    await until('it came three times', () => box.posted.length === 3)
    await until('it is parked', () => new ParkedCommands(data).list().length === 1)
    await drain()

    expect((await state(Lamp, 'a'))?.heard).toEqual(['failed HTTP_500 pager answered 500'])
    expect(new Set(box.keys).size).toBe(1)
  })

  test('waits out the back-off on the clock of the plant, and is done after a restart', async () => {
    const clock = new FakeClock()
    box.answer = (_, response) => void response.writeHead(503).end()
    const first = await open({ data, clock, effects: { targets: { pager: { url: box.url } }, retryMs: 60_000 } })
    await first.entity(Lamp, 'a').light({ n: 1 })
    await first.drain()
    expect(box.posted).toHaveLength(1)

    clock.advance(20_000)
    await first.drain()
    expect(box.posted).toHaveLength(1)
    clock.advance(40_000)
    await first.drain()
    expect(box.posted).toHaveLength(2)

    await first.close()
    box.answer = (_, response) => void response.writeHead(200).end()
    await (await open({ data, clock })).drain()
    expect(box.posted).toHaveLength(3)
    expect(new Set(box.keys).size).toBe(1)
    await plant?.close()
    await (await open({ data, clock })).drain()
    expect(box.posted).toHaveLength(3)
  })

  test('does not stop its entity, however many there are: beyond a thousand they are given up', async () => {
    box.answer = (_, response) => void response.writeHead(503).end()
    const { entity, state } = bound(await open({ clock: new FakeClock() }))

    for (let n = 1; n <= 1100; n++) void entity(Lamp, 'a').light({ n })

    expect((await state(Lamp, 'a'))?.lit).toBe(1100)
    const given = []
    for await (const { event, data: row } of readRows((plant as InlinePlant).journal, { from: 0 }))
      if (event === '#settled') given.push(row)
    expect(given).toHaveLength(99)
    expect(given[0]).toMatchObject({ number: 1002, outcome: 'failed', code: 'TOO_MANY_EFFECTS' })
    expect(box.posted).toHaveLength(1)
  })
})

describe('an effect of a type of its own', () => {
  test('is whatever its handler does, and fails as that says', async () => {
    const calls: string[] = []
    const Print = defineEffect({
      name: 'print',
      fields: { text: label() },
      run: ({ text }, { key, attempt, entity }) => {
        calls.push(`${text} ${entity} ${attempt} ${key.split(':')[1]}`)
        if (text === 'never') throw new EffectFailure('NO_PAPER', { isFinal: true, message: 'no paper' })
        if (attempt < 3) throw new Error('busy')
        return { pages: 1 }
      },
    })
    const Printer = defineEntity({
      name: 'printer',
      effects: [Print],
      events: { Printed: { what: label() } },
      commands: { print: { text: label() }, onPrinted: answer<{ pages: number }>() },
      initial: () => ({ printed: [] as string[] }),
      decide: {
        print: (_, { text }, { effect }) => void effect(Print, { text }, { answer: 'onPrinted' }),
        onPrinted: (_, { outcome, reply, code, from }, { emit }) => emit.Printed({ what: `${from} ${outcome} ${reply?.pages ?? code}` }),
      },
      apply: { Printed: (state, { what }) => void state.printed.push(what) },
    })
    const { entity, state, drain } = bound(await open({ entities: [Printer], effects: { retryMs: 1 } }))

    await entity(Printer, 'a').print({ text: 'now' })
    await entity(Printer, 'a').print({ text: 'never' })
    await until('both have ended', () => calls.length === 4)
    await drain()

    expect((await state(Printer, 'a'))?.printed).toEqual(['effect:print done 1', 'effect:print failed NO_PAPER'])
    expect(calls).toEqual(['now printer/a 1 1', 'now printer/a 2 1', 'now printer/a 3 1', 'never printer/a 1 2'])
  })
})

describe('a plant whose targets are not what its effects need', () => {
  test.each([
    [{}, 'an effect goes to a target that is not configured effect=page target=pager'],
    [{ pager: { url: 'ftp://x' } }, 'not a URL for a target of effects target=pager'],
    [{ pager: { url: 'http://x/?token=1' } }, 'not a URL for a target of effects target=pager'],
    [{ pager: { url: 'http://x', headers: { authorization: 'Bearer ${MILLRACE_NO_SUCH}' } } }, 'variable=MILLRACE_NO_SUCH'],
  ])('does not open with %j', async (targets, said) => {
    await expect(openPlant({ entities: [Lamp], effects: { targets } })).rejects.toThrow(said)
  })
})

/** Its methods, to be called by themselves. */
function bound(of: InlinePlant): Pick<InlinePlant, 'entity' | 'drain' | 'state' | 'stateHash'> {
  return {
    entity: of.entity.bind(of),
    drain: of.drain.bind(of),
    state: of.state.bind(of),
    stateHash: of.stateHash.bind(of),
  }
}
