import { answer } from '#entity/answer.js'
import { defineEntity, f64, i64, label } from '#entity/index.js'
import { given } from '#testing.js'
import { Press } from './press.js'

type Found = { readonly alarms: number }

/** Tells and asks others, sets timers, and its own type too. */
export const Crane = defineEntity({
  name: 'crane',
  events: { Moved: { to: f64('m') }, Heard: { alarms: i64() } },
  commands: { move: { to: f64('m') }, rest: {}, onSampled: answer<Found, { readonly alarms: number }>(), pass: { why: label() } },
  initial: () => ({ to: 0, heard: 0, waiting: 0 }),
  decide: {
    move(_, { to }, { emit, tell, ask, after, every, cancel }) {
      emit.Moved({ to })
      tell(Press, 'press-1').sample({ temperature: 20, force: to })
      tell(Crane, 'next').pass({ why: 'moved' })
      const message: number = ask(Press, 'press-2').sample({ temperature: 1, force: 2 }, { timeoutMs: 500, answer: 'onSampled' })
      after(1000, 'rest', {})
      every(60_000, 'move', { to: 0 }, { key: 'home' })
      return { message, wasHome: cancel('home') }
    },
    rest() {},
    onSampled(state, { outcome, reply, detail, from, message }, { emit }) {
      if (outcome === 'done' && reply !== undefined) emit.Heard({ alarms: reply.alarms })
      return { waiting: state.waiting, from: from.length, message, alarms: detail?.alarms }
    },
    pass(_, { why }, { tell, entity }) {
      if (why === 'moved') tell(Crane, entity.slice('crane/'.length)).rest({})
    },
  },
  apply: {
    Moved(state, { to }) {
      state.to = to
    },
    Heard(state, { alarms }) {
      state.heard = alarms
    },
  },
})

export function testCrane(): void {
  given(Crane)
    .when.pass({ why: 'moved' }, { entity: 'crane/a' })
    .then([])
    .thenTold([{ tell: 'crane/a', command: 'rest', data: {} }])
}
