import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { assign, createActor, createMachine, emit, enqueueActions, raise, sendTo, setup, spawnChild } from 'xstate'
import { isMillraceError } from '#base/errors.js'
import { given } from '#entity/given.js'
import { bool, compileEntity, decodeBase, encodeSnapshot, type EventOf, f64, fold, i32, text } from '#entity/index.js'
import { checkPurity } from '#entity/purity.js'
import { openPlant } from '#runtime/inline-plant.js'
import { fromMachine } from '#xstate/index.js'
import { pathsOf, valueOf } from '#xstate/state-paths.js'
import { washer } from './machines.js'

const Washer = fromMachine(washer, {
  name: 'washer',
  commands: {
    start: { rounds: i32() },
    tick: {},
    pause: {},
    resume: {},
    door: { isOpen: bool() },
    note: { text: text() },
    end: {},
  },
  events: { Filled: { water: f64('l') }, Beeped: { times: i32() } },
  actions: {
    beep: (params, context) => context.emit.Beeped({ times: (params as { times?: number } | undefined)?.times ?? 1 }),
  },
  input: () => ({ water: 5 }),
})
const { Stepped, Filled, Beeped } = Washer.event
type StepData = Parameters<typeof Stepped>[0]

/** The state of a step is the first leaf of its value. */
function stepped(data: Omit<StepData, 'state'> & { readonly state?: string }): EventOf<typeof Washer> {
  const drum = (data.value as { on?: { drum?: string } }).on?.drum
  return Stepped({ state: drum === undefined ? (data.value as string) : `on.drum.${drum}`, ...data })
}

const IDLE = stepped({ event: 'xstate.init', value: 'idle', context: { water: 5, rounds: 0 }, status: 'active' })

describe('an entity made of a machine', () => {
  test('starts it with its first command, and stores what each step came to', () => {
    given(Washer)
      .when.start({ rounds: 2 })
      .then([
        IDLE,
        Filled({ water: 15 }),
        stepped({
          event: 'start',
          value: { on: { drum: 'filling', door: 'shut' } },
          context: { water: 15, rounds: 2 },
          status: 'active',
        }),
      ])
      .thenReply({ value: { on: { drum: 'filling', door: 'shut' } } })
  })

  test('stores what changed of the context alone, and what is gone of it', () => {
    const noted = given(Washer, [IDLE]).when.note({ text: 'wool' })
    noted.then([stepped({ event: 'note', value: 'idle', context: { note: 'wool' }, status: 'active' })])

    given(Washer, [IDLE, stepped({ event: 'note', value: 'idle', context: { note: 'wool' }, status: 'active' })])
      .when.note({ text: '' })
      .then([stepped({ event: 'note', value: 'idle', dropped: ['note'], status: 'active' })])
      .thenState({ value: 'idle', context: { water: 5, rounds: 0 }, history: {}, status: 'active', output: null })
  })

  test('stores nothing of a step that changes nothing', () => {
    given(Washer, [IDLE]).when.note({ text: '' }).then([]).thenReply({ value: 'idle' })
  })

  test('refuses what enables no transition', () => {
    given(Washer, [IDLE]).when.resume({}).thenRefused('UNHANDLED', { value: 'idle', command: 'resume' })
    given(Washer).when.tick({}).thenRefused('UNHANDLED', { value: 'idle', command: 'tick' })
  })

  test('refuses everything when it is over', () => {
    const over = given(Washer, [IDLE]).when.end({})
    over.then([stepped({ event: 'end', value: 'over', status: 'done', output: { rounds: 0 } })])

    given(Washer, [IDLE, stepped({ event: 'end', value: 'over', status: 'done', output: { rounds: 0 } })])
      .when.note({ text: 'x' })
      .thenRefused('UNHANDLED', { value: 'over', command: 'note' })
  })

  test('goes back to what history remembers, across the log', () => {
    const value = { on: { drum: 'turning', door: 'open' } }
    const running = [IDLE, stepped({ event: 'tick', value, context: { water: 45, rounds: 3 }, status: 'active' })]
    const paused = stepped({
      event: 'pause',
      value: 'paused',
      history: { 'washer.on.last': ['washer.on.door.open', 'washer.on.drum.turning'] },
      status: 'active',
    })

    given(Washer, running).when.pause({}).then([paused])
    given(Washer, [...running, paused])
      .when.resume({})
      .thenReply({ value })
  })

  test('does for its actions what it was told, those that are enqueued too', () => {
    const value = { on: { drum: 'turning', door: 'shut' } }
    given(Washer, [IDLE, stepped({ event: 'tick', value, context: { water: 45, rounds: 1 }, status: 'active' })])
      .when.tick({})
      .then([
        Beeped({ times: 2 }),
        Beeped({ times: 1 }),
        stepped({ event: 'tick', value: { on: { drum: 'still', door: 'shut' } }, context: { rounds: 0 }, status: 'active' }),
      ])
  })

  test('is no worse for a machine that changes its context in place', () => {
    const machine = setup({ types: { context: {} as { list: number[] }, events: {} as { type: 'add' } } }).createMachine({
      context: { list: [] },
      on: {
        add: {
          actions: assign(({ context }) => {
            context.list.push(context.list.length)
            return { list: context.list }
          }),
        },
      },
    })
    const model = compileEntity(fromMachine(machine, { name: 'list', commands: { add: {} } }))
    const state = model.initial()
    for (const list of [[0], [0, 1], [0, 1, 2]]) {
      const decision = model.decide(state, 0, {}, { at: 0, entity: 'list/a', source: '', correlation: '' })
      expect(decision.error).toBeUndefined()
      for (let index = 0; index < decision.eventCount; index++)
        model.apply(state, decision.eventIndexes[index] as number, decision.events[index] as object)
      expect(state).toMatchObject({ context: { list } })
    }
  })

  test('has events whose fold is pure, and does not run the machine', () => {
    const events = [
      IDLE,
      Filled({ water: 3 }),
      stepped({ event: 'end', state: 'idle', value: 'nowhere', status: 'active', history: { a: ['b'] } }),
    ]

    expect(checkPurity(Washer, events)).toEqual({ isPure: true, eventCount: 3 })
    expect(fold(compileEntity(Washer), events)).toMatchObject({ value: 'nowhere', history: { a: ['b'] } })
  })

  test('fails a command in a state that the machine has no more, naming it', () => {
    given(Washer, [stepped({ event: 'tick', state: 'idle', value: 'soaking', status: 'active' })])
      .when.tick({})
      .thenFailed('washer: it is in the state "soaking", which the machine has no more')
  })
})

