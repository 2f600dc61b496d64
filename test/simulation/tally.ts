import { defineEntity, i64 } from '#entity/index.js'

/**
 * The entity type of the simulated plant. `chain` depends on every event and on their order, so that one that is lost, doubled or out of place shows in
 * every later reply. The ledger knows the same rules once more, in its own words.
 */
export const Tally = defineEntity({
  name: 'tally',
  events: { Added: { id: i64() } },
  commands: { add: { id: i64() }, pair: { id: i64() }, look: { id: i64() }, refuse: { id: i64() } },
  initial: () => ({ chain: 0, count: 0 }),
  decide: {
    add(state, { id }, { emit }) {
      emit.Added({ id })
      return { chain: state.chain }
    },
    pair(state, { id }, { emit }) {
      emit.Added({ id })
      emit.Added({ id: -id })
      return { chain: state.chain }
    },
    look: (state) => ({ chain: state.chain }),
    refuse: (state, _, { refuse }) => refuse('NO', { chain: state.chain }),
  },
  apply: {
    Added(state, { id }) {
      state.chain = (Math.imul(state.chain, 31) + id) | 0
      state.count++
    },
  },
})

export type TallyState = ReturnType<typeof Tally.initial>

export type TallyCommand = keyof typeof Tally.commands
