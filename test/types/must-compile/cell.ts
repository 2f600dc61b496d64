import { defineEntity, f64, signal } from '#entity/index.js'
import { given } from '#testing.js'
import { Press } from './press.js'

/** Spawns, watches, stops, and supervises by a function of its own state. */
export const Cell = defineEntity({
  name: 'cell',
  events: { Lost: { force: f64('kN') } },
  commands: { begin: {}, onPress: signal(), end: {} },
  initial: () => ({ force: 0, errors: 0 }),
  supervise: {
    strategy: 'rest-for-one',
    onError: (state, { child, code, restarts }) =>
      state.errors > 3 || child === 'press/1' || code === 'PARKED' ? 'stop' : restarts > 2 ? 'escalate' : 'restart',
    backOff: { minMs: 100, maxMs: 1000 },
    signal: 'onPress',
  },
  decide: {
    begin(_, __, { spawn, watch }) {
      spawn(Press, '1')
      spawn(Press, '2', {
        begin: Press.command.sample({ temperature: 1, force: 2 }),
        onError: 'resume',
        signal: 'onPress',
        outlives: true,
        pulseMs: 1000,
      })
      spawn(Cell, 'inner', { begin: { command: 'begin', data: {} } })
      watch(Press, '3', { signal: 'onPress' })
    },
    onPress(state, { signal: what, from, incarnation, code, directive }, { emit, children }) {
      if (what === 'errored' && code === 'DECIDE_FAILED') emit.Lost({ force: state.force })
      return { from: from.length, incarnation, directive, phases: children().map(({ phase }) => phase) }
    },
    end(_, __, { stop, unwatch, exit }) {
      unwatch(Press, '3')
      exit('DONE')
      return { stopped: stop(Press, '1') }
    },
  },
  apply: { Lost: (state, { force }) => void (state.force = force) },
})

export function testCell(): void {
  given(Cell)
    .when.end({})
    .then([])
    .thenTold([{ exit: 'DONE' }])
}
