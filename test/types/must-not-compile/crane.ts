import { answer } from '#entity/answer.js'
import { defineEntity, f64, label } from '#entity/index.js'

const Press = defineEntity({
  name: 'press',
  events: {},
  commands: { sample: { temperature: f64(), force: f64() } },
  initial: () => ({}),
  decide: { sample() {} },
  apply: {},
})

export const Crane = defineEntity({
  name: 'crane',
  events: { Moved: { to: f64('m') } },
  commands: { move: { to: f64('m') }, rest: {}, onSampled: answer(), pass: { why: label() } },
  initial: () => ({ to: 0 }),
  decide: {
    move(_, { to }, { tell, ask, after, every, cancel }) {
      tell(Press, 'press-1').sample({ temperature: 'hot', force: to }) // error
      tell(Press, 'press-1').press({}) // error
      tell(Press, 1).sample({ temperature: 1, force: 2 }) // error
      tell('press', 'press-1') // error
      ask(Press, 'press-2').sample({ temperature: 1, force: 2 }) // error
      ask(Press, 'press-2').sample({ temperature: 1, force: 2 }, { timeoutMs: 500, answer: 'rest' }) // error
      ask(Press, 'press-2').sample({ temperature: 1, force: 2 }, { timeoutMs: 500, answer: 'onAnswer' }) // error
      after(1000, 'sleep', {}) // error
      after(1000, 'move', {}) // error
      every('1s', 'rest', {}) // error
      cancel(7) // error
    },
    rest() {},
    onSampled(_, { outcome }, { emit }) {
      if (outcome === 'late') emit.Moved({ to: 0 }) // error
    },
    pass() {},
  },
  apply: { Moved() {} },
})
