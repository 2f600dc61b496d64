import { assign, setup } from 'xstate'
import { type AnswerOf, type EventOf, i32, label, type StateOf } from '#entity/index.js'
import { given } from '#testing.js'
import { fromMachine } from '#xstate/index.js'

const machine = setup({
  types: {
    context: {} as { level: number },
    events: {} as { type: 'turnOn'; level: number; by?: string | undefined } | { type: 'turnOff' },
    input: {} as { level: number },
  },
  actions: {
    shine: (_, _params: { level: number }) => undefined,
  },
}).createMachine({
  context: ({ input }) => ({ level: input.level }),
  initial: 'off',
  states: {
    off: { on: { turnOn: { target: 'on', actions: assign({ level: ({ event }) => event.level }) } } },
    on: { entry: { type: 'shine', params: ({ context }) => ({ level: context.level }) }, on: { turnOff: 'off' } },
  },
})

export const Lamp = fromMachine(machine, {
  name: 'lamp',
  commands: { turnOn: { level: i32(), by: label({ optional: true }) }, turnOff: {} },
  events: { Shone: { level: i32() } },
  actions: {
    shine: ({ level }: { level: number }, { emit, after }) => {
      emit.Shone({ level })
      after(5000, 'turnOff', {})
    },
  },
  input: ({ entity }) => ({ level: entity.length }),
})

export const value: 'on' | 'off' | null = ({} as StateOf<typeof Lamp>).value
export const level: number = ({} as StateOf<typeof Lamp>).context.level
export const shone: EventOf<typeof Lamp> = Lamp.event.Shone({ level: 3 })

export function read(answer: AnswerOf<typeof Lamp, 'turnOff'>): 'on' | 'off' | 'UNHANDLED' {
  return answer.ok ? answer.reply.value : answer.refused
}

export function testLamp(): void {
  given(Lamp).when.turnOn({ level: 3 }).thenReply({ value: 'on' })
}
