import { assign, emit, enqueueActions, raise, setup } from 'xstate'

/** A machine with all that may run: nested and parallel states, history, guards, eventless transitions, raised events, final states, output. */
export const washer = setup({
  types: {
    context: {} as { water: number; rounds: number; note?: string | undefined },
    events: {} as
      | { type: 'start'; rounds: number }
      | { type: 'tick' }
      | { type: 'pause' }
      | { type: 'resume' }
      | { type: 'door'; isOpen: boolean }
      | { type: 'note'; text: string }
      | { type: 'end' },
    emitted: {} as { type: 'Filled'; water: number },
    input: {} as { water: number },
    output: {} as { rounds: number },
  },
  guards: {
    hasRounds: ({ context }) => context.rounds > 0,
    isFull: ({ context }, params: { water: number }) => context.water >= params.water,
  },
  actions: {
    fill: assign({ water: ({ context }) => context.water + 10 }),
    beep: () => {
      throw new Error('the machine’s own actions are not run')
    },
    count: enqueueActions(({ context, enqueue }) => {
      enqueue.assign({ rounds: context.rounds - 1 })
      if (context.rounds === 1) enqueue({ type: 'beep', params: { times: 2 } })
    }),
  },
}).createMachine({
  id: 'washer',
  context: ({ input }) => ({ water: input?.water ?? 0, rounds: 0 }),
  initial: 'idle',
  output: ({ context }) => ({ rounds: context.rounds }),
  on: {
    note: { actions: assign({ note: ({ event }) => (event.text === '' ? undefined : event.text) }) },
    end: '.over',
  },
  states: {
    idle: {
      on: { start: { target: 'on', actions: assign({ rounds: ({ event }) => event.rounds }) } },
    },
    on: {
      type: 'parallel',
      on: { pause: 'paused' },
      states: {
        drum: {
          initial: 'filling',
          states: {
            filling: {
              entry: ['fill', emit(({ context }) => ({ type: 'Filled' as const, water: context.water }))],
              always: { guard: { type: 'isFull', params: { water: 40 } }, target: 'turning' },
              on: { tick: { target: 'filling', reenter: true } },
            },
            turning: { on: { tick: { guard: 'hasRounds', target: 'spinning', actions: 'count' } } },
            spinning: {
              entry: raise({ type: 'tick' }),
              exit: 'beep',
              on: { tick: [{ guard: 'hasRounds', target: 'turning' }, { target: 'still' }] },
            },
            still: { type: 'final' },
          },
        },
        door: {
          initial: 'shut',
          states: {
            shut: { on: { door: { guard: ({ event }) => event.isOpen, target: 'open' } } },
            open: { on: { door: 'shut' } },
            gone: { type: 'final' },
          },
        },
        last: { type: 'history', history: 'deep' },
      },
    },
    paused: { on: { resume: 'on.last' } },
    over: { type: 'final' },
  },
})
