import { type AnswerOf, defineEntity, f64, label } from '#entity/index.js'
import { given } from '#testing.js'

// Each line that ends in `// error` has an error, and no other line has one.

const events = { Sampled: { temperature: f64('°C') }, AlarmRaised: { code: label({ oneOf: ['OVERHEAT', 'STALLED'] }) } }
const commands = { sample: { temperature: f64('°C') }, reset: {} }
const initial = () => ({ temperature: 0, alarms: 0, list: [1], parts: new Map<string, number>() })
const apply = {
  Sampled(state: ReturnType<typeof initial>, event: { temperature: number }) {
    state.temperature = event.temperature
  },
  AlarmRaised(state: ReturnType<typeof initial>) {
    state.alarms++
  },
}

export const Misspelt = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: {
    sample(state, command, { emit, refuse }) {
      emit.Sampled({ temprature: command.temperature }) // error
      emit.Sampled({ temperature: command.temperature, force: 3 }) // error
      emit.Sampled({}) // error
      emit.Sampled({ temperature: '95' }) // error
      emit.Sampeld({ temperature: 95 }) // error
      emit.AlarmRaised({ code: 'OVERHAET' }) // error
      if (command.temprature > 90) return refuse('HOT') // error
      if (state.alarm > 90) return refuse('HOT') // error
      state.alarms = 3 // error
      state.list.push(2) // error
      state.parts.set('a', 1) // error
      return undefined
    },
    reset() {},
  },
  apply: {
    Sampled(state, event) {
      state.temperature = event.temprature // error
      state.temprature = event.temperature // error
    },
    AlarmRaised(_state, event) {
      if (event.code === 'OVERHAET') return // error
    },
  },
})

export const WithUnknownCommand = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: {
    sample() {},
    reset() {},
    resett() {}, // error
  },
  apply,
})

export const WithoutCommand = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: { sample() {} }, // error
  apply,
})

export const WithAsyncDecide = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: {
    async sample() {}, // error
    reset: () => Promise.resolve(1), // error
  },
  apply,
})

export const WithAsyncSometimes = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: {
    sample: (state) => (state.alarms > 0 ? Promise.resolve(1) : 1), // error
    reset() {},
  },
  apply,
})

export const WithoutEvent = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: { sample() {}, reset() {} },
  apply: { Sampled() {} }, // error
})

export const WithUnknownEvent = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: { sample() {}, reset() {} },
  apply: {
    Sampled() {},
    AlarmRaised() {},
    AlarmRaysed() {}, // error
  },
})

export const WithAsyncApply = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: { sample() {}, reset() {} },
  apply: {
    async Sampled() {}, // error
    AlarmRaised: (state) => ({ ...state, alarms: state.alarms + 1 }), // error
  },
})

export const WithOtherOptions = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: { sample() {}, reset() {} },
  apply,
  snapshotEvery: '100', // error
  class: 'urgent', // error
})

export const WithUnknownOption = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: { sample() {}, reset() {} },
  apply,
  snapshots: 3, // error
})

const Press = defineEntity({
  name: 'press',
  events,
  commands,
  initial,
  decide: {
    sample(state, _command, { refuse }) {
      if (state.alarms > 3) return refuse('TOO_MANY_ALARMS', { alarms: state.alarms })
      return { alarms: state.alarms }
    },
    reset() {},
  },
  apply,
})

export const made = Press.event.Sampled({ temprature: 3 }) // error
export const unknown = Press.event.Sampeld({ temperature: 3 }) // error
export const unknownCommand = Press.command.smaple({ temperature: 3 }) // error
given(Press, [{ event: 'Sampeld', data: { temperature: 3 } }]) // error
given(Press, []).when.smaple({ temperature: 3 }) // error
given(Press, []).when.sample({ temprature: 3 }) // error
given(Press, [])
  .when.reset({})
  .then([Press.event.Sampled({ temperature: 1 })])
  .thenState({ temperature: 1 }) // error

export function read(answer: AnswerOf<typeof Press, 'sample'>): number {
  if (answer.ok) return answer.reply.alarm // error
  if (answer.refused === 'TOO_MANY_ALARM') return 1 // error
  return answer.reply // error
}
