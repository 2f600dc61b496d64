import { describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { compileEntity, type Decision, defineEntity, EVENTS_PER_COMMAND_MAX, entitySchema, f64, fold } from '#entity/index.js'
import { kept, Press } from './press.js'

const ENVELOPE = { at: 12, entity: 'press/1', source: 'device', correlation: 'c' }

describe('a compiled entity type', () => {
  const model = compileEntity(Press)

  test('numbers events and commands in the order of their declaration', () => {
    expect(model.name).toBe('press')
    expect(model.eventNames).toEqual(['Sampled', 'AlarmRaised'])
    expect(model.commandNames).toEqual(['sample', 'misbehave'])
    expect(model.eventIndex('AlarmRaised')).toBe(1)
    expect(model.commandIndex('unknown')).toBe(-1)
    expect(model.eventCodec(1).fields.map((field) => field.name)).toEqual(['code', 'value'])
    expect(model.commandCodec(1).fields.map((field) => field.name)).toEqual(['how'])
  })

  test('tells its schema as plain data', () => {
    expect(entitySchema(Press)).toEqual(model.schema)
    expect(JSON.parse(JSON.stringify(model.schema))).toEqual(model.schema)
    expect(model.schema.events[0]).toEqual({
      event: 'Sampled',
      fields: [
        { name: 'temperature', kind: 'f64', unit: '°C', isOptional: false },
        { name: 'force', kind: 'f64', unit: 'kN', isOptional: false, defaultValue: 0 },
      ],
    })
  })

  test('folds events given as data', () => {
    const state = fold(model, [Press.event.Sampled({ temperature: 95 }), Press.event.AlarmRaised({ code: 'HOT', value: 95 })])

    expect(state).toMatchObject({ temperature: 95, force: 0, alarms: 1, codes: ['HOT'] })
  })

  test('folds no event that does not fit', () => {
    const fake = [{ event: 'Sampled', data: { temperature: 'x' } }]

    expect(() => fold(model, fake)).toThrow("temperature: expected a number, got 'x' entity=press event=Sampled")
    expect(() => fold(model, [{ event: 'Other', data: {} }])).toThrow('the type has only Sampled, AlarmRaised')
  })
})

describe('a command that is done', () => {
  const { model, decide } = decider()

  test('gives its events as they will be stored, and its reply', () => {
    const decision = decide('sample', { temperature: 95, force: 3 })

    expect(decision).toMatchObject({ kind: 'done', eventCount: 2, reply: { alarms: 0, at: 12 }, error: undefined })
    expect(decision.eventIndexes.slice(0, 2)).toEqual([0, 1])
    expect(decision.events.slice(0, 2)).toEqual([
      { temperature: 95, force: 3 },
      { code: 'OVERHEAT', value: 95 },
    ])
  })

  test('shares no event data with the command', () => {
    const command = { temperature: 1, force: 3 }

    const decision = decide('sample', command)
    command.temperature = 2

    expect(decision.events[0]).toEqual({ temperature: 1, force: 3 })
  })

  test('leaves the state alone until its events are applied', () => {
    const state = model.initial()

    const decision = model.decide(state, 0, { temperature: 95, force: 3 }, ENVELOPE)
    expect(state).toEqual(model.initial())
    for (let index = 0; index < decision.eventCount; index++) {
      model.apply(state, decision.eventIndexes[index] as number, decision.events[index] as object)
    }

    expect(state).toMatchObject({ temperature: 95, force: 3, alarms: 1 })
  })
})

describe('a command that is refused', () => {
  const { decide } = decider(2)

  test('has a code and a detail, and no events', () => {
    const decision = decide('sample', { temperature: 1, force: 0 })

    expect(decision).toMatchObject({ kind: 'refused', eventCount: 0, code: 'TOO_MANY_ALARMS', detail: { alarms: 2 }, reply: undefined })
  })

  test('stays refused, by its first refusal, whatever the handler does afterwards', () => {
    const decision = decide('misbehave', { how: 'refuse, then go on' })

    expect(decision).toMatchObject({ kind: 'refused', eventCount: 0, code: 'FIRST', detail: { n: 1 }, reply: undefined })
  })
})

describe('a handler that breaks the rules', () => {
  const { decide } = decider()

  test.each([
    ['throw', 'on purpose'],
    ['throw text', 'press.decide.misbehave threw on purpose'],
    ['wrong event', "press.decide.misbehave emitted Sampled: temperature: expected a number, got 'x'"],
    ['wrong event, caught', 'press.decide.misbehave emitted Sampled: fource: unknown field, expected the fields temperature, force'],
    ['two wrong events', 'press.decide.misbehave emitted AlarmRaised: value: missing'],
    ['promise', 'press.decide.misbehave returned a promise'],
    ['function in reply', 'press.decide.misbehave: the reply.list[1] is a function, not plain data'],
    ['class in detail', 'press.decide.misbehave refused wrongly: its detail.when is a Map'],
    ['empty code', 'press.decide.misbehave refused wrongly: its code is not text'],
    ['too many', `press.decide.misbehave emitted Sampled: more than ${EVENTS_PER_COMMAND_MAX} events of one command`],
  ])('fails the command and none of its events counts: %s', (how, message) => {
    const decision = decide('misbehave', { how })

    expect(decision).toMatchObject({ kind: 'failed', eventCount: 0, code: '', detail: undefined, reply: undefined })
    expect(decision.error?.message).toContain(message)
  })

  test('leaves nothing behind for the next command', () => {
    decide('misbehave', { how: 'throw' })

    const decision = decide('sample', { temperature: 1, force: 0 })

    expect(decision).toMatchObject({ kind: 'done', eventCount: 1, error: undefined })
  })

  test('cannot emit once it has returned', () => {
    decide('misbehave', { how: 'keep emit' })

    expect(() => kept.at(-1)?.()).toThrow('press: emit.Sampled was called after decide had returned')
  })
})

describe('an apply handler that breaks the rules', () => {
  const Broken = defineEntity({
    name: 'broken',
    events: { Threw: { a: f64() }, Promised: {} },
    commands: {},
    initial: () => ({ a: 0 }),
    decide: {},
    apply: {
      Threw() {
        throw new Error('on purpose')
      },
      Promised: (() => Promise.reject(new Error('late'))) as unknown as () => void,
    },
  })
  const model = compileEntity(Broken)

  test.each([
    [0, 'an apply handler failed, it threw: on purpose entity=broken event=Threw'],
    [1, 'an apply handler failed, it returned a promise, and state is folded synchronously entity=broken event=Promised'],
  ])('throws ERR_APPLY_FAILED naming the event', (eventIndex, message) => {
    let thrown: unknown
    try {
      model.apply(model.initial(), eventIndex, { a: 1 })
    } catch (error) {
      thrown = error
    }

    expect(isMillraceError(thrown, 'ERR_APPLY_FAILED')).toBe(true)
    expect(thrown).toHaveProperty('message', message)
  })
})

function decider(alarms = 0) {
  const model = compileEntity(Press)
  const state = fold(model, new Array(alarms).fill(Press.event.AlarmRaised({ code: 'HOT', value: 1 })))
  return { model, decide: (command: string, data: object): Decision => model.decide(state, model.commandIndex(command), data, ENVELOPE) }
}
