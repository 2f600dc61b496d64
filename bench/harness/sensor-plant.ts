import { defineEntity } from '#entity/index.js'
import { definePlant } from '#runtime/plant-definition.js'
import { f64, i32, label } from '#schema/index.js'
import { sensorFleet } from './sensor-fleet.js'

const REPORT = { temperature: f64('°C'), pressure: f64('bar'), state: label(), cycle: i32() }

/** One event of four columns per command, decided on the state and applied to it: what the full load of a plant is made of. */
export const Sensor = defineEntity({
  name: 'sensor',
  events: { Sampled: REPORT },
  commands: { sample: REPORT },
  initial: () => ({ temperature: Number.NaN, pressure: Number.NaN, state: '', cycle: 0, hottest: Number.NEGATIVE_INFINITY }),
  decide: {
    sample(sensor, report, { emit, refuse }) {
      if (report.cycle <= sensor.cycle) return refuse('OUT_OF_ORDER', { cycle: sensor.cycle })
      emit.Sampled(report)
      return undefined
    },
  },
  apply: {
    Sampled(sensor, report) {
      sensor.temperature = report.temperature
      sensor.pressure = report.pressure
      sensor.state = report.state
      sensor.cycle = report.cycle
      if (report.temperature > sensor.hottest) sensor.hottest = report.temperature
    },
  },
})

/** @lintignore Loaded by its path. */
export default definePlant({ entities: [Sensor], sources: [sensorFleet()] })
