import { describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { given } from '#entity/given.js'
import { defineEntity, f64 } from '#entity/index.js'
import { PACKML_COMMANDS, PACKML_STATES, packml, type PackmlCommand, type PackmlState } from '#packml/index.js'

const Press = defineEntity({ name: 'press', ...packml() })
const { Transitioned, ModeChanged, Counted, ReasonGiven } = Press.event

const STATES = Object.keys(PACKML_STATES) as PackmlState[]
const COMMANDS = Object.keys(PACKML_COMMANDS) as PackmlCommand[]

/** The table of the standard, written down once more: where each command and "state complete" lead. What is not here is refused. */
const TABLE: Readonly<Record<PackmlState, Readonly<Partial<Record<PackmlCommand | 'stateComplete', PackmlState>>>>> = {
  Clearing: { abort: 'Aborting', stateComplete: 'Stopped' },
  Stopped: { reset: 'Resetting', abort: 'Aborting' },
  Starting: { stop: 'Stopping', abort: 'Aborting', stateComplete: 'Execute' },
  Idle: { start: 'Starting', stop: 'Stopping', abort: 'Aborting' },
  Suspended: { hold: 'Holding', unsuspend: 'Unsuspending', complete: 'Completing', stop: 'Stopping', abort: 'Aborting' },
  Execute: {
    hold: 'Holding',
    suspend: 'Suspending',
    complete: 'Completing',
    stop: 'Stopping',
    abort: 'Aborting',
    stateComplete: 'Completing',
  },
  Stopping: { abort: 'Aborting', stateComplete: 'Stopped' },
  Aborting: { stateComplete: 'Aborted' },
  Aborted: { clear: 'Clearing' },
  Holding: { stop: 'Stopping', abort: 'Aborting', stateComplete: 'Held' },
  Held: { unhold: 'Unholding', complete: 'Completing', stop: 'Stopping', abort: 'Aborting' },
  Unholding: { stop: 'Stopping', abort: 'Aborting', stateComplete: 'Execute' },
  Suspending: { stop: 'Stopping', abort: 'Aborting', stateComplete: 'Suspended' },
  Unsuspending: { stop: 'Stopping', abort: 'Aborting', stateComplete: 'Execute' },
  Resetting: { stop: 'Stopping', abort: 'Aborting', stateComplete: 'Idle' },
  Completing: { stop: 'Stopping', abort: 'Aborting', stateComplete: 'Complete' },
  Complete: { reset: 'Resetting', stop: 'Stopping', abort: 'Aborting' },
}
const WAIT: ReadonlySet<PackmlState> = new Set(['Stopped', 'Idle', 'Suspended', 'Aborted', 'Held', 'Complete'])

const pairs = STATES.flatMap((state) => COMMANDS.map((command) => [state, command, TABLE[state][command]] as const))

describe('a PackML machine', () => {
  test.each(pairs.filter(([, , to]) => to !== undefined))('in %s goes by %s to %s', (from, command, to) => {
    const machine = given(Press, [Transitioned({ to: from })])

    machine.when[command]({})
      .then([Transitioned({ from, to: to as PackmlState })])
      .thenReply({ state: to })
  })

  test.each(pairs.filter(([, , to]) => to === undefined))('in %s refuses %s', (from, command) => {
    given(Press, [Transitioned({ to: from })])
      .when[command]({})
      .thenRefused('UNHANDLED', { state: from, command })
  })

  test.each(STATES.map((state) => [state, TABLE[state].stateComplete] as const))('in %s, when that is complete, goes to %s', (from, to) => {
    const done = given(Press, [Transitioned({ to: from })]).when.stateComplete({})

    expect(to === undefined).toBe(WAIT.has(from))
    done.then(to === undefined ? [] : [Transitioned({ from, to })]).thenReply({ state: to ?? from })
  })

  test('has the numbers of the standard', () => {
    expect(Object.values(PACKML_STATES)).toEqual(Array.from({ length: 17 }, (_, index) => index + 1))
    expect(Object.values(PACKML_COMMANDS)).toEqual(Array.from({ length: 10 }, (_, index) => index + 1))
  })

  test('begins stopped, in production', () => {
    given(Press)
      .when.reset({})
      .then([Transitioned({ to: 'Stopped' }), Transitioned({ from: 'Stopped', to: 'Resetting' })])
      .thenState({ state: 'Resetting', mode: 'Production', speed: 0, consumed: 0, produced: 0, defective: 0, reason: null })
  })

  test('does not complete a state by a late word about another one', () => {
    const starting = given(Press, [Transitioned({ to: 'Starting' })])

    starting.when.stateComplete({ state: 'Resetting' }).then([]).thenReply({ state: 'Starting' })
    starting.when.stateComplete({ state: 'Starting' }).then([Transitioned({ from: 'Starting', to: 'Execute' })])
  })

  test('keeps the reason that a command gave', () => {
    given(Press, [Transitioned({ to: 'Execute' })])
      .when.hold({ reason: 'no glue' })
      .then([ReasonGiven({ command: 'hold', reason: 'no glue' }), Transitioned({ from: 'Execute', to: 'Holding' })])
      .thenState({ state: 'Holding', mode: 'Production', speed: 0, consumed: 0, produced: 0, defective: 0, reason: 'no glue' })
  })

  test('adds counts up until they are reset, and takes none below zero', () => {
    const counted = given(Press, [Transitioned({ to: 'Execute' }), Counted({ consumed: 4, produced: 3, defective: 1 })])

    counted.when
      .count({ produced: 2 })
      .then([Counted({ consumed: 0, produced: 2, defective: 0 })])
      .thenReply({ produced: 5, defective: 1 })
    counted.when
      .resetCounts({})
      .thenState({ state: 'Execute', mode: 'Production', speed: 0, consumed: 0, produced: 0, defective: 0, reason: null })
    counted.when.count({ produced: 1, defective: -1 }).thenRefused('NOT_A_COUNT', { field: 'defective' })
  })

  test('may be held from more states where that is chosen', () => {
    const Careful = defineEntity({ name: 'careful', ...packml({ holdFrom: ['Starting', 'Completing'] }) })

    for (const from of ['Starting', 'Completing', 'Execute', 'Suspended'] as const)
      given(Careful, [Careful.event.Transitioned({ to: from })])
        .when.hold({})
        .thenReply({ state: 'Holding' })
    given(Careful, [Careful.event.Transitioned({ to: 'Unholding' })])
      .when.hold({})
      .thenRefused('UNHANDLED')
  })

  test('is a part of a larger type', () => {
    const parts = packml()
    const Oven = defineEntity({
      name: 'oven',
      ...parts,
      events: { ...parts.events, Heated: { temperature: f64('°C') } },
      commands: { ...parts.commands, heat: { temperature: f64('°C') } },
      initial: () => ({ ...parts.initial(), temperature: 20 }),
      states: {
        ...parts.states,
        Machine: {
          on: {
            ...parts.states.Machine.on,
            heat(oven, command, { emit, refuse }) {
              if (oven.mode === 'Maintenance') return refuse('HANDS_INSIDE')
              emit.Heated(command)
              return oven.temperature
            },
          },
        },
        Starting: { ...parts.states.Starting, onEnter: (_oven, { emit }) => emit.Heated({ temperature: 180 }) },
      },
      apply: { ...parts.apply, Heated: (oven, { temperature }) => void (oven.temperature = temperature) },
    })
    const { Heated, Transitioned: Went, ModeChanged: Changed } = Oven.event

    given(Oven, [Went({ to: 'Idle' })])
      .when.start({})
      .then([Went({ from: 'Idle', to: 'Starting' }), Heated({ temperature: 180 })])
    given(Oven, [Went({ to: 'Execute' })])
      .when.heat({ temperature: 99 })
      .thenReply(20)
    given(Oven, [Went({ to: 'Stopped' }), Changed({ from: 'Production', to: 'Maintenance' })])
      .when.heat({ temperature: 99 })
      .thenRefused('HANDS_INSIDE')
  })
})

describe('the mode of a PackML machine', () => {
  const Filler = defineEntity({
    name: 'filler',
    ...packml({
      modes: {
        Production: { number: 1 },
        Manual: {
          number: 3,
          disabled: ['Holding', 'Held', 'Unholding', 'Suspending', 'Suspended', 'Unsuspending', 'Starting', 'Completing'],
        },
        Cleaning: { number: 4, disabled: ['Resetting', 'Starting', 'Completing', 'Complete', 'Stopping', 'Aborting', 'Clearing'] },
      },
      changeModeIn: ['Stopped', 'Idle', 'Aborted', 'Held'],
    }),
  })
  const { Transitioned: Went, ModeChanged: Changed } = Filler.event

  test.each(STATES)('changes in %s only if that is a state for it', (state) => {
    const changed = given(Press, [Transitioned({ to: state })]).when.setMode({ mode: 'Maintenance' })

    if (['Stopped', 'Idle', 'Aborted'].includes(state)) changed.then([ModeChanged({ from: 'Production', to: 'Maintenance' })])
    else changed.thenRefused('MODE_LOCKED', { state, changeIn: ['Stopped', 'Idle', 'Aborted'] })
  })

  test('stays without an event where it is that already', () => {
    given(Press, [Transitioned({ to: 'Idle' })])
      .when.setMode({ mode: 'Production' })
      .then([])
      .thenReply({ mode: 'Production' })
  })

  test('does not change to one that has not the state', () => {
    given(Filler, [Went({ to: 'Held' })])
      .when.setMode({ mode: 'Manual' })
      .thenRefused('STATE_DISABLED', { state: 'Held', mode: 'Manual' })
  })

  test.each([
    ['Manual', 'Idle', 'start', 'Execute'],
    ['Manual', 'Execute', 'complete', 'Complete'],
    ['Manual', 'Execute', 'stateComplete', 'Complete'],
    ['Manual', 'Complete', 'reset', 'Resetting'],
    ['Cleaning', 'Stopped', 'reset', 'Idle'],
    ['Cleaning', 'Execute', 'stop', 'Stopped'],
    ['Cleaning', 'Execute', 'abort', 'Aborted'],
    ['Cleaning', 'Aborted', 'clear', 'Stopped'],
    ['Production', 'Aborted', 'clear', 'Clearing'],
  ] as const)('passes through what it does without: in %s, %s goes by %s to %s', (mode, from, command, to) => {
    const past = [Went({ to: from }), ...(mode === 'Production' ? [] : [Changed({ from: 'Production', to: mode })])]

    given(Filler, past)
      .when[command]({})
      .then([Went({ from, to })])
  })

  test.each([
    ['Manual', 'Execute', 'hold', 'Holding'],
    ['Manual', 'Execute', 'suspend', 'Suspending'],
    ['Cleaning', 'Execute', 'complete', 'Completing'],
    ['Cleaning', 'Execute', 'stateComplete', 'Completing'],
  ] as const)('refuses what would end in a wait state that it has not: in %s, %s refuses %s', (mode, from, command, state) => {
    given(Filler, [Went({ to: from }), Changed({ from: 'Production', to: mode })])
      .when[command]({})
      .thenRefused('STATE_DISABLED', { state, mode })
  })
})

describe('a PackML machine that is defined wrongly', () => {
  const define = packml as (options: unknown) => unknown

  test.each<[string, object, string]>([
    ['modes', { modes: {} }, 'at least one mode'],
    ['modes.Test.number', { modes: { Test: { number: 0 } } }, 'a whole number from 1'],
    ['modes.B.number', { modes: { A: { number: 4 }, B: { number: 4 } } }, 'another mode has it'],
    ['modes.A.disabled', { modes: { A: { number: 1, disabled: ['Execute'] } } }, 'every mode has Execute'],
    ['modes.A.disabled', { modes: { A: { number: 1, disabled: ['Running'] } } }, 'there is no state Running'],
    ['modes.A.disabled', { modes: { A: { number: 1, disabled: ['Held', 'Holding'] } } }, 'a mode without Held is without Unholding too'],
    ['changeModeIn', { changeModeIn: ['Stopped', 'Execute'] }, 'Execute is none'],
    ['holdFrom', { holdFrom: ['Aborted'] }, 'and not from Aborted'],
  ])('is refused at %s, case %#', (path, options, next) => {
    let thrown: unknown
    try {
      define(options)
    } catch (error) {
      thrown = error
    }

    expect(isMillraceError(thrown, 'ERR_ENTITY_DEFINITION'), String(thrown)).toBe(true)
    expect(thrown).toHaveProperty('values', { path: `packml.${path}` })
    expect(thrown).toHaveProperty('message', expect.stringContaining(next))
  })
})
