import { describe, expect, test } from 'vitest'
import { type AnyEntity, compileEntity } from '#entity/index.js'
import { given } from '#entity/given.js'
import { TRANSITIONS_PER_COMMAND_MAX } from '#entity/state-machine-run.js'
import { define, doorWith } from './door.js'

interface Context {
  readonly emit: { readonly Noted: (data: { readonly text: string }) => undefined }
  readonly goto: (state: string) => undefined
  readonly refuse: (code: string) => unknown
  readonly current: string
}
type Handler = (state: { readonly state: string | null }, command: never, context: Context) => unknown
type Hook = (
  state: { readonly state: string | null },
  context: Context,
  transition: { readonly from: string | null; readonly to: string; readonly command: { readonly command: string } },
) => void
interface State {
  readonly parent?: string
  readonly onEnter?: Hook
  readonly onExit?: Hook
  readonly on?: Readonly<Record<string, Handler>>
  readonly otherwise?: Handler
}

const definitionOf: (states: Readonly<Record<string, State>>, more?: object) => object = doorWith

/** Notes who was entered and exited, besides what the state does itself. */
function traced(states: Readonly<Record<string, State>>): Readonly<Record<string, State>> {
  return Object.fromEntries(
    Object.entries(states).map(([name, state]) => [
      name,
      {
        ...state,
        onEnter: (...[before, context, transition]: Parameters<Hook>) => {
          context.emit.Noted({ text: `enter ${name}` })
          state.onEnter?.(before, context, transition)
        },
        onExit: (...[before, context, transition]: Parameters<Hook>) => {
          context.emit.Noted({ text: `exit ${name}` })
          state.onExit?.(before, context, transition)
        },
      },
    ]),
  )
}

interface Done {
  readonly kind: string
  readonly events: readonly string[]
  readonly reply: unknown
  readonly code: string
  readonly detail: unknown
  readonly error: string | undefined
  /** Where the machine is afterwards, by its events. */
  readonly state: string | null
}

/** Sends the commands one after the other and tells what came of the last; a transition reads `A → B`. */
function after(entity: AnyEntity, ...commands: readonly [command: string, data?: object][]): Done {
  const model = compileEntity(entity)
  const state = model.initial() as { state: string | null }
  let done: Done | undefined
  for (const [command, data = {}] of commands) {
    const decision = model.decide(state, model.commandIndex(command), data, { at: 0, entity: 'door/a', source: '', correlation: '' })
    const events = decision.events.slice(0, decision.eventCount).map((one, index) => {
      const event = one as { readonly from?: string; readonly to?: string; readonly text?: string }
      model.apply(state, decision.eventIndexes[index] as number, one)
      return event.text ?? `${event.from ?? ''} → ${event.to}`
    })
    const { kind, reply, code, detail, error } = decision
    done = { kind, events, reply, code, detail, error: error?.message, state: state.state }
  }
  return done as Done
}

const go = (to: string): Readonly<Record<string, Handler>> => ({ go: (_state, _command, { goto }) => goto(to) })

