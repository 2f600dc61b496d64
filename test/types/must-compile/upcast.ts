import { defineEntity, f64, i32, label } from '#entity/index.js'
import { formerEvent, given } from '#testing.js'

export const Press = defineEntity({
  name: 'press',
  events: {
    Sampled: { temperature: f64('°C'), force: f64('kN') },
    AlarmRaised: { code: label({ oneOf: ['OVERHEAT', 'STALLED'] }), count: i32({ default: 1 }) },
  },
  commands: {},
  initial: () => ({ temperature: 0, alarms: 0 }),
  decide: {},
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
    },
    AlarmRaised(state) {
      state.alarms++
    },
  },
  upcast: {
    Sampled: [
      { event: 'Measured', from: { temp: f64('°F') }, to: (old) => ({ temp: old.temp, force: Number.NaN }) },
      { from: { temp: f64('°F'), force: f64('kN') }, to: ({ temp, force }) => ({ temperature: (temp - 32) / 1.8, force }) },
    ],
    // A literal stays one, and what has a default may be left out.
    AlarmRaised: [{ from: { code: label() }, to: ({ code }) => ({ code: code === 'HOT' ? 'OVERHEAT' : 'STALLED' }) }],
  },
  dropped: ['Calibrated'],
  stateVersion: 2,
  upcastState: (old: { temp: number }) => ({ temperature: old.temp, alarms: 0 }),
})

export const temperature: number = Press.initial().temperature

export function testPress(): void {
  given(Press, [formerEvent('Measured', { temp: 212 }), Press.event.Sampled({ temperature: 1, force: 2 })]).thenState({
    temperature: 1,
    alarms: 0,
  })
}