describe('a machine whose states are others since', () => {
  const parts = { name: 'washer', commands: { tick: {}, resume: {} } } as const
  const older = setup({}).createMachine({
    id: 'washer',
    initial: 'off',
    states: {
      off: { on: { tick: 'on' } },
      on: {
        type: 'parallel',
        states: {
          drum: { initial: 'soaking', states: { soaking: {}, turning: {} } },
          door: {},
          last: { type: 'history', history: 'deep' },
        },
        on: { tick: 'paused' },
      },
      paused: { on: { resume: 'on.last' } },
    },
  })
  const newer = setup({}).createMachine({
    id: 'washer',
    initial: 'off',
    states: {
      off: { on: { tick: 'on' } },
      on: {
        type: 'parallel',
        states: {
          drum: { initial: 'wet', states: { wet: { initial: 'filling', states: { filling: {} } }, turning: {} } },
          door: {},
          last: { type: 'history', history: 'deep' },
        },
        on: { tick: 'resting' },
      },
      resting: { on: { resume: 'on.last' } },
    },
  })
  const Older = fromMachine(older, parts)
  const renamedStates = { 'on.drum.soaking': 'on.drum.wet.filling', paused: 'resting' }
  const Newer = fromMachine(newer, { ...parts, renamedStates })
  let data = ''

  beforeEach(async () => {
    data = mkdtempSync(join(tmpdir(), 'millrace-xstate-'))
    const plant = await openPlant({ entities: [Older], data })
    for (const [name, ticks] of [
      ['on', 1],
      ['paused', 2],
    ] as const) {
      const one = plant.entity(Older, name)
      for (let tick = 0; tick < ticks; tick++) await one.tick({})
    }
    await plant.close()
  })

  afterEach(() => rmSync(data, { recursive: true }))

  test('is where it was, by their new names, and so is its history', async () => {
    const plant = await openPlant({ entities: [Newer], data })
    try {
      const on = { on: { drum: { wet: 'filling' }, door: {} } }
      expect(await plant.state(Newer, 'on')).toMatchObject({ value: on })
      expect(await plant.state(Newer, 'paused')).toMatchObject({ value: 'resting' })
      expect(await plant.entity(Newer, 'paused').resume({})).toMatchObject({ ok: true, reply: { value: on } })
    } finally {
      await plant.close()
    }
  })

  test('does not start when nothing is said about one that is gone', async () => {
    const rest = { 'on.drum.soaking': renamedStates['on.drum.soaking'] }

    await expect(openPlant({ entities: [fromMachine(newer, parts)], data })).rejects.toMatchObject({
      code: 'ERR_SCHEMA_CHANGED',
      values: { type: 'washer.Stepped', state: 'on.drum.soaking' },
      message: expect.stringContaining("renamedStates: { 'on.drum.soaking': '…' }"),
    })
    await expect(openPlant({ entities: [fromMachine(newer, { ...parts, renamedStates: rest })], data })).rejects.toMatchObject({
      values: { state: 'paused' },
    })
  })

  test('is renamed in a base snapshot, too, or does not fit', () => {
    const state = { value: { on: { drum: 'soaking', door: {} } }, context: {}, history: {}, status: 'active', output: null }
    const bytes = encodeSnapshot(compileEntity(Older), { state, outcomes: undefined, latestAt: 0 })
    const value = { on: { drum: { wet: 'filling' }, door: {} } }

    expect(decodeBase(compileEntity(Newer), bytes)).toMatchObject({ kind: 'ok', state: { value } })
    expect(decodeBase(compileEntity(fromMachine(newer, parts)), bytes)).toMatchObject({
      kind: 'mismatch',
      reason: expect.stringContaining('it is in the state on.drum.soaking of washer, which is no more'),
    })
  })
})

