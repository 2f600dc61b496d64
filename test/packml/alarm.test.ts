import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { given } from '#entity/given.js'
import { compileEntity, defineEntity } from '#entity/index.js'
import { ALARM_STATES, alarm, type AlarmState } from '#packml/index.js'
import { openPlant } from '#runtime/inline-plant.js'

const Alarm = defineEntity({ name: 'alarm', ...alarm({ priority: 1 }) })
const Latching = defineEntity({ name: 'latching', ...alarm({ isLatching: true }) })
const { Transitioned, Raised, Returned, Operated, Shelved } = Alarm.event

const STATES = Object.keys(ALARM_STATES) as AlarmState[]
const AT = Date.UTC(2026, 0, 1) * 1000
const ANN = { operator: 'ann' }

/** What each command is sent with. */
const COMMANDS = {
  raise: {},
  returnToNormal: {},
  acknowledge: ANN,
  reset: ANN,
  shelve: ANN,
  unshelve: ANN,
  suppress: {},
  unsuppress: {},
  removeFromService: ANN,
  returnToService: ANN,
} as const
type Command = keyof typeof COMMANDS

/** Where each command leads: `=` is heard and stays, what is not here is refused. The condition holds in the states that say so, and in G, H and I as the column says. */
const ASIDE = { shelve: 'Shelved', suppress: 'Suppressed', removeFromService: 'OutOfService' } as const
const TABLE: readonly (readonly [AlarmState, isActive: boolean, Readonly<Partial<Record<Command, AlarmState | '='>>>])[] = [
  ['Normal', false, { raise: 'Unacknowledged', returnToNormal: '=', ...ASIDE }],
  ['Unacknowledged', true, { raise: '=', returnToNormal: 'Returned', acknowledge: 'Acknowledged', ...ASIDE }],
  ['Acknowledged', true, { raise: '=', returnToNormal: 'Normal', ...ASIDE }],
  ['Returned', false, { raise: 'Unacknowledged', returnToNormal: '=', acknowledge: 'Normal', ...ASIDE }],
  ['LatchedUnacknowledged', false, { raise: 'Unacknowledged', returnToNormal: '=', acknowledge: 'LatchedAcknowledged', ...ASIDE }],
  ['LatchedAcknowledged', false, { raise: 'Unacknowledged', returnToNormal: '=', reset: 'Normal', ...ASIDE }],
  ['Shelved', false, { raise: '=', returnToNormal: '=', unshelve: 'Normal', ...ASIDE }],
  ['Shelved', true, { raise: '=', returnToNormal: '=', unshelve: 'Unacknowledged', ...ASIDE }],
  ['Suppressed', false, { raise: '=', returnToNormal: '=', unsuppress: 'Normal', removeFromService: 'OutOfService' }],
  ['Suppressed', true, { raise: '=', returnToNormal: '=', unsuppress: 'Unacknowledged', removeFromService: 'OutOfService' }],
  ['OutOfService', false, { raise: '=', returnToNormal: '=', returnToService: 'Normal' }],
  ['OutOfService', true, { raise: '=', returnToNormal: '=', returnToService: 'Unacknowledged' }],
]
const rows = TABLE.flatMap(([state, isActive, to]) =>
  (Object.keys(COMMANDS) as Command[]).map((command) => [state, isActive, command, to[command]] as const),
)

function at(state: AlarmState, isActive: boolean) {
  return [...(isActive ? [Raised({ at: 1 })] : []), Transitioned({ to: state })]
}

