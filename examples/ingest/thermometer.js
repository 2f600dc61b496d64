import { defineEntity, f64 } from 'millrace'

/** The temperature of one part of a machine, every five minutes: nab.map.yaml. Keeps the extremes and a moving mean of about a day. */
export const Thermometer = defineEntity({
  name: 'thermometer',
  events: { Sampled: { temperature: f64('°F') } },
  commands: { sample: { temperature: f64('°F') } },
  initial: () => ({ samples: 0, lowest: Number.POSITIVE_INFINITY, highest: Number.NEGATIVE_INFINITY, mean: Number.NaN }),
  decide: {
    sample(_state, command, { emit }) {
      emit.Sampled(command)
      return undefined
    },
  },
  apply: {
    Sampled(state, { temperature }) {
      state.samples++
      state.lowest = Math.min(state.lowest, temperature)
      state.highest = Math.max(state.highest, temperature)
      state.mean = state.samples === 1 ? temperature : state.mean + (temperature - state.mean) / Math.min(state.samples, 288)
    },
  },
})