describe('a type with states', () => {
  test('starts in the first one with its first command, and enters it', () => {
    const entity = define(definitionOf(traced({ A: { on: { push: () => 'pushed' } }, B: {} })))

    expect(after(entity, ['push', { force: 1 }])).toMatchObject({ events: [' → A', 'enter A'], reply: 'pushed', state: 'A' })
    expect(after(entity, ['push', { force: 1 }], ['push', { force: 1 }])).toMatchObject({ events: [], reply: 'pushed', state: 'A' })
    expect(compileEntity(entity).initial()).toEqual({ state: null, notes: 0 })
  })

  test('starts where it is told', () => {
    const entity = define(definitionOf(traced({ A: {}, B: { on: go('A') } }), { start: 'B' }))

    expect(after(entity, ['go']).events).toEqual([' → B', 'enter B', 'exit B', 'B → A', 'enter A'])
  })

  test('starts again with the next command when the first one was refused', () => {
    const entity = define(
      definitionOf(traced({ A: { on: { go: (_state, _command, { refuse }) => refuse('NO'), push: () => undefined } } })),
    )

    expect(after(entity, ['go'])).toMatchObject({ kind: 'refused', code: 'NO', events: [], state: null })
    expect(after(entity, ['go'], ['push', { force: 1 }]).events).toEqual([' → A', 'enter A'])
  })

  const say =
    (what: string): Handler =>
    (_state, command) => ({ what, ...(command as object) })
  const rows: readonly [string, Readonly<Record<string, State>>, unknown][] = [
    [
      'the current state’s receiver for the name',
      { A: { on: { push: say('A.push') }, otherwise: say('A.*') } },
      { what: 'A.push', force: 7 },
    ],
    ['then its catch-all', { A: { otherwise: say('A.*') } }, { what: 'A.*', command: 'push', data: { force: 7 } }],
    ['then the parent’s receiver', { A: { parent: 'P', on: {} }, P: { on: { push: say('P.push') } } }, { what: 'P.push', force: 7 }],
    [
      'then the parent’s catch-all',
      { A: { parent: 'P' }, P: { otherwise: say('P.*') } },
      { what: 'P.*', command: 'push', data: { force: 7 } },
    ],
    [
      'then the parent’s parent',
      { A: { parent: 'P' }, P: { parent: 'Q', on: { go: say('P.go') } }, Q: { on: { push: say('Q.push') } } },
      { what: 'Q.push', force: 7 },
    ],
    [
      'a child’s catch-all before a parent’s named receiver',
      { A: { parent: 'P', otherwise: say('A.*') }, P: { on: { push: say('P.push') } } },
      { what: 'A.*', command: 'push', data: { force: 7 } },
    ],
    [
      'a child’s receiver of another name not at all',
      { A: { parent: 'P', on: { go: say('A.go') } }, P: { on: { push: say('P.push') } } },
      { what: 'P.push', force: 7 },
    ],
  ]

  test.each(rows)('gives a command to %s', (_name, states, reply) => {
    expect(after(define(definitionOf(states)), ['push', { force: 7 }]).reply).toEqual(reply)
  })

  test('refuses what nothing handles, and goes on', () => {
    const entity = define(definitionOf({ A: { parent: 'P', on: { push: () => 'pushed' } }, P: {} }))

    expect(after(entity, ['push', { force: 1 }], ['go'])).toMatchObject({
      kind: 'refused',
      code: 'UNHANDLED',
      detail: { state: 'A', command: 'go' },
      state: 'A',
    })
    expect(after(entity, ['go'], ['push', { force: 1 }])).toMatchObject({ kind: 'done', reply: 'pushed' })
  })

  test('hands a hook where it comes from, where it goes and what caused it', () => {
    const seen: unknown[] = []
    const see: Hook = (before, { current }, transition) => void seen.push([before.state, current, transition])
    const entity = define(definitionOf({ A: { on: go('B'), onExit: see }, B: { onEnter: see } }))

    after(entity, ['go'])

    const command = { command: 'go', data: {} }
    expect(seen).toEqual([
      [null, 'A', { from: 'A', to: 'B', command }],
      [null, 'B', { from: 'A', to: 'B', command }],
    ])
  })

  test('tells where it is now, which the state before the command does not', () => {
    const entity = define(
      definitionOf({
        A: {
          on: {
            go(state, _command, context) {
              const before = context.current
              context.goto('B')
              return [state.state, before, context.current]
            },
          },
        },
        B: {},
      }),
    )

    expect(after(entity, ['go']).reply).toEqual([null, 'A', 'B'])
  })

  test('lets apply do more with a transition', () => {
    const entity = define(
      definitionOf(
        { A: { on: go('B') }, B: { on: go('A') } },
        {
          applyTransition(state: { notes: number; state: string }, { to }: { to: string }) {
            state.notes += state.state === to ? 1 : 99
          },
        },
      ),
    )

    given(entity as never, [{ event: 'Transitioned', data: { to: 'A' } } as never]).thenState({ state: 'A', notes: 1 } as never)
  })

  test('keeps its event to itself', () => {
    const entity = define(definitionOf({ A: { on: { go: (_state, _command, { emit }) => Object.keys(emit) } } }))

    expect(after(entity, ['go']).reply).toEqual(['Noted'])
  })
})

