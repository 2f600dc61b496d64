import { defineEntity, f64, i32, label } from 'millrace'

/** What the drive of one axis reports ten times a second. */
function drive(axis, length) {
  return {
    [`${axis}Position`]: f64(length),
    [`${axis}Velocity`]: f64(`${length}/s`),
    [`${axis}Acceleration`]: f64(`${length}/s²`),
    [`${axis}CommandPosition`]: f64(length),
    [`${axis}CommandVelocity`]: f64(`${length}/s`),
    [`${axis}CommandAcceleration`]: f64(`${length}/s²`),
    [`${axis}CurrentFeedback`]: f64('A'),
    [`${axis}BusVoltage`]: f64('V'),
    [`${axis}OutputCurrent`]: f64('A'),
    [`${axis}OutputVoltage`]: f64('V'),
  }
}

const sample = {
  ...drive('x', 'mm'),
  xOutputPower: f64('kW'),
  ...drive('y', 'mm'),
  yOutputPower: f64('kW'),
  ...drive('z', 'mm'),
  ...drive('s', 'deg'),
  sOutputPower: f64('kW'),
  spindleInertia: f64('kg·m²'),
  program: i32(),
  line: i32(),
  feedrate: f64('mm/s'),
  phase: label(),
  tool: label(),
}

/** A milling machine with three axes and a spindle: cnc-mill.map.yaml. A wide row each tenth of a second; says when the work enters another phase. */
export const CncMill = defineEntity({
  name: 'cnc-mill',
  events: { Sampled: sample, PhaseBegan: { phase: label(), samples: i32() } },
  commands: { sample },
  initial: () => ({ samples: 0, phase: '', spindlePower: Number.NaN, tool: '' }),
  decide: {
    sample(state, command, { emit }) {
      if (command.phase !== state.phase) emit.PhaseBegan({ phase: command.phase, samples: state.samples })
      emit.Sampled(command)
      return undefined
    },
  },
  apply: {
    PhaseBegan(state, event) {
      state.phase = event.phase
    },
    Sampled(state, event) {
      state.samples++
      state.spindlePower = event.sOutputPower
      state.tool = event.tool
    },
  },
})