describe('an alarm', () => {
  test.each(rows)('in %s, its condition holding: %s, goes by %s to %s', (from, isActive, command, to) => {
    const told = given(Alarm, at(from, isActive)).when[command](COMMANDS[command] as never)

    if (to === undefined) told.thenRefused('UNHANDLED', { state: from, command })
    else told.thenReply({ state: to === '=' ? from : to })
  })

  test.each<[AlarmState, AlarmState]>([
    ['Unacknowledged', 'LatchedUnacknowledged'],
    ['Acknowledged', 'LatchedAcknowledged'],
  ])('that latches goes from %s to %s when its condition is over', (from, to) => {
    given(Latching, at(from, true) as never)
      .when.returnToNormal({})
      .thenReply({ state: to })
  })

  test('has a state for every letter of the standard', () => {
    expect(STATES.map((state) => ALARM_STATES[state].letter).join('')).toBe('ABCDEFGHI')
  })

  test('tells when it was raised, returned and acknowledged, by whom and at what values', () => {
    const past = [Transitioned({ to: 'Normal' })]
    const raised = [Raised({ at: AT, value: 95, limit: 90 }), Transitioned({ from: 'Normal', to: 'Unacknowledged' })]
    const acknowledged = [
      Operated({ at: AT, command: 'acknowledge', operator: 'ann', comment: 'on my way' }),
      Transitioned({ from: 'Unacknowledged', to: 'Acknowledged' }),
    ]

    given(Alarm, past).when.raise({ value: 95, limit: 90 }).then(raised)
    given(Alarm, [...past, ...raised])
      .when.acknowledge({ operator: 'ann', comment: 'on my way' })
      .then(acknowledged)
    given(Alarm, [...past, ...raised, ...acknowledged])
      .when.returnToNormal({ value: 80 })
      .then([Returned({ at: AT, value: 80 }), Transitioned({ from: 'Acknowledged', to: 'Normal' })])
      .thenState({
        state: 'Normal',
        priority: 1,
        isActive: false,
        value: 80,
        limit: 90,
        raisedAt: AT,
        returnedAt: AT,
        acknowledgedAt: AT,
        operator: 'ann',
        comment: 'on my way',
        shelvedUntil: null,
        isOneShot: false,
        raisedCount: 1,
      })
  })

  test('is raised once however often it is told so, also while it is set aside', () => {
    given(Alarm, at('Unacknowledged', true)).when.raise({}).then([])
    given(Alarm, at('Suppressed', false))
      .when.raise({})
      .then([Raised({ at: AT })])
    given(Alarm, at('Suppressed', true)).when.raise({}).then([])
  })
})

describe('a shelved alarm', () => {
  const oneShot = [...at('Shelved', true), Shelved({ isOneShot: true })]

  test('of one shot is back when its condition is over', () => {
    given(Alarm, oneShot).when.returnToNormal({}).thenReply({ state: 'Normal' })
    given(Alarm, [...oneShot, Returned({ at: 2 })])
      .when.returnToNormal({})
      .thenReply({ state: 'Shelved' })
  })

  test('for some time is not shelved for longer than is allowed', () => {
    const shelve = given(Alarm, at('Unacknowledged', true)).when.shelve

    for (const ms of [0, -1, Number.NaN, 8 * 3_600_000 + 1])
      shelve({ ...ANN, ms }).thenRefused('NOT_A_SHELF_TIME', { msMax: 8 * 3_600_000 })
    shelve({ ...ANN, ms: 1000 }).then([
      Operated({ at: AT, command: 'shelve', operator: 'ann' }),
      Transitioned({ from: 'Unacknowledged', to: 'Shelved' }),
      Shelved({ isOneShot: false, until: AT + 1_000_000 }),
    ])
  })

  test('forgets the time with the shelf', () => {
    const state = compileEntity(Alarm).initial()

    given(Alarm, [...oneShot, Transitioned({ from: 'Shelved', to: 'Normal' })]).thenState({
      ...(state as object),
      state: 'Normal',
      isActive: true,
      raisedAt: 1,
      raisedCount: 1,
    } as never)
  })

  test('comes back by a timer, and not by the timer of a shelf that it has left', async () => {
    const clock = new FakeClock()
    const plant = await openPlant({ entities: [Alarm], clock })
    try {
      const one = plant.entity(Alarm, 'one')
      const other = plant.entity(Alarm, 'other')
      for (const each of [one, other]) {
        await each.raise({})
        await each.shelve({ ...ANN, ms: 30_000 })
      }
      await other.suppress({})
      expect(await plant.state(Alarm, 'one')).toMatchObject({ state: 'Shelved' })

      clock.advance(31_000)

      await expect.poll(() => plant.state(Alarm, 'one')).toMatchObject({ state: 'Unacknowledged', operator: 'timer', shelvedUntil: null })
      expect(await plant.state(Alarm, 'other')).toMatchObject({ state: 'Suppressed', operator: 'ann' })
    } finally {
      await plant.close()
    }
  })
})
