import { setup } from 'xstate'
import { i32, label, type StateOf } from '#entity/index.js'
import { given } from '#testing.js'
import { fromMachine } from '#xstate/index.js'

// Each line that ends in `// error` has an error, and no other line has one.

const machine = setup({
  types: {
    context: {} as { level: number },
    events: {} as { type: 'turnOn'; level: number } | { type: 'turnOff' },
    input: {} as { level: number },
  },
}).createMachine({ context: { level: 0 }, initial: 'off', states: { off: {}, on: {} } })

export const Lamp = fromMachine(machine, {
  name: 'lamp',
  commands: { turnOn: { level: i32() }, turnOff: {} },
  events: { Shone: { level: i32() } },
  actions: { shine: (_params, { emit }) => emit.Shown({ level: 1 }) }, // error
  input: () => ({ lvel: 3 }), // error
})

export const WithUnknownEvent = fromMachine(machine, {
  name: 'lamp',
  commands: { turnOn: { level: i32() }, turnOver: {} }, // error
})

export const WithOtherFields = fromMachine(machine, {
  name: 'lamp',
  commands: { turnOn: { level: label() } }, // error
})

export const value: 'on' | 'of' | null = ({} as StateOf<typeof Lamp>).value // error
given(Lamp).when.turnOver({}) // error
given(Lamp).when.turnOn({ lvel: 1 }) // error
