import { defineEntity, f64, signal } from '#entity/index.js'

const Press = defineEntity({
  name: 'press',
  events: {},
  commands: { sample: { temperature: f64() } },
  initial: () => ({}),
  decide: { sample() {} },
  apply: {},
})

export const Cell = defineEntity({
  name: 'cell',
  events: {},
  commands: { begin: {}, onPress: signal() },
  initial: () => ({ errors: 0 }),
  supervise: {
    strategy: 'one-for-two', // error
    signal: 'begin', // error
  },
  decide: {
    begin(_, __, { spawn, watch, stop, exit }) {
      spawn('press', '1') // error
      spawn(Press, 1) // error
      spawn(Press, '1', { onError: 'retry' }) // error
      spawn(Press, '1', { signal: 'begin' }) // error
      spawn(Press, '1', { begin: { command: 'sample', data: {} } }) // error
      spawn(Press, '1', { begin: { command: 'begin', data: {} } }) // error
      watch(Press, '1') // error
      watch(Press, '1', { signal: 'begin' }) // error
      stop(Press) // error
      exit(7) // error
    },
    onPress(state, { signal: what }) {
      state.errors++ // error
      if (what === 'died') return // error
    },
  },
  apply: {},
})
