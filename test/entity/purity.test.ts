import { describe, expect, test } from 'vitest'
import { defineEntity, f64 } from '#entity/index.js'
import { checkPurity } from '#testing.js'
import { Press } from './press.js'

describe('an apply that is pure', () => {
  test('passes, and the world is as it was', () => {
    const { Date: date } = globalThis
    const before = { random: Math.random, ...Object.getOwnPropertyDescriptors(performance), zone: process.env.TZ }

    const report = checkPurity(Press, [Press.event.Sampled({ temperature: 3 }), Press.event.AlarmRaised({ code: 'HOT', value: 1 })])

    expect(report).toEqual({ isPure: true, eventCount: 2 })
    expect(globalThis.Date).toBe(date)
    expect({ random: Math.random, ...Object.getOwnPropertyDescriptors(performance), zone: process.env.TZ }).toEqual(before)
  })
})

describe('an apply that is not pure', () => {
  let calls = 0
  type Dirty = { value: unknown; shared?: { n: number }[] }

  test.each<[string, string, (state: Dirty) => void]>([
    ['folded a second time', 'module state', (state) => void (state.value = ++calls)],
    ['at another time', 'Date.now', (state) => void (state.value = Math.floor(Date.now() / 86_400_000))],
    ['at another time', 'new Date', (state) => void (state.value = new Date().getFullYear() * 12 + new Date().getMonth())],
    ['folded a second time', 'Math.random', (state) => void (state.value = Math.random())],
    ['with the (least|greatest) random numbers', 'a rare random number', (state) => void (state.value = Math.random() < 1e-12)],
    ['with the (least|greatest) random numbers', 'a frequent random number', (state) => void (state.value = Math.random() < 1 - 1e-12)],
    ['in another time zone', 'local time', (state) => void (state.value = new Date(0).getHours())],
    ['with properties created in the opposite order', 'order of properties', (state) => void (state.value = Object.keys(state).join())],
    [
      'with the state written down and read back',
      'shared objects',
      (state) => {
        const one = { n: 0 }
        state.shared ??= [one, one]
        const [first] = state.shared
        if (first !== undefined) first.n++
      },
    ],
  ])('is found %s: %s', (condition, _cause, change) => {
    const Dirty = dirtyEntity(change)

    const report = checkPurity(Dirty, [
      Dirty.event.Fine({}),
      Dirty.event.Fine({}),
      Dirty.event.Spoiled({ n: 1 }),
      Dirty.event.Spoiled({ n: 1 }),
      Dirty.event.Fine({}),
    ])

    expect(report).toMatchObject({ isPure: false, event: 'Spoiled' })
    if (report.isPure) throw new Error('it is not')
    expect(report.condition).toMatch(new RegExp(`^${condition}$`))
    expect(report.index).toBe(condition === 'with the state written down and read back' ? 3 : 2)
    expect(report.path).toMatch(/^state\.(value|shared\[1\]\.n)$/)
    expect(report.expected).not.toBe(report.got)
  })

  test('is found in initial, before any event', () => {
    const report = checkPurity(
      defineEntity({
        name: 'dirty',
        events: {},
        commands: {},
        initial: () => ({ at: Date.now() - (Date.now() % 86_400_000) }),
        decide: {},
        apply: {},
      }),
      [],
    )

    expect(report).toMatchObject({ isPure: false, condition: 'at another time', index: -1, event: 'initial', path: 'state.at' })
  })
})

function dirtyEntity(change: (state: { value: unknown; shared?: { n: number }[] }) => void) {
  return defineEntity({
    name: 'dirty',
    events: { Fine: {}, Spoiled: { n: f64() } },
    commands: {},
    initial: (): { value: unknown; other: number; shared?: { n: number }[] } => ({ value: 0, other: 0 }),
    decide: {},
    apply: {
      Fine(state) {
        state.other++
      },
      Spoiled(state) {
        change(state)
      },
    },
  })
}
