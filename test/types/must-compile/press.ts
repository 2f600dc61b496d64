import { type AnswerOf, type CommandOf, defineEntity, type EventOf, f64, label, type StateOf } from '#entity/index.js'
import { given } from '#testing.js'

export const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64('°C'), force: f64('kN') }, AlarmRaised: { code: label(), value: f64() } },
  commands: { sample: { temperature: f64('°C'), force: f64('kN') }, reset: {} },
  initial: () => ({ temperature: Number.NaN, force: Number.NaN, alarms: 0, log: [] as string[], seen: new Map<string, { at: number }>() }),
  decide: {
    sample(state, command, { emit, refuse, at }) {
      if (state.alarms > 10) return refuse('TOO_MANY_ALARMS', { alarms: state.alarms })
      if (Number.isNaN(command.force)) return refuse('NO_FORCE')
      emit.Sampled(command)
      if (command.temperature > 90) emit.AlarmRaised({ code: 'OVERHEAT', value: command.temperature })
      return { alarms: state.alarms, at }
    },
    reset() {},
  },
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
      state.force = event.force
      state.log.push('sampled')
      state.seen.set('sampled', { at: 0 })
    },
    AlarmRaised(state) {
      state.alarms++
    },
  },
})

export const sampled = Press.event.Sampled({ temperature: 95, force: 3 })
export const command: CommandOf<typeof Press> = Press.command.sample({ temperature: 95, force: 3 })
export const event: EventOf<typeof Press> = sampled
export const alarms: number = ({} as StateOf<typeof Press>).alarms

export function read(answer: AnswerOf<typeof Press, 'sample'>): string {
  if (answer.ok) return `${answer.version} ${answer.reply.alarms.toFixed()} ${answer.reply.at.toFixed()}`
  if (answer.refused === 'TOO_MANY_ALARMS') return answer.detail.alarms.toFixed()
  const code: 'NO_FORCE' = answer.refused
  return code
}

export function readReset(answer: AnswerOf<typeof Press, 'reset'>): undefined {
  return answer.reply
}

export function testPress(): void {
  given(Press, [])
    .when.sample({ temperature: 95, force: 3 })
    .then([Press.event.Sampled({ temperature: 95, force: 3 }), Press.event.AlarmRaised({ code: 'OVERHEAT', value: 95 })])
    .thenReply({ alarms: 0 })
  given(Press).when.reset({}).then([])
}
