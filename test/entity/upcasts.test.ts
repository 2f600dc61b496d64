import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { formerEvent, given } from '#entity/given.js'
import { checkPurity } from '#entity/purity.js'
import {
  type AnyEntity,
  compileEntity,
  decodeBase,
  decodeSnapshot,
  defineEntity,
  encodeSnapshot,
  type Fields,
  f64,
  i32,
  label,
  StoredEvents,
} from '#entity/index.js'
import { type Data, fieldSchemas } from '#schema/index.js'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64('°C'), mode: label({ default: 'auto' }) } },
  commands: {},
  initial: () => ({ seen: [] as unknown[] }),
  decide: {},
  apply: {
    Sampled(state, event) {
      state.seen.push(event)
    },
  },
  upcast: {
    Sampled: [
      { event: 'Measured', from: { heat: f64('°F') }, to: ({ heat }) => ({ temp: heat }) },
      { from: { temp: f64('°F') }, to: ({ temp }) => ({ temperature: (temp - 32) / 1.8 }) },
    ],
  },
  dropped: ['Calibrated'],
})

function foldStored(entity: AnyEntity, shapes: readonly [event: string, fields: Fields][], rows: readonly [shape: number, data: Data][]) {
  const model = compileEntity(entity)
  const types = shapes.map(([event, fields], index) => ({ entity: 'press', event, fields: fieldSchemas(fields), number: index + 1 }))
  const events = new StoredEvents([model], types)
  const state = model.initial()
  for (const [shape, data] of rows) events.apply(shape, state, data)
  return (state as { seen: unknown[] }).seen
}

describe('events of former shapes', () => {
  test('go through all steps up to the present one, from wherever they stand', () => {
    const seen = foldStored(
      Press,
      [
        ['Measured', { heat: f64('°F') }],
        ['Sampled', { temp: f64('°F') }],
        ['Sampled', { temperature: f64('°C') }],
        ['Sampled', Press.events.Sampled],
        ['Calibrated', { by: label() }],
      ],
      [
        [1, { heat: 212 }],
        [2, { temp: 32 }],
        [3, { temperature: 7 }],
        [5, { by: 'me' }],
        [4, { temperature: 8, mode: 'manual' }],
      ],
    )

    expect(seen).toEqual([
      { temperature: 100, mode: 'auto' },
      { temperature: 0, mode: 'auto' },
      { temperature: 7, mode: 'auto' },
      { temperature: 8, mode: 'manual' },
    ])
  })

  test('keep the default that a field was added with when that is changed later', () => {
    const Later = { ...Press, events: { Sampled: { temperature: f64('°C'), mode: label({ default: 'eco' }) } } }

    const seen = foldStored(
      Later,
      [
        ['Sampled', { temperature: f64('°C') }],
        ['Sampled', Press.events.Sampled],
        ['Sampled', Later.events.Sampled],
      ],
      [[1, { temperature: 1 }]],
    )

    expect(seen).toEqual([{ temperature: 1, mode: 'auto' }])
  })

  test('are read as the next shape that is declared, though the present one would do', () => {
    const was = { n: i32(), f: i32({ default: 1 }) }
    const Meant = {
      ...Press,
      events: { Sampled: { n: i32(), g: label({ default: 'new' }) } },
      upcast: { Sampled: [{ from: was, to: ({ n, f }: { n: number; f: number }) => ({ n: n * 10 + f }) }] },
    }
    const stored: [string, Fields][] = [
      ['Sampled', { n: i32() }],
      ['Sampled', was],
      ['Sampled', Meant.events.Sampled],
    ]

    const seen = foldStored(Meant, stored, [
      [1, { n: 5 }],
      [2, { n: 6, f: 2 }],
      [3, { n: 7, g: 'x' }],
    ])

    expect(seen).toEqual([
      { n: 51, g: 'new' },
      { n: 62, g: 'new' },
      { n: 7, g: 'x' },
    ])
  })

  test('of a type that nothing is declared about are refused', () => {
    const fold = () => foldStored(Press, [['Heated', {}]], [[1, {}]])

    expect(fold).toThrow('the log has an event that this plant cannot read')
  })

  test.each<[string, () => object, string]>([
    ['throws', () => JSON.parse('{'), 'it threw: '],
    ['leaves a field out', () => ({}), 'temperature: missing, expected a number'],
    ['makes up a field', () => ({ temperature: 1, farce: 2 }), 'farce: unknown field'],
    ['returns a promise', async () => ({ temperature: 1 }), 'it returned a promise'],
  ])('whose upcaster %s are an error that names event and shape', (_, to, what) => {
    const Broken = { ...Press, upcast: { Sampled: [{ from: { temp: f64() }, to }] } }
    let thrown: unknown
    try {
      foldStored(Broken, [['Sampled', { temp: f64() }]], [[1, { temp: 1 }]])
    } catch (error) {
      thrown = error
    }

    expect(isMillraceError(thrown, 'ERR_UPCAST_FAILED'), String(thrown)).toBe(true)
    expect(String(thrown)).toContain(what)
    expect(thrown).toHaveProperty('values', { event: 'press.Sampled', from: 'former shape 1 of 1' })
  })

  test('are taken by tests, and checked for purity with apply', () => {
    const impure = { from: { temp: f64() }, to: () => ({ temperature: Date.now() }) }
    const Impure = { ...Press, upcast: { Sampled: [impure] } }

    given(Press, [formerEvent('Measured', { heat: 212 })]).thenState({ seen: [{ temperature: 100, mode: 'auto' }] })
    expect(() => given(Press, [formerEvent('Measured', { head: 212 })])).toThrow('the type has only Sampled')
    expect(checkPurity(Press, [{ event: 'Measured', data: { heat: 1 } }]).isPure).toBe(true)
    expect(checkPurity(Impure, [{ event: 'Sampled', data: { temp: 1 } }])).toMatchObject({ isPure: false, event: 'Sampled' })
  })

  test('come out as a slow twin makes them that takes every change one by one', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('rename', 'widen', 'add', 'drop', 'turn'), { maxLength: 10 }), (changes) => {
        const history = changes.reduce(changed, [{ fields: { value: i32() }, twin: (old) => old, isDeclared: false }])
        const last = history.length - 1
        const { fields } = history[last] as Change
        const steps = history.flatMap(({ isDeclared, twin }, index) =>
          isDeclared ? [{ from: (history[index - 1] as Change).fields, to: twin }] : [],
        )
        const Changed = { ...Press, events: { Sampled: fields }, upcast: { Sampled: steps } }
        const data = history.map((one, index) => sampleOf(one.fields, index))

        const seen = foldStored(
          Changed,
          history.map((one) => ['Sampled', one.fields]),
          data.map((one, index) => [index + 1, { ...one }]),
        )

        const expected = data.map((one, index) => history.slice(index + 1).reduce((now, { twin }) => twin(now), one))
        expect(seen).toEqual(expected)
      }),
      { numRuns: 300 },
    )
  })
})

