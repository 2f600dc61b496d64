import { defineEntity, f64, i32, label } from 'millrace'

/** A press that is sampled, raises an alarm when it is too hot, and is out of order after too many. */
export const Press = defineEntity({
  name: 'press',

  events: {
    Sampled: { temperature: f64('°C'), force: f64('kN') },
    AlarmRaised: { code: label(), value: f64() },
    Serviced: { by: label(), alarms: i32() },
  },

  commands: {
    sample: { temperature: f64('°C'), force: f64('kN') },
    service: { by: label() },
  },

  initial: () => ({ temperature: Number.NaN, force: Number.NaN, alarms: 0, services: 0 }),

  decide: {
    sample(state, command, { emit, refuse }) {
      if (state.alarms >= 10) return refuse('OUT_OF_ORDER', { alarms: state.alarms })
      emit.Sampled(command)
      if (command.temperature > 90) emit.AlarmRaised({ code: 'OVERHEAT', value: command.temperature })
      if (command.force > 500) emit.AlarmRaised({ code: 'OVERLOAD', value: command.force })
      return { alarms: state.alarms }
    },
    service(state, command, { emit }) {
      emit.Serviced({ by: command.by, alarms: state.alarms })
      return undefined
    },
  },

  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
      state.force = event.force
    },
    AlarmRaised(state) {
      state.alarms++
    },
    Serviced(state) {
      state.alarms = 0
      state.services++
    },
  },
})
