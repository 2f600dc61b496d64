import { defineEntity, f64, openPlant } from 'millrace'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64('°C') }, Overheated: { temperature: f64('°C') } },
  commands: { sample: { temperature: f64('°C') } },
  initial: () => ({ temperature: NaN, alarms: 0 }),
  decide: {
    sample(state, command, { emit, refuse }) {
      if (state.alarms >= 2) return refuse('OUT_OF_ORDER', { alarms: state.alarms })
      emit.Sampled(command)
      if (command.temperature > 90) emit.Overheated(command)
      return { alarms: state.alarms }
    },
  },
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
    },
    Overheated(state) {
      state.alarms++
    },
  },
})

const plant = await openPlant({ entities: [Press], data: './data' })
const press = plant.entity(Press, 'press-1')

console.log(await press.sample({ temperature: 61.5 }))
console.log(await press.sample({ temperature: 95 }))
console.log(await plant.state(Press, 'press-1'))
await plant.close()