interface Change {
  readonly fields: Fields
  /** What becomes of data of the shape before. */
  readonly twin: (old: Data) => Data
  readonly isDeclared: boolean
}

/** The history with one change more; without it where it would bring a shape back that was there before. */
function changed(history: readonly Change[], kind: string, index: number): Change[] {
  const before = (history.at(-1) as Change).fields
  const [first, field] = Object.entries(before)[0] as [string, Fields[string]]
  const { [first]: _, ...others } = before
  const name = `field${index}`
  const next = ((): Change => {
    switch (kind) {
      case 'rename':
        return {
          fields: { [name]: field, ...others },
          twin: ({ [first]: value, ...rest }) => ({ [name]: value, ...rest }),
          isDeclared: true,
        }
      case 'widen':
        return { fields: { [first]: field.kind === 'i32' ? f64() : field, ...others }, twin: (old) => old, isDeclared: false }
      case 'add':
        return { fields: { [name]: label({ default: name }), ...before }, twin: (old) => ({ [name]: name, ...old }), isDeclared: false }
      case 'drop':
        return { fields: { ...others, [name]: i32() }, twin: ({ [first]: __, ...rest }) => ({ ...rest, [name]: index }), isDeclared: true }
      default:
        return { fields: Object.fromEntries(Object.entries(before).reverse()), twin: (old) => old, isDeclared: false }
    }
  })()
  const key = (fields: Fields) => JSON.stringify(fieldSchemas(fields))
  return history.some(({ fields }) => key(fields) === key(next.fields)) ? [...history] : [...history, next]
}

function sampleOf(fields: Fields, index: number): Data {
  return Object.fromEntries(
    Object.entries(fields).map(([name, { kind }], at) => [name, kind === 'label' ? `text${index}` : 100 * index + at]),
  )
}

describe('a snapshot made before a change', () => {
  const model = compileEntity(Press)
  const bytes = encodeSnapshot(model, { state: { seen: [1] }, outcomes: undefined, latestAt: 5 })

  test.each<[string, Partial<AnyEntity>]>([
    ['of an event', { events: { Sampled: { temperature: f64('K'), mode: label({ default: 'auto' }) } } }],
    ['of what is upcast', { upcast: {} }],
    ['of what is dropped', { dropped: [] }],
    ['of the first state', { initial: () => ({ seen: [1] }) }],
    ['of stateVersion', { stateVersion: 2 }],
  ])('%s is passed over', (_, part) => {
    expect(decodeSnapshot(compileEntity({ ...Press, ...part }), bytes).kind).toBe('mismatch')
    expect(decodeSnapshot(compileEntity({ ...Press }), bytes).kind).toBe('ok')
  })

  test('is good as a base as long as the state has the same shape', () => {
    const otherEvents = compileEntity({ ...Press, upcast: {}, initial: () => ({ seen: [1, 2] }) })
    const otherState = compileEntity({ ...Press, initial: () => ({ seen: [], count: 0 }) })

    expect(decodeBase(otherEvents, bytes)).toMatchObject({ kind: 'ok', state: { seen: [1] }, latestAt: 5 })
    expect(decodeBase(otherState, bytes)).toEqual({ kind: 'mismatch', reason: 'the state of press has another shape since' })
  })

  test('is turned by upcastState where it is a base and the state has another shape', () => {
    const upcastState = (old: unknown) => ({ ...(old as { seen: unknown[] }), count: (old as { seen: unknown[] }).seen.length })
    const initial = () => ({ seen: [], count: 0 })
    const broken = () => JSON.parse('{')

    expect(decodeBase(compileEntity({ ...Press, initial, upcastState }), bytes)).toMatchObject({
      kind: 'ok',
      state: { seen: [1], count: 1 },
    })
    expect(decodeBase(compileEntity({ ...Press, initial, upcastState: broken }), bytes)).toMatchObject({
      kind: 'mismatch',
      reason: expect.stringContaining('upcastState of press failed'),
    })
    expect(decodeBase(compileEntity({ ...Press, initial, upcastState: () => 5 }), bytes).kind).toBe('mismatch')
  })
})
