import { defineEntity, i32 } from '#entity/index.js'

/** As in the plant's file of a PlantFolder. */
export const Counter = defineEntity({
  name: 'counter',
  events: { Counted: { n: i32() } },
  commands: { count: { n: i32() } },
  initial: () => ({ count: 0, last: 0 }),
  decide: {
    count(state, command, { emit }) {
      emit.Counted(command)
      return { count: state.count + 1 }
    },
  },
  apply: {
    Counted(state, event) {
      state.count++
      state.last = event.n
    },
  },
})
