import { answer } from '#entity/answer.js'
import { defineEntity, i64, json, label, text } from '#entity/index.js'

/**
 * The entity type of tests of messages: hands numbers on along a chain of relays by name, asks, and waits. Each number that it took is an event, so that one that is lost or
 * comes twice shows.
 */
export const Relay = defineEntity({
  name: 'relay',
  events: { Took: { id: i64() }, Heard: { outcome: label(), data: json() }, Ticked: { at: i64(), note: text() } },
  commands: {
    /** Takes the number and tells the next of `length` relays. */
    pass: { id: i64(), length: i64() },
    /** Takes it and tells all of these. */
    spread: { id: i64(), to: json<string[]>() },
    take: { id: i64() },
    /** Asks somebody to `take`, `refuse` or `fail`. */
    inquire: { id: i64(), who: text(), what: label({ oneOf: ['take', 'refuse', 'fail'] }), timeoutMs: i64() },
    onAnswer: answer(),
    refuse: { id: i64() },
    fail: { id: i64() },
    later: { ms: i64(), note: text(), key: text({ optional: true }) },
    again: { ms: i64(), note: text(), key: text({ optional: true }) },
    stop: { key: text() },
    tick: { note: text() },
    deny: { note: text() },
    laterDeny: { ms: i64() },
    tellSelf: { id: i64() },
  },
  initial: () => ({ taken: [] as number[], heard: [] as unknown[], ticks: [] as string[] }),
  decide: {
    pass(_, { id, length }, { emit, tell, entity }) {
      emit.Took({ id })
      const place = Number(entity.slice('relay/'.length))
      if (place + 1 < length) tell(Relay, String(place + 1)).pass({ id, length })
    },
    spread(_, { id, to }, { emit, tell }) {
      emit.Took({ id })
      for (const name of to) tell(Relay, name).take({ id })
    },
    take(state, { id }, { emit, source }) {
      emit.Took({ id })
      return { count: state.taken.length, source }
    },
    inquire(_, { id, who, what, timeoutMs }, { ask }) {
      const message: number = ask(Relay, who)[what]({ id }, { timeoutMs, answer: 'onAnswer' })
      return { message }
    },
    onAnswer(_, { outcome, ...data }, { emit }) {
      emit.Heard({ outcome, data: { ...data } })
    },
    refuse: (_, { id }, { refuse }) => refuse('NO', { id }),
    fail(_, { id }) {
      throw new Error(`failed on ${id}`)
    },
    later(_, { ms, note, key }, { after }) {
      after(ms, 'tick', { note }, key === undefined ? {} : { key })
    },
    again(_, { ms, note, key }, { every }) {
      every(ms, 'tick', { note }, key === undefined ? {} : { key })
    },
    stop: (_, { key }, { cancel }) => ({ cancelled: cancel(key) }),
    tick(_, { note }, { emit, at }) {
      emit.Ticked({ at, note })
    },
    deny: (_, __, { refuse }) => refuse('DENIED'),
    laterDeny(_, { ms }, { after }) {
      after(ms, 'deny', { note: '' })
    },
    tellSelf(_, { id }, { tell, entity, emit }) {
      emit.Took({ id })
      tell(Relay, entity.slice('relay/'.length)).take({ id: id + 1 })
    },
  },
  apply: {
    Took(state, { id }) {
      state.taken.push(id)
    },
    Heard(state, { outcome, data }) {
      state.heard.push([outcome, data])
    },
    Ticked(state, { note }) {
      state.ticks.push(note)
    },
  },
})

export type RelayState = ReturnType<typeof Relay.initial>
