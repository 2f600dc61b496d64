import { defineEntity, f64, label } from 'millrace'

const sample = { temperature: f64('°C'), force: f64('kN'), mode: label({ optional: true }) }

/** A press that sends a message for each stroke: press-mqtt.map.yaml. */
export const Press = defineEntity({
  name: 'press',
  events: { Sampled: sample },
  commands: { sample },
  initial: () => ({ samples: 0, temperature: Number.NaN, force: Number.NaN }),
  decide: {
    sample(_state, command, { emit }) {
      emit.Sampled(command)
      return undefined
    },
  },
  apply: {
    Sampled(state, event) {
      state.samples++
      state.temperature = event.temperature
      state.force = event.force
    },
  },
})
