import { defineEntity, f64, label, text } from '#entity/index.js'

/** The entity type that the tests of this room share: every kind of outcome can be had from it. */
export const Press = defineEntity({
  name: 'press',
  events: {
    Sampled: { temperature: f64('°C'), force: f64('kN', { default: 0 }) },
    AlarmRaised: { code: label(), value: f64() },
  },
  commands: { sample: { temperature: f64('°C'), force: f64('kN', { default: 0 }) }, misbehave: { how: text() } },
  initial: () => ({
    temperature: Number.NaN,
    force: Number.NaN,
    alarms: 0,
    codes: [] as string[],
    seen: new Map<string, number>(),
    since: new Date(0),
  }),
  decide: {
    sample(state, command, { emit, refuse, at }) {
      if (state.alarms > 1) return refuse('TOO_MANY_ALARMS', { alarms: state.alarms })
      emit.Sampled(command)
      if (command.temperature > 90) emit.AlarmRaised({ code: 'OVERHEAT', value: command.temperature })
      return { alarms: state.alarms, at }
    },
    misbehave(state, { how }, context) {
      const { emit, refuse } = context
      const open = state as unknown as { alarms: number; codes: string[]; seen: Map<string, number>; since: Date }
      emit.Sampled({ temperature: 1 })
      if (how === 'throw') throw new Error('on purpose')
      if (how === 'throw text') throw 'on purpose' as unknown as Error
      if (how === 'wrong event') emit.Sampled({ temperature: 'x' as unknown as number })
      if (how === 'wrong event, caught') {
        try {
          emit.Sampled({ temperature: 1, fource: 2 } as never)
        } catch {
          return { fine: true }
        }
      }
      if (how === 'two wrong events') {
        try {
          emit.AlarmRaised({ code: 'first' } as never)
        } finally {
          emit.Sampled({ temperature: 'second' } as never)
        }
      }
      if (how === 'refuse, then go on') {
        refuse('FIRST', { n: 1 })
        refuse('SECOND')
        emit.Sampled({ temperature: 2 })
        return { fine: true }
      }
      if (how === 'promise') return Promise.reject(new Error('late')) as unknown as undefined
      if (how === 'function in reply') return { list: [1, () => 1] } as unknown as undefined
      if (how === 'class in detail') return refuse('BAD', { when: new Map() })
      if (how === 'empty code') return refuse('')
      if (how === 'too many') for (let count = 0; count < 70_000; count++) emit.Sampled({ temperature: count })
      if (how === 'change a number') open.alarms++
      if (how === 'change a list') open.codes.push('x')
      if (how === 'change a map') open.seen.set('x', 1)
      if (how === 'change a date') open.since.setTime(5)
      if (how === 'keep emit') kept.push(() => emit.Sampled({ temperature: 9 }))
      return undefined
    },
  },
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
      state.force = event.force
    },
    AlarmRaised(state, event) {
      state.alarms++
      state.codes.push(event.code)
      state.seen.set(event.code, event.value)
    },
  },
})

/** What `misbehave` with 'keep emit' left behind. */
export const kept: (() => void)[] = []
