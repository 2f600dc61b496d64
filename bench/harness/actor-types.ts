import { answer } from '#entity/answer.js'
import { defineEntity, i64, text } from '#entity/index.js'

/** Told by handlers, since volatile commands leave nothing else to look at. */
export const heard = { hops: 0, answers: 0, sum: 0, onAnswer: (): boolean => false }

const ASK_MS = 60_000

/** The entity type that actors are measured with: hands a number on to the next, counting down, or asks somebody again and again. */
export const Node = defineEntity({
  name: 'node',
  events: { Linked: { next: text() } },
  commands: {
    link: { next: text() },
    touch: {},
    start: { left: i64() },
    hop: { left: i64() },
    startAsking: { left: i64() },
    look: { left: i64() },
    onLook: answer<number>(),
  },
  volatile: ['touch', 'start', 'hop', 'startAsking', 'look', 'onLook'],
  initial: () => ({ next: '' }),
  decide: {
    link(_, { next }, { emit }) {
      emit.Linked({ next })
    },
    touch() {},
    start({ next }, { left }, { tell }) {
      tell(Node, next).hop({ left })
    },
    hop({ next }, { left }, { tell }) {
      heard.hops++
      if (left > 0) tell(Node, next).hop({ left: left - 1 })
    },
    startAsking({ next }, { left }, { ask }) {
      const message: number = ask(Node, next).look({ left }, { timeoutMs: ASK_MS, answer: 'onLook' })
      return message
    },
    look: (_, { left }) => left,
    onLook({ next }, { reply = 0, outcome }, { ask }) {
      if (outcome !== 'done') throw new Error(`an ask came to ${outcome}`)
      heard.answers++
      heard.sum += reply
      if (reply > 0 && !heard.onAnswer()) ask(Node, next).look({ left: reply - 1 }, { timeoutMs: ASK_MS, answer: 'onLook' })
    },
  },
  apply: {
    Linked(state, { next }) {
      state.next = next
    },
  },
})
