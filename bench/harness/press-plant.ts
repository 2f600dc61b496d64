import { defineEntity } from '#entity/index.js'
import { definePlant } from '#runtime/plant-definition.js'
import { f64, i32 } from '#schema/index.js'

/** One event per command, two numbers in it: what a benchmark sends when the entity is not the question. */
export const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64('°C'), cycle: i32() } },
  commands: { sample: { temperature: f64('°C'), cycle: i32() } },
  initial: () => ({ temperature: Number.NaN, cycles: 0 }),
  decide: {
    sample(_state, command, { emit }) {
      emit.Sampled(command)
    },
  },
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
      state.cycles++
    },
  },
})

/** @lintignore Loaded by its path. */
export default definePlant({ entities: [Press] })
