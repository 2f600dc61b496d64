import { type AnswerOf, defineEntity, label } from '#entity/index.js'
import { given } from '#testing.js'

// Each line that ends in `// error` has an error, and no other line has one.

const parts = {
  name: 'door',
  events: { Opened: { by: label() } },
  commands: { open: { by: label() }, close: {} },
  initial: () => ({ cycles: 0, list: [1] }),
  apply: { Opened() {} },
} as const

export const Misspelt = defineEntity({
  ...parts,
  start: 'Closde', // error
  renamedStates: { Ajar: 'Opne' }, // error
  states: {
    Door: {
      otherwise(_door, command, { refuse }) {
        if (command.command === 'opne') return 1 // error
        return refuse('NO', command.dta) // error
      },
    },
    Closed: {
      parent: 'Dor', // error
      onEnter(door, { emit, goto, current, after }, { from }) {
        after(5000, 'opne', {}) // error
        after(5000, 'open', {}) // error
        emit.Opend({ by: 'ann' }) // error
        emit.Transitioned({ to: 'Open' }) // error
        goto('Opne') // error
        if (from === 'Opne') return // error
        if (current === 'Opne') return // error
        if (door.state === 'Opne') return // error
        door.cycles++ // error
        door.list.push(1) // error
      },
      on: {
        open(door, command, { goto }) {
          goto(command.by) // error
          goto() // error
          return door.cyles // error
        },
        opne() {}, // error
      },
    },
    Open: {
      onEntre() {}, // error
      on: {
        close: (_door, command) => command.force, // error
      },
    },
  },
})

export const WithAsyncReceiver = defineEntity({
  ...parts,
  states: {
    Closed: {
      on: {
        async open() {}, // error
        close() {},
      },
    },
  },
})

export const WithBoth = defineEntity({
  ...parts,
  states: { Closed: {} },
  decide: { open() {}, close() {} }, // error
})

export const WithNeither = defineEntity({ ...parts }) // error

export const WithStartAlone = defineEntity({
  ...parts,
  decide: { open() {}, close() {} },
  start: 'Closed', // error
})

export const WithWrongApply = defineEntity({
  ...parts,
  states: { Closed: {} },
  applyTransition(door, { to }) {
    if (to === 'Open') return // error
    door.state = 'Open' // error
  },
})

const Door = defineEntity({ ...parts, states: { Closed: { on: { open: () => ({ cycles: 1 }) } }, Open: {} } })

export const unknown = Door.event.Transitioned({ to: 'Ajar' }) // error
export const without = Door.event.Transitioned({ from: 'Open' }) // error
given(Door, [Door.event.Transitioned({ to: 'Open' })])
  .when.open({ by: 'ann' })
  .thenState({ state: 'Ajar', cycles: 1, list: [] }) // error

export function read(answer: AnswerOf<typeof Door, 'open'>): number {
  if (answer.ok) return answer.reply.cycle // error
  if (answer.refused === 'UNHANDELD') return 1 // error
  return answer.detail.where // error
}
