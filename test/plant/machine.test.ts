import { describe, expect, test } from 'vitest'
import { STATES, Machine, type State } from '#plant/machine.js'
import { checkPurity, given } from '#testing.js'

const CALM = { vibration: 5, temperature: 50, current: 10, spindleSpeed: 1000, toolWear: 0.5, cycles: 7 }
const PLAN = { dueAt: 1_000, kind: 'PREVENTIVE', reason: 'worn' } as const
const WORK = { work: 'tool changed', duration: 30 }

describe('a machine in any state', () => {
  // Every state against every report that could change it: the state that follows, or `-` for none.
  test.each<[State, Record<string, State | '-'>]>([
    [
      'HEALTHY',
      {
        'shakes 7': '-',
        'shakes 9': '-',
        'shakes 11': 'DEGRADING',
        'shakes 16': 'DEGRADING',
        'wears 50': '-',
        'wears 51': 'DEGRADING',
        'wears 81': 'CRITICAL',
      },
    ],
    [
      'DEGRADING',
      {
        'shakes 7': 'HEALTHY',
        'shakes 9': '-',
        'shakes 11': '-',
        'shakes 16': 'CRITICAL',
        'wears 50': '-',
        'wears 51': '-',
        'wears 81': 'CRITICAL',
      },
    ],
    [
      'CRITICAL',
      { 'shakes 7': '-', 'shakes 9': '-', 'shakes 11': '-', 'shakes 16': '-', 'wears 50': '-', 'wears 51': '-', 'wears 81': '-' },
    ],
    ['FAILED', { 'shakes 7': '-', 'shakes 9': '-', 'shakes 11': '-', 'shakes 16': '-', 'wears 50': '-', 'wears 51': '-', 'wears 81': '-' }],
    [
      'MAINTENANCE',
      { 'shakes 7': '-', 'shakes 9': '-', 'shakes 11': '-', 'shakes 16': '-', 'wears 50': '-', 'wears 51': '-', 'wears 81': '-' },
    ],
    [
      'CALIBRATING',
      { 'shakes 7': '-', 'shakes 9': '-', 'shakes 11': '-', 'shakes 16': '-', 'wears 50': '-', 'wears 51': '-', 'wears 81': '-' },
    ],
  ])('changes by what is reported of it as the table says: %s', (from, outcomes) => {
    for (const [stimulus, to] of Object.entries(outcomes)) {
      const [verb, amount] = stimulus.split(' ') as [string, string]
      const { when } = given(Machine, inState(from))
      const report = { ...CALM, vibration: Number(amount) }
      const found = { component: 'bearing', degradation: Number(amount), hoursToFailure: 9, model: 'm' }
      const decided = verb === 'shakes' ? when.reportTelemetry(report) : when.reportDegradation(found)
      const reported = verb === 'shakes' ? Machine.event.TelemetryReported(report) : Machine.event.DegradationDetected(found)
      const limit = {
        'shakes 7': 'below 8',
        'shakes 11': 'above 10',
        'shakes 16': from === 'HEALTHY' ? 'above 10' : 'above 15',
        'wears 51': 'above 50',
        'wears 81': 'above 80',
      }[stimulus]
      const reason = verb === 'shakes' ? `vibration ${limit} mm/s` : `degradation ${limit} %`

      decided.then(to === '-' ? [reported] : [reported, Machine.event.EquipmentStateChanged({ from, to, reason })])
    }
  })

  // Every state against every state that could be said.
  test.each<[State, readonly State[]]>([
    ['HEALTHY', ['MAINTENANCE']],
    ['DEGRADING', ['MAINTENANCE']],
    ['CRITICAL', ['FAILED', 'MAINTENANCE']],
    ['FAILED', []],
    ['MAINTENANCE', []],
    ['CALIBRATING', ['HEALTHY']],
  ])('can be told to change only as the table says: %s to %j', (from, allowed) => {
    for (const to of STATES) {
      const decided = given(Machine, inState(from)).when.changeState({ to, reason: 'told' })

      if (allowed.includes(to)) decided.then([Machine.event.EquipmentStateChanged({ from, to, reason: 'told' })])
      else decided.thenRefused('NO_SUCH_TRANSITION', { from, to })
    }
  })

  test.each<[State, boolean, boolean]>([
    ['HEALTHY', true, false],
    ['DEGRADING', true, false],
    ['CRITICAL', true, false],
    ['FAILED', true, true],
    ['MAINTENANCE', false, true],
    ['CALIBRATING', true, false],
  ])('%s: maintenance can be scheduled: %s, completed: %s', (from, canSchedule, canComplete) => {
    const scheduled = given(Machine, inState(from)).when.scheduleMaintenance(PLAN)
    const completed = given(Machine, inState(from)).when.completeMaintenance(WORK)

    if (canSchedule) scheduled.then([Machine.event.MaintenanceScheduled(PLAN)])
    else scheduled.thenRefused('IN_MAINTENANCE')
    if (canComplete) {
      completed
        .then([
          Machine.event.MaintenanceCompleted(WORK),
          Machine.event.EquipmentStateChanged({ from, to: 'CALIBRATING', reason: 'maintenance completed' }),
        ])
        .thenReply({ maintenanceCount: 1 })
    } else completed.thenRefused('NOT_IN_MAINTENANCE', { state: from })
  })
})

