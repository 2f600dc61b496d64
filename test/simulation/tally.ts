import { defineEffect } from '#entity/effect.js'
import { defineEntity, i64 } from '#entity/index.js'

/** Who hears of each attempt at an effect: whoever runs the plant. */
export const OUTSIDE = { ping: (_entity: string, _number: number, _id: number): void => {} }

/** The first attempts of some fail. */
const Ping = defineEffect({
  name: 'ping',
  fields: { id: i64() },
  run({ id }, { key, entity, attempt }) {
    OUTSIDE.ping(entity, Number(key.split(':')[1]), id)
    if (id % 4 === 0 && attempt === 1) throw new Error('not now')
  },
})

/**
 * The entity type of the simulated plant. `chain` depends on every event and on their order, so that one that is lost, doubled or out of place shows in
 * every later reply. The ledger knows the same rules once more, in its own words.
 */
export const Tally = defineEntity({
  name: 'tally',
  effects: [Ping],
  events: { Added: { id: i64() } },
  commands: {
    add: { id: i64() },
    pair: { id: i64() },
    look: { id: i64() },
    refuse: { id: i64() },
    /** Adds, and has the entity's partner do the same, which has this one do it, and so on. */
    hand: { id: i64() },
    pass: { id: i64(), hops: i64() },
    /** Adds, and has something done outside. */
    ring: { id: i64() },
    /** Adds after a while. */
    later: { id: i64() },
    /** Adds, and makes the partner a child of this one, which hears of its errors. */
    adopt: { id: i64() },
    /** Adds, and has the partner fail. */
    hurt: { id: i64() },
    wound: { id: i64() },
  },
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
    hand(state, { id }, { emit, tell, entity }) {
      emit.Added({ id })
      tell(Partners, partnerOf(entity)).pass({ id, hops: HOPS - 1 })
      return { chain: state.chain }
    },
    pass(_, { id, hops }, { emit, tell, entity }) {
      emit.Added({ id })
      if (hops > 0) tell(Partners, partnerOf(entity)).pass({ id, hops: hops - 1 })
    },
    ring(state, { id }, { emit, effect }) {
      emit.Added({ id })
      effect(Ping, { id })
      return { chain: state.chain }
    },
    adopt(state, { id }, { emit, spawn, entity }) {
      emit.Added({ id })
      spawn(Partners, partnerOf(entity), { onError: 'resume' })
      return { chain: state.chain }
    },
    hurt(state, { id }, { emit, tell, entity }) {
      emit.Added({ id })
      tell(Partners, partnerOf(entity)).wound({ id })
      return { chain: state.chain }
    },
    wound(_, { id }) {
      throw new Error(String(id))
    },
    later(state, { id }, { after }) {
      after(LATER_MS, 'add', { id })
      return { chain: state.chain }
    },
  },
  apply: {
    Added(state, { id }) {
      state.chain = (Math.imul(state.chain, 31) + id) | 0
      state.count++
    },
  },
})

/** How many messages come of `hand`, one of the other. */
export const HOPS = 3
const LATER_MS = 120

/** The type itself, as far as entities tell each other. */
const Partners = { name: 'tally', commands: { pass: { id: i64(), hops: i64() }, wound: { id: i64() } } } as const

/** Entities tell each other two by two, so that both may have something for each other. */
function partnerOf(entity: string): string {
  return { a: 'b', b: 'a', c: 'd', d: 'c' }[entity.slice('tally/'.length)] ?? 'a'
}

export type TallyState = ReturnType<typeof Tally.initial>

/** What devices send. */
export type TallyCommand = Exclude<keyof typeof Tally.commands, 'pass' | 'wound'>
