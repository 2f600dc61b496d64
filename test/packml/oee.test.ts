import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type MachineEvent, oee, type OeeOptions, stateTimes, timeline, type Window } from '#packml/index.js'

const MINUTE = 60_000_000
const SECOND = 1_000_000

/** Events of a machine, by minute. */
const went = (minute: number, to: string): MachineEvent => ({ at: minute * MINUTE, event: 'Transitioned', data: { to } })
const mode = (minute: number, to: string): MachineEvent => ({ at: minute * MINUTE, event: 'ModeChanged', data: { to } })
const counted = (minute: number, produced: number, defective = 0): MachineEvent => ({
  at: minute * MINUTE,
  event: 'Counted',
  data: { consumed: 0, produced, defective },
})
const minutes = (from: number, to: number): Window => ({ from: from * MINUTE, to: to * MINUTE })

function of(events: readonly MachineEvent[], window: Window, options: Partial<OeeOptions> = {}) {
  return oee(events, [window], { idealCycleMs: 1000, ...options })[0]
}

describe('the effectiveness of a machine', () => {
  test('is what the standard example says: 480 minutes, 60 of them down, 19,271 parts at 1 s, 18,848 of them good', () => {
    const events = [went(0, 'Execute'), went(100, 'Aborting'), went(130, 'Aborted'), went(160, 'Execute'), counted(479, 19_271, 423)]

    const shift = of(events, minutes(0, 480))

    expect(shift).toMatchObject({ plannedMicros: 480 * MINUTE, runMicros: 420 * MINUTE, parts: 19_271, goodParts: 18_848, flags: [] })
    expect(shift?.availability).toBe(0.875)
    expect(shift?.performance).toBeCloseTo(0.7647, 4)
    expect(shift?.quality).toBeCloseTo(0.978, 4)
    expect(shift?.oee).toBeCloseTo(0.6544, 4)
    expect((shift?.availability ?? 0) * (shift?.performance ?? 0) * (shift?.quality ?? 0)).toBeCloseTo(shift?.oee ?? 1, 12)
    expect(shift?.teep).toBe(shift?.oee)
  })

  test('loses the time that its three losses say', () => {
    const events = [went(0, 'Execute'), went(6, 'Held'), counted(5, 300, 60)]

    const shift = of(events, minutes(0, 10))

    expect(shift?.lossMicros).toEqual({ availability: 4 * MINUTE, performance: MINUTE, quality: MINUTE })
    expect(shift?.oee).toBe(0.4)
  })

  test('leaves out planned stops, also where they overlap, and counts their parts apart', () => {
    const events = [went(0, 'Execute'), counted(1, 10), counted(25, 7), counted(59, 10)]
    const plannedStops = [minutes(20, 30), minutes(25, 40), minutes(55, 50), minutes(90, 99)]

    const shift = of(events, minutes(0, 60), { plannedStops })

    expect(shift).toMatchObject({ plannedMicros: 40 * MINUTE, runMicros: 40 * MINUTE, parts: 20, unplannedParts: 7 })
    expect(shift?.teep).toBeCloseTo(20 / 3600, 12)
  })

  test('leaves out modes that are no production', () => {
    const events = [went(0, 'Execute'), counted(1, 5), mode(10, 'Maintenance'), counted(11, 3), mode(20, 'Production'), counted(21, 5)]

    expect(of(events, minutes(0, 30))).toMatchObject({ plannedMicros: 20 * MINUTE, parts: 10, unplannedParts: 3 })
    expect(of(events, minutes(0, 30), { plannedModes: ['Maintenance'] })).toMatchObject({ plannedMicros: 10 * MINUTE, parts: 3 })
    expect(of(events, minutes(0, 30), { firstMode: 'Manual' })).toMatchObject({ plannedMicros: 10 * MINUTE, parts: 5 })
  })

  test('knows from events before the window how the machine was when that began, and nothing of what came after', () => {
    const events = [went(0, 'Execute'), counted(1, 9), counted(10, 4), counted(20, 5), went(40, 'Held')]

    expect(of(events, minutes(10, 20))).toMatchObject({ plannedMicros: 10 * MINUTE, runMicros: 10 * MINUTE, parts: 4 })
  })

  test('does not count time before the machine was first heard of', () => {
    expect(of([went(5, 'Execute')], minutes(0, 10))).toMatchObject({ plannedMicros: 5 * MINUTE, runMicros: 5 * MINUTE })
  })

  test('takes events in any order, and passes over what is none of its own', () => {
    const events = [counted(8, 60), went(5, 'Held'), went(0, 'Execute'), { at: 3, event: 'Sampled', data: {} }, { at: 4, event: undefined }]

    expect(of(events, minutes(0, 10))).toMatchObject({ runMicros: 5 * MINUTE, parts: 60 })
  })
})

