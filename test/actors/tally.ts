import { defineEntity, i64, text } from '#entity/index.js'

/**
 * The entity type of the plant rig. Every kind of outcome can be had from it, and `chain` depends on every event and on their order, so that
 * one that is lost, doubled or out of place shows in every later reply.
 */
export const Tally = defineEntity({
  name: 'tally',
  events: { Added: { id: i64(), by: i64() }, Noted: { id: i64(), note: text() }, Broke: { id: i64() } },
  commands: {
    add: { id: i64(), by: i64() },
    addTwice: { id: i64(), by: i64() },
    look: { id: i64() },
    refuse: { id: i64() },
    refuseWith: { code: text() },
    fail: { id: i64() },
    break: { id: i64() },
    swell: { id: i64(), note: text(), times: i64() },
  },
  initial: () => ({ sum: 0, count: 0, chain: 0 }),
  decide: {
    add(state, { id, by }, { emit, refuse }) {
      if (state.count % 7 === 5 && by % 2 === 1) return refuse('ODD', { count: state.count })
      emit.Added({ id, by })
      return { chain: state.chain }
    },
    addTwice(state, { id, by }, { emit }) {
      emit.Added({ id, by })
      emit.Noted({ id, note: `half of ${by}` })
      emit.Added({ id, by: -by })
      return { chain: state.chain }
    },
    look: (state) => ({ chain: state.chain, count: state.count }),
    refuse: (state, _, { refuse }) => refuse('NO', { chain: state.chain }),
    refuseWith: (state, { code }, { refuse }) => refuse(code, { chain: state.chain }),
    fail(state) {
      throw new Error(`failed at ${state.count}`)
    },
    break(_, { id }, { emit }) {
      emit.Added({ id, by: 1 })
      emit.Broke({ id })
    },
    swell(state, { id, note, times }, { emit }) {
      for (let count = 0; count < times; count++) emit.Noted({ id, note })
      return { count: state.count }
    },
  },
  apply: {
    Added(state, { id, by }) {
      state.sum += by
      state.count++
      state.chain = (Math.imul(state.chain, 31) + id) | 0
    },
    Noted(state, { id, note }) {
      state.count++
      state.chain = (Math.imul(state.chain, 37) + id + note.length) | 0
    },
    Broke() {
      throw new Error('broken on purpose')
    },
  },
})

export type TallyState = ReturnType<typeof Tally.initial>
