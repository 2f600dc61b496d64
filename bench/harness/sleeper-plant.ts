import { defineEntity } from '#entity/index.js'
import { definePlant } from '#runtime/plant-definition.js'
import { i32 } from '#schema/index.js'
import { sensorFleet } from './sensor-fleet.js'
import { Sensor } from './sensor-plant.js'
import { sleepers } from './sleepers.js'

/** Idle time after which they leave memory. */
export const SLEEPS_AFTER_MS = 250

/** Leaves memory soon, and has a state and a history to come back with. */
const Sleeper = defineEntity({
  name: 'sleeper',
  passivate: { afterMs: SLEEPS_AFTER_MS },
  events: { Woken: { turn: i32() } },
  commands: { wake: { turn: i32() } },
  initial: () => ({ turn: 0, turns: [] as number[] }),
  decide: {
    wake(state, { turn }, { emit, refuse }) {
      if (turn !== state.turn + 1) return refuse('OUT_OF_TURN', { turn: state.turn })
      emit.Woken({ turn })
      return { turns: state.turns.length + 1 }
    },
  },
  apply: {
    Woken(state, { turn }) {
      state.turn = turn
      state.turns.push(turn)
    },
  },
})

/** @lintignore Loaded by its path. */
export default definePlant({ entities: [Sensor, Sleeper], sources: [sensorFleet(), sleepers()] })