describe('any run of a machine', () => {
  const event = fc.oneof(
    fc.record({ type: fc.constant('start'), rounds: fc.integer({ min: 0, max: 3 }) }),
    { weight: 4, arbitrary: fc.record({ type: fc.constant('tick') }) },
    fc.record({ type: fc.constantFrom('pause', 'resume') }),
    fc.record({ type: fc.constant('door'), isOpen: fc.boolean() }),
    fc.record({ type: fc.constant('note'), text: fc.constantFrom('', 'a', 'b') }),
    { weight: 0.2 * 5, arbitrary: fc.record({ type: fc.constant('end') }) },
  )

  test('comes to what XState’s own actor comes to, and so does its replay', () => {
    const model = compileEntity(Washer)
    const quiet = washer.provide({ actions: { beep: () => undefined } })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 25 }), (events) => {
        const actor = createActor(quiet, { input: { water: 5 } }).start()
        const live = model.initial()
        const replayed = model.initial()
        for (const one of events) {
          if (actor.getSnapshot().status === 'active') actor.send(one)
          const { type, ...data } = one
          const decision = model.decide(live, model.commandIndex(type), data, { at: 0, entity: 'washer/a', source: '', correlation: '' })
          expect(decision.error).toBeUndefined()
          for (let index = 0; index < decision.eventCount; index++) {
            model.apply(replayed, decision.eventIndexes[index] as number, structuredClone(decision.events[index] as object))
            model.apply(live, decision.eventIndexes[index] as number, decision.events[index] as object)
          }
          if ((live as { value: unknown }).value === null) continue
          const { value, context, status } = actor.getSnapshot()
          expect(valueOf(washer, pathsOf(value))).toEqual(value)
          expect(live).toMatchObject({ value, context: JSON.parse(JSON.stringify(context)) as object, status })
        }
        expect(replayed).toEqual(live)
      }),
      { numRuns: 60, seed: 20261122 },
    )
  })
})

test('a plant with a machine is where it was after a replay', async () => {
  const plant = await openPlant({ entities: [Washer] })
  try {
    const one = plant.entity(Washer, 'one')
    expect(await one.start({ rounds: 1 })).toMatchObject({ ok: true, reply: { value: { on: { drum: 'filling', door: 'shut' } } } })
    expect(await one.resume({})).toMatchObject({ ok: false, refused: 'UNHANDLED' })
    const { live, replayed } = await plant.stateHash()
    expect(live).toBe(replayed)
    expect(await plant.state(Washer, 'one')).toMatchObject({ context: { water: 15, rounds: 1 } })
  } finally {
    await plant.close()
  }
})

