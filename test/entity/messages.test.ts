import { describe, expect, test } from 'vitest'
import { answer } from '#entity/answer.js'
import { defineEntity, i64, json, MESSAGES_PER_COMMAND_MAX, PlantModel, text } from '#entity/index.js'
import { given } from '#testing.js'

const Lamp = defineEntity({
  name: 'lamp',
  events: { Lit: {} },
  commands: { light: { level: i64({ default: 1 }) } },
  initial: () => ({}),
  decide: { light: (_, __, { emit }) => emit.Lit({}) },
  apply: { Lit() {} },
})

type Context = Readonly<Record<string, (...args: unknown[]) => unknown>>

/** Runs what a test wants to do with the context. */
let act: (context: Context) => unknown = () => undefined

const Switch = defineEntity({
  name: 'switch',
  events: { Pressed: {} },
  commands: { press: {}, refuse: {}, onLit: answer(), note: { about: text(), more: json({ optional: true }) } },
  initial: () => ({}),
  decide: {
    press(_, __, context) {
      context.emit.Pressed({})
      act(context as unknown as Context)
    },
    refuse(_, __, { tell, refuse }) {
      tell(Lamp, 'a').light({})
      return refuse('NO')
    },
    onLit() {},
    note() {},
  },
  apply: { Pressed() {} },
})

const Seen = defineEntity({
  name: 'seen',
  events: { Moved: {} },
  commands: { glance: { at: i64() }, move: {} },
  volatile: ['glance'],
  initial: () => ({}),
  decide: { glance() {}, move() {} },
  apply: { Moved() {} },
})

const Lens = defineEntity({
  name: 'lens',
  events: { Moved: {} },
  commands: { look: {}, onSeen: answer(), move: {} },
  volatile: ['onSeen'],
  initial: () => ({}),
  decide: {
    look(_, __, { tell, ask, refuse }) {
      const { glance } = tell(Seen, 'b')
      glance({ at: 1 })
      const number = ask(Seen, 'c').glance({ at: 2 }, { timeoutMs: 5, answer: 'onSeen' })
      tell(Seen, 'd').move({})
      return number < 0 ? undefined : refuse('STORED')
    },
    onSeen() {},
    move(_, __, { tell, refuse }) {
      tell(Seen, 'b').glance({ at: 1 })
      return refuse('NO')
    },
  },
  apply: { Moved() {} },
})

describe('a command that tells what is volatile', () => {
  test('has it behind what is stored, and nothing when it is refused', () => {
    const looked = given(Lens).when.look({})

    expect(() =>
      looked.thenTold([
        { tell: 'seen/d', command: 'move', data: {} },
        { tell: 'seen/b', command: 'glance', data: { at: 1 } },
        { ask: 'seen/c', command: 'glance', data: { at: 2 }, timeoutMs: 5, answer: 'onSeen' },
      ]),
    ).not.toThrow()
    expect(() => given(Lens).when.move({}).thenRefused('NO').thenTold([])).toThrow('refused')
  })
})

function pressing(what: (context: Context) => unknown) {
  act = what
  return given(Switch).when.press({}, { entity: 'switch/s', at: 1_000_000 })
}

const lamp = (context: Context, kind: 'tell' | 'ask' = 'tell', name = 'a') =>
  context[kind]?.(Lamp, name) as { light(data: unknown, options?: unknown): number }