describe('a transition', () => {
  const START = [' → A', 'enter A']

  test.each<[string, Readonly<Record<string, State>>, readonly string[]]>([
    ['exits the one and enters the other', { A: { on: go('B') }, B: {} }, ['exit A', 'A → B', 'enter B']],
    [
      'leaves parents alone, going to a sibling',
      { A: { parent: 'P', on: go('B') }, B: { parent: 'P' }, P: {} },
      ['exit A', 'A → B', 'enter B'],
    ],
    [
      'leaves parents alone, going to a state of another parent',
      { A: { parent: 'P', on: go('B') }, B: { parent: 'Q' }, P: {}, Q: {} },
      ['exit A', 'A → B', 'enter B'],
    ],
    [
      'exits the child when it goes to its parent, which it enters',
      { A: { parent: 'P', on: go('P') }, P: {} },
      ['exit A', 'A → P', 'enter P'],
    ],
    [
      'exits a parent that it was in when it goes to a child of it',
      { A: { on: go('B') }, B: { parent: 'A' } },
      ['exit A', 'A → B', 'enter B'],
    ],
    ['to the same state exits and enters it', { A: { on: go('A') } }, ['exit A', 'A → A', 'enter A']],
    [
      'by a parent’s receiver starts from the state that is current',
      { A: { parent: 'P' }, P: { on: go('B') }, B: {} },
      ['exit A', 'A → B', 'enter B'],
    ],
    [
      'in onEnter is nested and happens at once',
      {
        A: { on: go('B') },
        B: {
          onEnter(_before, { goto, emit }) {
            goto('C')
            emit.Noted({ text: 'rest of B’s onEnter' })
          },
        },
        C: {},
      },
      ['exit A', 'A → B', 'enter B', 'exit B', 'B → C', 'enter C', 'rest of B’s onEnter'],
    ],
    [
      'in onExit happens first, and the one under way leaves from there; each state is exited once',
      { A: { on: go('B'), onExit: (_before, { goto }) => goto('C') }, B: {}, C: {} },
      ['exit A', 'A → C', 'enter C', 'exit C', 'C → B', 'enter B'],
    ],
    [
      'in onExit to the same state enters it again, and leaves it when it is exited in peace',
      {
        A: {
          on: go('B'),
          onExit: (_before, { goto, emit }, { to }) => {
            emit.Noted({ text: `to ${to}` })
            if (to === 'B' && exits++ === 0) goto('A')
          },
        },
        B: {},
      },
      ['exit A', 'to B', 'A → A', 'enter A', 'exit A', 'to B', 'A → B', 'enter B'],
    ],
    [
      'happens where goto stands, as often as it stands there',
      {
        A: {
          on: {
            go(_state, _command, { goto, emit }) {
              emit.Noted({ text: 'before' })
              goto('B')
              emit.Noted({ text: 'between' })
              goto('A')
            },
          },
        },
        B: {},
      },
      ['before', 'exit A', 'A → B', 'enter B', 'between', 'exit B', 'B → A', 'enter A'],
    ],
  ])('%s', (_name, states, events) => {
    exits = 0

    const { kind, events: got } = after(define(definitionOf(traced(states))), ['go'])

    expect(kind).toBe('done')
    expect(got).toEqual([...START, ...events])
  })

  let exits = 0

  test('at the start, in onEnter, is nested too', () => {
    const first: State = { on: { push: () => undefined } }
    const entity = define(definitionOf(traced({ first, second: { onEnter: (_before, { goto }) => goto('first') } }), { start: 'second' }))

    expect(after(entity, ['push', { force: 0 }]).events).toEqual([
      ' → second',
      'enter second',
      'exit second',
      'second → first',
      'enter first',
    ])
  })

  test.each<[string, Readonly<Record<string, State>>, string]>([
    [
      'to a state that there is not fails the command before anything is left',
      { A: { on: go('Nowhere') } },
      'door: goto Nowhere: there is no such state, only A',
    ],
    ['to no state at all fails it', { A: { on: go(undefined as never) } }, 'door: goto undefined: there is no such state, only A'],
    [
      'in onEnter that never comes to rest is bounded',
      { A: { on: go('B') }, B: { onEnter: (_before, { goto }) => goto('B') } },
      `door: more than ${TRANSITIONS_PER_COMMAND_MAX} transitions of one command, the last one from B to B: goto in onEnter and onExit must come to rest`,
    ],
    [
      'in onExit that never comes to rest is bounded',
      { A: { on: go('B'), onExit: (_before, { goto }) => goto('B') }, B: { onExit: (_before, { goto }) => goto('A') } },
      `door: more than ${TRANSITIONS_PER_COMMAND_MAX} transitions of one command, the last one from B to A: goto in onEnter and onExit must come to rest`,
    ],
    [
      'that fails and is caught still fails the command',
      {
        A: {
          on: {
            go(_state, _command, { goto }) {
              try {
                goto('Nowhere')
              } catch {
                return 'nothing happened'
              }
              return undefined
            },
          },
        },
      },
      'door: goto Nowhere: there is no such state, only A',
    ],
    [
      'whose hook returns a promise fails the command',
      { A: { on: go('B') }, B: { onEnter: () => ({ then: () => undefined }) } },
      'door: onEnter or onExit on the way from A to B returned a promise: they are synchronous, as decide is',
    ],
  ])('%s', (_name, states, error) => {
    expect(after(define(definitionOf(states)), ['go'])).toMatchObject({ kind: 'failed', events: [], error, state: null })
  })

  test('after the command was decided throws', () => {
    let kept: Context['goto'] = () => undefined
    const entity = define(definitionOf({ A: { on: { go: (_state, _command, { goto }) => void (kept = goto) } } }))
    after(entity, ['go'])

    expect(() => kept('A')).toThrow('door: goto was called after the command had been decided')
  })

  test('is discarded with everything else when a hook refuses', () => {
    const entity = define(definitionOf({ A: { on: go('B') }, B: { onEnter: (_before, { refuse }) => void refuse('JAMMED') } }))

    expect(after(entity, ['go'])).toMatchObject({ kind: 'refused', code: 'JAMMED', events: [], state: null })
  })
})
