import { answer } from '#entity/answer.js'
import { defineEntity, i64, json, label, text } from '#entity/index.js'

/** What handlers saw, in order: volatile commands leave nothing else to look at. */
export const seen: unknown[] = []

/** The entity type of tests of volatile commands. */
export const Pulse = defineEntity({
  name: 'pulse',
  events: { Began: { id: i64() }, Counted: { id: i64() }, Heard: { outcome: label(), data: json() } },
  commands: {
    beat: { id: i64() },
    /** Hands on to the next one by name. */
    hop: { id: i64(), left: i64() },
    /** Volatile, and emits all the same. */
    count: { id: i64() },
    look: { id: i64(), what: label({ oneOf: ['reply', 'refuse', 'throw', 'count'] }) },
    onLook: answer(),
    /** Stored, and tells what is not. */
    begin: { id: i64(), to: json<string[]>(), command: label({ oneOf: ['beat', 'count'] }) },
    start: { left: i64() },
    inquire: { who: text(), what: label({ oneOf: ['reply', 'refuse', 'throw', 'count'] }), timeoutMs: i64() },
    spoil: {},
  },
  volatile: ['beat', 'hop', 'count', 'look', 'onLook', 'spoil'],
  initial: () => ({ counted: [] as number[] }),
  decide: {
    beat(state, { id }, { entity, source, correlation }) {
      seen.push({ entity, source, id, correlation, counted: state.counted.length })
      return { counted: state.counted.length }
    },
    hop(_, { id, left }, { entity, tell }) {
      seen.push(id)
      if (left > 0) tell(Pulse, String(Number(entity.slice('pulse/'.length)) + 1)).hop({ id, left: left - 1 })
    },
    count(_, { id }, { emit }) {
      emit.Counted({ id })
      return { id }
    },
    look(state, { id, what }, { emit, refuse }) {
      if (what === 'throw') throw new Error(`failed on ${id}`)
      if (what === 'refuse') return refuse('NO', { id })
      if (what === 'count') emit.Counted({ id })
      return { counted: state.counted.length }
    },
    onLook(_, { outcome, ...data }) {
      seen.push([outcome, data])
    },
    begin(_, { id, to, command }, { emit, tell }) {
      emit.Began({ id })
      for (const name of to) tell(Pulse, name)[command]({ id })
    },
    start(_, { left }, { tell }) {
      tell(Pulse, '0').hop({ id: left, left })
    },
    inquire(_, { who, what, timeoutMs }, { ask }) {
      const message: number = ask(Pulse, who).look({ id: 1, what }, { timeoutMs, answer: 'onLook' })
      return { message }
    },
    spoil(_, __, { emit }) {
      emit.Counted({ id: -1 })
    },
  },
  apply: {
    Began() {},
    Heard() {},
    Counted(state, { id }) {
      if (id < 0) throw new Error('spoilt')
      state.counted.push(id)
    },
  },
})

export type PulseState = ReturnType<typeof Pulse.initial>
