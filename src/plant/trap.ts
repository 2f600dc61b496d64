import { defineEntity } from '#entity/index.js'

/** What drills break a plant with from within: whoever executes its command ends, at once and each time, as with a plant's own worst mistake. */
export const Trap = defineEntity({
  name: 'trap',
  events: { Sprung: {} },
  commands: { spring: {} },
  initial: () => ({}),
  decide: {
    spring(_, __, { emit }) {
      process.kill(process.pid, 'SIGKILL')
      emit.Sprung({})
    },
  },
  apply: { Sprung() {} },
})
