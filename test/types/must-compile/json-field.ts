// A json field holds anything, so that its type has no end: it must not send the compiler looking for one.
import { defineEntity, json, label } from '#index.js'

export const Order = defineEntity({
  name: 'order',
  events: { Placed: { lines: json(), note: json({ optional: true }), by: label() } },
  commands: { place: { lines: json(), note: json({ optional: true }), by: label() } },
  initial: () => ({ lines: null as unknown, count: 0 }),
  decide: {
    place(_state, command, { emit }) {
      emit.Placed(command)
      return { lines: command.lines }
    },
  },
  apply: {
    Placed(state, event) {
      state.lines = event.lines
      state.count++
    },
  },
})
