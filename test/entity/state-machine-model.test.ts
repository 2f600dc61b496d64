import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AnyEntity, compileEntity, defineEntity, label } from '#entity/index.js'
import { TRANSITIONS_PER_COMMAND_MAX } from '#entity/state-machine-run.js'
import { decideSlowly, type ModelMachine, type ModelOutcome, type ModelState, type Step } from '../models/state-machine.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'

const NAMES = ['A', 'B', 'C', 'D', 'E']
const COMMANDS = ['go', 'stop', 'look']

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('note' as const), text: fc.constantFrom('x', 'y', 'z') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('goto' as const), to: fc.constantFrom(...NAMES), isOnce: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const) }) },
)
const steps = fc.array(step, { maxLength: 3 })
/** Half of them go on, so that some machines never come to rest. */
const hook = fc.option(fc.array(step, { minLength: 1, maxLength: 3 }), { nil: undefined })

/** Parents stand behind their children in the list, so that none is its own. */
const machine: fc.Arbitrary<ModelMachine> = fc
  .tuple(
    ...NAMES.map((_, index) =>
      fc.record({
        parent: fc.option(fc.constantFrom(...NAMES.slice(index + 1), undefined), { nil: undefined }),
        onEnter: hook,
        onExit: hook,
        on: fc.dictionary(fc.constantFrom(...COMMANDS), steps, { maxKeys: 2 }),
        otherwise: fc.option(steps, { nil: undefined, freq: 2 }),
      }),
    ),
    fc.constantFrom(...NAMES),
  )
  .map((parts) => ({
    start: parts.at(-1) as string,
    states: Object.fromEntries(NAMES.map((name, index) => [name, withoutAbsent(parts[index] as object)])),
  }))

/** The machine as a user would write it. */
function entityOf({ states, start }: ModelMachine): AnyEntity {
  let transitions = 0
  const play =
    (list: readonly Step[], isEntry = false) =>
    (context: PlayContext): void => {
      if (isEntry) transitions++
      for (const one of list) {
        if (one.do === 'note') context.emit.Noted({ text: one.text })
        else if (one.do === 'refuse') context.refuse('NO')
        else if (!one.isOnce || transitions % 2 === 0) context.goto(one.to)
      }
    }
  const receiver =
    (list: readonly Step[], isWhole = false) =>
    (_state: unknown, command: { command?: string }, context: PlayContext) => {
      if (isWhole) context.emit.Noted({ text: `whole ${command.command}` })
      play(list)(context)
    }
  const define = defineEntity as unknown as (definition: unknown) => AnyEntity
  const entity = define({
    name: 'machine',
    events: { Noted: { text: label() } },
    commands: Object.fromEntries(COMMANDS.map((command) => [command, {}])),
    initial: () => ({ notes: 0 }),
    start,
    states: Object.fromEntries(
      Object.entries(states).map(([name, { parent, onEnter = [], onExit, on = {}, otherwise }]) => [
        name,
        withoutAbsent({
          parent,
          onEnter: (_state: unknown, context: PlayContext) => play(onEnter, true)(context),
          onExit: onExit && ((_state: unknown, context: PlayContext) => play(onExit)(context)),
          on: Object.fromEntries(Object.entries(on).map(([command, list]) => [command, receiver(list)])),
          otherwise: otherwise && receiver(otherwise, true),
        }),
      ]),
    ),
    apply: { Noted: (state: { notes: number }) => void state.notes++ },
  })
  // Each command counts its own transitions.
  const decide = Object.fromEntries(
    Object.entries(entity.decide).map(([command, handler]) => [
      command,
      (...args: unknown[]) => {
        transitions = 0
        return (handler as (...all: unknown[]) => unknown)(...args)
      },
    ]),
  )
  return { ...entity, decide }
}

interface PlayContext {
  readonly emit: { readonly Noted: (data: { readonly text: string }) => void }
  readonly refuse: (code: string) => unknown
  readonly goto: (to: string) => void
}

function withoutAbsent<T extends object>(value: T): ModelState {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined))
}

describe('any machine', () => {
  test('does what its slow twin does, command by command, and is where replay says', { timeout: isSoak ? 0 : 30_000 }, () => {
    const seed = soakSeed(20261122)
    const kinds = new Set<string>()
    fc.assert(
      fc.property(machine, fc.array(fc.constantFrom(...COMMANDS), { minLength: 1, maxLength: 6 }), (table, commands) => {
        const model = compileEntity(entityOf(table))
        const state = model.initial() as { state: string | null }
        for (const command of commands) {
          const expected = decideSlowly(table, state.state, command, TRANSITIONS_PER_COMMAND_MAX)
          kinds.add(expected.kind)

          const envelope = { at: 0, entity: 'machine/a', source: '', correlation: '' }
          const decision = model.decide(state, model.commandIndex(command), {}, envelope)
          const events = decision.events.slice(0, decision.eventCount).map((data, index) => ({
            eventIndex: decision.eventIndexes[index] as number,
            data: data as { readonly from?: string; readonly to?: string; readonly text?: string },
          }))
          const { kind, code } = decision
          for (const { eventIndex, data } of events) model.apply(state, eventIndex, data)

          const got = { kind, code, events: events.map(({ data }) => data.text ?? `${data.from ?? ''} → ${data.to}`), state: state.state }
          expect(pick(got)).toEqual(expected)
        }
      }),
      { numRuns: soakTimes({ smoke: 150, full: 50_000 }), seed },
    )
    expect([...kinds].sort()).toEqual(['done', 'failed', 'refused'])
  })
})

function pick({ kind, code, events, state }: { kind: string; code: string; events: string[]; state: string | null }): ModelOutcome {
  if (kind === 'done') return { kind, events, state: state ?? '' }
  return kind === 'refused' ? { kind, code } : { kind: 'failed' }
}
