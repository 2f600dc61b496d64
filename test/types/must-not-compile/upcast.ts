import { defineEntity, f64, label } from '#entity/index.js'

// Each line that ends in `// error` has an error, and no other line has one.

const parts = {
  name: 'press',
  events: { Sampled: { temperature: f64('°C'), force: f64('kN') }, AlarmRaised: { code: label({ oneOf: ['OVERHEAT', 'STALLED'] }) } },
  commands: {},
  initial: () => ({ temperature: 0 }),
  decide: {},
  apply: { Sampled() {}, AlarmRaised() {} },
} as const

export const Misspelt = defineEntity({
  ...parts,
  upcast: {
    Sampled: [
      { from: { temp: f64() }, to: (old) => ({ temp: old.temp, farce: 1 }) }, // error
      { from: { temp: f64(), force: f64() }, to: (old) => ({ temperature: old.temprature, force: old.force }) }, // error
    ],
    AlarmRaised: [{ from: { code: label() }, to: () => ({ code: 'OVERHAET' }) }], // error
  },
})

export const WithoutField = defineEntity({
  ...parts,
  upcast: { Sampled: [{ from: { temp: f64() }, to: (old) => ({ temperature: old.temp }) }] }, // error
})

export const WithPromise = defineEntity({
  ...parts,
  upcast: { AlarmRaised: [{ from: {}, to: async () => ({ code: 'STALLED' }) }] }, // error
})

export const OfUnknownEvent = defineEntity({
  ...parts,
  upcast: { Sampeld: [{ from: { temp: f64() }, to: (old) => ({ temperature: old.temp, force: 1 }) }] }, // error
})

export const OfOtherState = defineEntity({
  ...parts,
  upcastState: (old: { temp: number }) => ({ temp: old.temp }), // error
})