describe('a figure that there is nothing to make of', () => {
  test.each<[string, readonly MachineEvent[], Window, object]>([
    [
      'an empty window',
      [went(0, 'Execute')],
      minutes(5, 5),
      { availability: null, performance: null, quality: null, oee: null, teep: null, flags: [] },
    ],
    ['no events at all', [], minutes(0, 10), { availability: null, performance: null, quality: null, oee: null, teep: 0, flags: [] }],
    [
      'no planned time',
      [mode(0, 'Maintenance'), went(0, 'Execute'), counted(1, 5)],
      minutes(0, 10),
      { availability: null, performance: null, quality: null, oee: null, teep: 0, unplannedParts: 5, flags: [] },
    ],
    [
      'a machine that did not run',
      [went(0, 'Stopped')],
      minutes(0, 10),
      { availability: 0, performance: null, quality: null, oee: 0, flags: [] },
    ],
    [
      'a machine that made nothing',
      [went(0, 'Execute')],
      minutes(0, 10),
      { availability: 1, performance: 0, quality: null, oee: 0, flags: [] },
    ],
    [
      'nothing but scrap',
      [went(0, 'Execute'), counted(1, 60, 60)],
      minutes(0, 10),
      { availability: 1, performance: 0.1, quality: 0, oee: 0, flags: [] },
    ],
    [
      'parts of a machine that did not run',
      [went(0, 'Held'), counted(1, 60)],
      minutes(0, 10),
      { availability: 0, performance: null, quality: 1, oee: 0.1, flags: ['PARTS_WITHOUT_RUN_TIME'] },
    ],
    [
      'more parts than the ideal cycle allows for',
      [went(0, 'Execute'), counted(1, 1200)],
      minutes(0, 10),
      { availability: 1, performance: 2, quality: 1, oee: 2, flags: ['PERFORMANCE_ABOVE_1'] },
    ],
    [
      'more scrap than parts',
      [went(0, 'Execute'), counted(1, 60, 90)],
      minutes(0, 10),
      { quality: -0.5, goodParts: -30, flags: ['MORE_DEFECTIVE_THAN_PRODUCED'] },
    ],
  ])('is null or flagged, never clamped: %s', (_name, events, window, figures) => {
    expect(of(events, window)).toMatchObject(figures)
  })
})

describe('any shift of any machine', () => {
  const event = fc.oneof(
    fc.record({ at: fc.nat(100), event: fc.constant('Transitioned'), data: fc.record({ to: fc.constantFrom('Execute', 'Held', 'Idle') }) }),
    fc.record({
      at: fc.nat(100),
      event: fc.constant('ModeChanged'),
      data: fc.record({ to: fc.constantFrom('Production', 'Maintenance') }),
    }),
    fc.record({
      at: fc.nat(100),
      event: fc.constant('Counted'),
      data: fc.record({ consumed: fc.constant(0), produced: fc.nat(9), defective: fc.nat(3) }),
    }),
  )
  const window = fc.tuple(fc.nat(100), fc.nat(100)).map(([a, b]) => ({ from: Math.min(a, b) * SECOND, to: Math.max(a, b) * SECOND }))
  const options = { idealCycleMs: 500 }

  test('is what looking at the machine each second says', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), window, fc.array(window, { maxLength: 3 }), (raw, shift, plannedStops) => {
        const events = raw.map((one) => ({ ...one, at: one.at * SECOND }))
        const sorted = [...events].sort((a, b) => a.at - b.at)
        const isPlanned = (at: number) => !plannedStops.some(({ from, to }) => at >= from && at < to)
        let [state, current, planned, run, parts, good]: [string | undefined, string, number, number, number, number] = [
          undefined,
          'Production',
          0,
          0,
          0,
          0,
        ]
        for (let at = 0; at <= 101 * SECOND; at += SECOND) {
          for (const one of sorted.filter((any) => any.at === at)) {
            if (one.event === 'Transitioned') state = (one.data as { to: string }).to
            else if (one.event === 'ModeChanged') current = (one.data as { to: string }).to
            else if (at >= shift.from && at < shift.to && isPlanned(at) && current === 'Production') {
              const { produced, defective } = one.data as { produced: number; defective: number }
              parts += produced
              good += produced - defective
            }
          }
          if (at < shift.from || at >= shift.to || state === undefined || current !== 'Production' || !isPlanned(at)) continue
          planned += SECOND
          if (state === 'Execute') run += SECOND
        }

        const got = oee(events, [shift], { ...options, plannedStops })[0]

        expect(got).toMatchObject({ plannedMicros: planned, runMicros: run, parts, goodParts: good })
      }),
      { numRuns: 150, seed: 20261122 },
    )
  })

  test('is the sum of its parts', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), fc.nat(100), (raw, cut) => {
        const events = raw.map((one) => ({ ...one, at: one.at * SECOND }))
        const at = cut * SECOND
        const windows = [
          { from: 0, to: 101 * SECOND },
          { from: 0, to: at },
          { from: at, to: 101 * SECOND },
        ]

        const [whole, before, after] = oee(events, windows, options)

        for (const figure of ['plannedMicros', 'runMicros', 'parts', 'goodParts', 'unplannedParts'] as const)
          expect((before?.[figure] ?? 0) + (after?.[figure] ?? 0)).toBe(whole?.[figure])
      }),
      { numRuns: 100, seed: 20261122 },
    )
  })
})

test('the time of each mode and state adds up to the time since the first transition', () => {
  const line = timeline([
    went(1, 'Idle'),
    went(3, 'Execute'),
    mode(5, 'Manual'),
    went(8, 'Idle'),
    mode(9, 'Production'),
    went(9, 'Execute'),
  ])

  expect(stateTimes(line, minutes(0, 10))).toEqual([
    { mode: undefined, state: 'Idle', micros: 2 * MINUTE },
    { mode: undefined, state: 'Execute', micros: 2 * MINUTE },
    { mode: 'Manual', state: 'Execute', micros: 3 * MINUTE },
    { mode: 'Manual', state: 'Idle', micros: MINUTE },
    { mode: 'Production', state: 'Execute', micros: MINUTE },
  ])
})