describe('a machine that needs more than its transition', () => {
  const make = fromMachine as unknown as (machine: unknown, options: object) => unknown
  const none = { name: 'lamp', commands: { go: {} } }
  const GO = { go: { actions: [assign({}) as never] } }
  const go = { id: 'lamp', on: GO }

  test.each<[string, unknown, string, object?]>([
    ['lamp.invoke', createMachine({ ...go, invoke: { src: 'fetch' } }), 'invokes no actors'],
    [
      'lamp.red.after',
      createMachine({ ...go, initial: 'red', states: { red: { after: { 100: 'red' } } } }),
      'delayed transitions are not run',
    ],
    ['lamp.entry', createMachine({ ...go, entry: () => undefined }), 'a function here would run once'],
    ['lamp.entry', createMachine({ ...go, entry: 'shine' }), 'say under `actions` what shine does'],
    [
      'lamp.entry',
      setup({ actions: { shine: () => undefined } }).createMachine({ ...go, entry: 'shine' }),
      'say under `actions` what shine does',
    ],
    ['lamp.exit', createMachine({ ...go, exit: raise({ type: 'go' }, { delay: 5 }) }), 'raise with a delay is not run'],
    ['lamp.on.go', createMachine({ ...go, on: { go: { actions: sendTo('other', { type: 'x' }) } } }), 'sendTo is not run'],
    ['lamp.on.go', createMachine({ ...go, on: { go: { actions: spawnChild('other') } } }), 'spawnChild is not run'],
    [
      'lamp.red.on.',
      createMachine({ ...go, initial: 'red', states: { red: { always: { guard: 'isLate', target: 'red' } } } }),
      'the guard isLate has no implementation',
    ],
    [
      'renamedStates.dim',
      createMachine({ ...go, initial: 'red', states: { red: {} } }),
      'there is no state blue',
      { renamedStates: { dim: 'blue' } },
    ],
    [
      'renamedStates.red',
      createMachine({ ...go, initial: 'red', states: { red: {} } }),
      'still has this state',
      { renamedStates: { red: 'red' } },
    ],
    ['commands.stop', createMachine(go), 'the machine has no event of this type, only go', { commands: { stop: {} } }],
    ['commands.go.type', createMachine(go), 'the type of the event is the name of the command', { commands: { go: { type: text() } } }],
  ])('is refused at %s, case %#', (path, machine, next, more = {}) => {
    let thrown: unknown
    try {
      make(machine, { ...none, ...more })
    } catch (error) {
      thrown = error
    }

    expect(isMillraceError(thrown, 'ERR_ENTITY_DEFINITION'), String(thrown)).toBe(true)
    expect(thrown).toHaveProperty('values', { path: `lamp.${path}` })
    expect(thrown).toHaveProperty('message', expect.stringContaining(next))
  })

  test.each<[string, unknown, string]>([
    [
      'a context that is no JSON',
      createMachine({ context: { at: new Date(0) }, on: GO }),
      'lamp: xstate.init: context.at: JSON has no Date: it is stored as JSON',
    ],
    [
      'an emitted event that is not declared',
      createMachine({ on: { go: { actions: emit({ type: 'Shone' }) } } }),
      'lamp: go: it emitted Shone, which is not among the events of lamp',
    ],
    [
      'a delay that is enqueued',
      createMachine({ on: { go: { actions: enqueueActions(({ enqueue }) => enqueue.raise({ type: 'go' }, { delay: 5 })) } } }),
      'lamp: go: the action xstate.raise with a delay is not run by an entity',
    ],
    [
      'an action that is enqueued and not known',
      createMachine({ on: { go: { actions: enqueueActions(({ enqueue }) => enqueue('shine')) } } }),
      'lamp: go: the action shine is not run by an entity',
    ],
    [
      'an actor that is spawned',
      createMachine({ context: ({ spawn }) => ({ child: spawn(createMachine({})) }), on: GO }),
      'lamp: xstate.init: it spawned',
    ],
  ])('fails the command over %s', (_name, machine, message) => {
    const model = compileEntity(make(machine, none) as typeof Washer)

    const decision = model.decide(model.initial(), 0, {}, { at: 0, entity: 'lamp/a', source: '', correlation: '' })

    expect(decision.kind).toBe('failed')
    expect(decision.error?.message).toContain(message)
  })
})