describe('a command that tells', () => {
  test('has its messages behind its events, with defaults filled in', () => {
    const pressed = pressing((context) => {
      lamp(context).light({})
      lamp(context, 'ask', 'b').light({ level: 3 }, { timeoutMs: 250, answer: 'onLit' })
      context['after']?.(1500, 'note', { about: 'x' }, { key: 'k' })
      context['every']?.(60_000, 'note', { about: 'y' })
    })
    const told = [
      { tell: 'lamp/a', command: 'light', data: { level: 1 } },
      { ask: 'lamp/b', command: 'light', data: { level: 3 }, timeoutMs: 250, answer: 'onLit' },
      { after: 1500, command: 'note', data: { about: 'x' }, key: 'k' },
      { every: 60_000, command: 'note', data: { about: 'y' } },
    ]

    expect(() => pressed.then([Switch.event.Pressed({})]).thenTold(told)).not.toThrow()
    expect(() => pressed.thenTold(told.slice(1))).toThrow('the messages differ from what was expected')
    expect(() => pressed.thenRefused('NO')).toThrow("tell: 'lamp/a'")
  })

  test('tells nothing when it is refused', () => {
    const refused = given(Switch).when.refuse({})

    expect(() => refused.thenRefused('NO')).not.toThrow()
    expect(() => refused.thenTold([])).toThrow('the command was refused with NO')
  })

  test('learns the number of each ask', () => {
    const numbers: unknown[] = []
    pressing((context) => {
      for (const name of ['a', 'b']) numbers.push(lamp(context, 'ask', name).light({}, { timeoutMs: 1, answer: 'onLit' }))
    }).then([Switch.event.Pressed({})])

    expect(numbers).toEqual([1, 2])
  })

  test.each<[string, (context: Context) => unknown, string]>([
    ['a type that is none', ({ tell }) => tell?.('lamp', 'a'), 'the plant has no entity type undefined'],
    ['a name that is none', (context) => lamp(context, 'tell', ''), 'not an entity id, since its name is empty'],
    ['data that does not fit', (context) => lamp(context).light({ level: 'high' }), 'tell light to lamp/a: level: expected'],
    [
      'an ask of itself',
      (context) => (context['ask'] as never as (...of: unknown[]) => { press(...args: unknown[]): void })(Switch, 's').press({}, {}),
      'an entity cannot ask itself',
    ],
    [
      'an ask without a time',
      (context) => lamp(context, 'ask').light({}, { answer: 'onLit' }),
      'timeoutMs is not a number of milliseconds',
    ],
    ['an ask without a command for the answer', (context) => lamp(context, 'ask').light({}, { timeoutMs: 1 }), 'switch has no undefined'],
    [
      'an answer to a command that takes none',
      (context) => lamp(context, 'ask').light({}, { timeoutMs: 1, answer: 'press' }),
      'press does not take answers; declare it as press: answer()',
    ],
    ['a timer for no command', ({ after }) => after?.(1, 'sleep', {}), 'after sleep: switch has only press, refuse, onLit, note'],
    ['a timer in the past', ({ after }) => after?.(-1, 'press', {}), 'its time is not a number of milliseconds from 0'],
    ['a timer too often', ({ every }) => every?.(5, 'press', {}), 'its time is not a number of milliseconds from 10'],
    ['half a millisecond', ({ every }) => every?.(10.5, 'press', {}), 'its time is not whole milliseconds'],
    ['a key that is none', ({ cancel }) => cancel?.(7), 'its key is not text'],
    [
      'too many messages',
      (context) => {
        for (let count = 0; count <= MESSAGES_PER_COMMAND_MAX; count++) lamp(context).light({})
      },
      'told more than 1000 messages in one command',
    ],
  ])('fails on %s, and says so', (_, what, said) => {
    expect(() => pressing(what).thenFailed(said)).not.toThrow()
  })

  test('cannot tell once it has decided', () => {
    let kept: Context = {}
    pressing((context) => (kept = context)).then([Switch.event.Pressed({})])

    expect(() => lamp(kept)).toThrow('was called after decide had returned')
    expect(() => kept['after']?.(1, 'press', {})).toThrow('was called after decide had returned')
  })

  test('knows the types of its plant alone', () => {
    const [model] = new PlantModel([Switch]).models
    act = (context) => lamp(context)
    const decision = model?.decide({}, model.commandIndex('press'), {}, { at: 0, entity: 'switch/s', source: '', correlation: '' })

    expect(decision?.error?.message).toContain('the plant has no entity type lamp')
  })
})

describe('a timer with a key', () => {
  test('is cancelled, or takes the place of another, within one command', () => {
    const cancelled: unknown[] = []
    pressing((context) => {
      context['after']?.(1, 'press', {}, { key: 'k' })
      cancelled.push(context['cancel']?.('k'), context['cancel']?.('k'), context['cancel']?.('other'))
      context['after']?.(2, 'press', {}, { key: 'k' })
      context['after']?.(3, 'press', {}, { key: 'k' })
    }).then([Switch.event.Pressed({})])

    expect(cancelled).toEqual([true, false, false])
  })
})
