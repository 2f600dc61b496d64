import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assign, createActor, createMachine, emit, enqueueActions, raise, sendTo, setup, spawnChild } from 'xstate'
import { isMillraceError } from '#base/errors.js'
import { given } from '#entity/given.js'
import { bool, compileEntity, f64, fold, i32, text } from '#entity/index.js'
import { checkPurity } from '#entity/purity.js'
import { openPlant } from '#runtime/inline-plant.js'
import { fromMachine } from '#xstate/index.js'
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

const IDLE = Stepped({ event: 'xstate.init', value: 'idle', context: { water: 5, rounds: 0 }, status: 'active' })

describe('an entity made of a machine', () => {
  test('starts it with its first command, and stores what each step came to', () => {
    given(Washer)
      .when.start({ rounds: 2 })
      .then([
        IDLE,
        Filled({ water: 15 }),
        Stepped({
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
    noted.then([Stepped({ event: 'note', value: 'idle', context: { note: 'wool' }, status: 'active' })])

    given(Washer, [IDLE, Stepped({ event: 'note', value: 'idle', context: { note: 'wool' }, status: 'active' })])
      .when.note({ text: '' })
      .then([Stepped({ event: 'note', value: 'idle', dropped: ['note'], status: 'active' })])
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
    over.then([Stepped({ event: 'end', value: 'over', status: 'done', output: { rounds: 0 } })])

    given(Washer, [IDLE, Stepped({ event: 'end', value: 'over', status: 'done', output: { rounds: 0 } })])
      .when.note({ text: 'x' })
      .thenRefused('UNHANDLED', { value: 'over', command: 'note' })
  })

  test('goes back to what history remembers, across the log', () => {
    const value = { on: { drum: 'turning', door: 'open' } }
    const running = [IDLE, Stepped({ event: 'tick', value, context: { water: 45, rounds: 3 }, status: 'active' })]
    const paused = Stepped({
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
    given(Washer, [IDLE, Stepped({ event: 'tick', value, context: { water: 45, rounds: 1 }, status: 'active' })])
      .when.tick({})
      .then([
        Beeped({ times: 2 }),
        Beeped({ times: 1 }),
        Stepped({ event: 'tick', value: { on: { drum: 'still', door: 'shut' } }, context: { rounds: 0 }, status: 'active' }),
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
    const events = [IDLE, Filled({ water: 3 }), Stepped({ event: 'end', value: 'nowhere', status: 'active', history: { a: ['b'] } })]

    expect(checkPurity(Washer, events)).toEqual({ isPure: true, eventCount: 3 })
    expect(fold(compileEntity(Washer), events)).toMatchObject({ value: 'nowhere', history: { a: ['b'] } })
  })

  test('fails a command in a state that the machine has no more, naming it', () => {
    given(Washer, [Stepped({ event: 'tick', value: 'soaking', status: 'active' })])
      .when.tick({})
      .thenFailed('washer: it is in the state "soaking", which the machine has no more')
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