describe('a machine with a degradation', () => {
  const found = Machine.event.DegradationDetected({ component: 'bearing', degradation: 55, hoursToFailure: 90, model: 'm' })

  test('stays degrading however calm it runs, until it was maintained', () => {
    given(Machine, [...inState('DEGRADING'), found])
      .when.reportTelemetry(CALM)
      .then([Machine.event.TelemetryReported(CALM)])
    given(Machine, [found, ...inState('MAINTENANCE'), Machine.event.MaintenanceCompleted(WORK), ...inState('DEGRADING')])
      .when.reportTelemetry(CALM)
      .then([
        Machine.event.TelemetryReported(CALM),
        Machine.event.EquipmentStateChanged({ from: 'DEGRADING', to: 'HEALTHY', reason: 'vibration below 8 mm/s' }),
      ])
  })
})

describe('what a machine remembers', () => {
  const events = [
    Machine.event.TelemetryReported({ ...CALM, current: 10, vibration: 9 }),
    Machine.event.TelemetryReported({ ...CALM, current: 20, temperature: 80, cycles: 8 }),
    Machine.event.TelemetryReported({
      ...CALM,
      current: Number.NaN,
      vibration: Number.NaN,
      temperature: Number.NaN,
      toolWear: 1,
      cycles: 9,
    }),
    Machine.event.DegradationDetected({ component: 'bearing', degradation: 55, hoursToFailure: 90, model: 'm' }),
    Machine.event.MaintenanceScheduled(PLAN),
  ]
  const remembered = {
    state: 'HEALTHY',
    vibrationMax: 9,
    temperatureMax: 80,
    currentMean: 15,
    currentCount: 2,
    toolWear: 1,
    cycles: 9,
    telemetryCount: 3,
    degradation: 55,
    hoursToFailure: 90,
    maintenanceAt: 1_000,
    maintenanceCount: 0,
  } as const

  test('are extremes, a mean and the plan; a sensor that says NaN spoils none of it', () => {
    given(Machine, events).thenState(remembered)
  })

  test('begins anew with maintenance, but for counts and the mean', () => {
    given(Machine, [...events, Machine.event.MaintenanceCompleted(WORK)]).thenState({
      ...remembered,
      vibrationMax: 0,
      temperatureMax: 0,
      toolWear: 0,
      degradation: undefined,
      hoursToFailure: undefined,
      maintenanceAt: undefined,
      maintenanceCount: 1,
    })
  })

  test('depends on the events alone', () => {
    expect(checkPurity(Machine, [...events, ...inState('FAILED'), Machine.event.MaintenanceCompleted(WORK)])).toEqual({
      isPure: true,
      eventCount: 7,
    })
  })
})

function inState(to: State) {
  return [Machine.event.EquipmentStateChanged({ from: 'HEALTHY', to, reason: 'given' })]
}
