import { defineEntity, f64 } from 'millrace'

const sample = {
  accelerometer1: f64('g'),
  accelerometer2: f64('g'),
  current: f64('A'),
  pressure: f64('bar'),
  temperature: f64('°C'),
  thermocouple: f64('°C'),
  voltage: f64('V'),
  flow: f64('l/min'),
  // What a person marked afterwards: 1 while something was wrong, and where that began or ended.
  anomaly: f64({ optional: true }),
  changepoint: f64({ optional: true }),
}

/** The pump of a water circuit on a test bench, sampled once a second: skab.map.yaml. */
export const WaterPump = defineEntity({
  name: 'water-pump',
  events: { Sampled: sample, AnomalyBegan: { flow: f64('l/min') }, AnomalyEnded: { samples: f64() } },
  commands: { sample },
  initial: () => ({ samples: 0, flow: Number.NaN, pressure: Number.NaN, anomalies: 0, anomalousFor: 0 }),
  decide: {
    sample(state, command, { emit }) {
      emit.Sampled(command)
      if (command.anomaly === 1 && state.anomalousFor === 0) emit.AnomalyBegan({ flow: command.flow })
      if (command.anomaly !== 1 && state.anomalousFor > 0) emit.AnomalyEnded({ samples: state.anomalousFor })
      return undefined
    },
  },
  apply: {
    Sampled(state, event) {
      state.samples++
      state.flow = event.flow
      state.pressure = event.pressure
      if (event.anomaly === 1) state.anomalousFor++
    },
    AnomalyBegan(state) {
      state.anomalies++
    },
    AnomalyEnded(state) {
      state.anomalousFor = 0
    },
  },
})
