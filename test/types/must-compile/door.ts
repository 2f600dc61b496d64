import { type AnswerOf, type CommandOf, defineEntity, type EventOf, f64, label, type StateOf } from '#entity/index.js'
import { given } from '#testing.js'

export const Door = defineEntity({
  name: 'door',
  events: { Opened: { by: label() }, Slammed: {} },
  commands: { open: { by: label() }, close: { force: f64() }, look: {} },
  initial: () => ({ cycles: 0, seen: new Map<string, number>() }),
  start: 'Closed',
  states: {
    Door: {
      on: { look: (door) => ({ cycles: door.cycles }) },
      otherwise(door, command, { refuse }) {
        const name: 'open' | 'close' | 'look' = command.command
        const by: string = command.command === 'open' ? command.data.by : ''
        return refuse('NOT_NOW', { name, by, cycles: door.cycles })
      },
    },
    Closed: {
      parent: 'Door',
      onEnter(door, { emit, goto, current, after, cancel }, { from, to, command }) {
        if (cancel('lock')) after(5000, 'close', { force: 1 }, { key: 'lock' })
        const states: readonly ('Door' | 'Closed' | 'Open' | null)[] = [from, to, current, door.state]
        if (states.length > 9 && command.command === 'close' && command.data.force > 9) emit.Slammed({})
        if (from === 'Open' && door.cycles > 1e9) goto('Open')
      },
      on: {
        open(door, { by }, { emit, goto }) {
          emit.Opened({ by })
          goto('Open')
          return { cycles: door.cycles + 1 }
        },
      },
    },
    Open: {
      parent: 'Door',
      onExit(_door, _context, { to }) {
        if (to === 'Open') return
      },
      on: { close: (_door, _command, { goto }) => goto('Closed') },
    },
  },
  renamedStates: { Ajar: 'Open' },
  apply: {
    Opened(door, event) {
      door.cycles++
      door.seen.set(event.by, 1)
    },
    Slammed() {},
  },
  applyTransition(door, { from, to }) {
    const states: readonly ('Door' | 'Closed' | 'Open' | null)[] = [from ?? null, to, door.state]
    if (states.length > 9) door.cycles = 0
  },
})

/** Parts may be declared on their own, and without apply of transitions. */
const timer = {
  name: 'timer',
  events: {},
  commands: { go: {} },
  initial: () => ({}),
  apply: {},
} as const
export const Timer = defineEntity({ ...timer, states: { Off: { on: { go: (_timer, _command, { goto }) => goto('On') } }, On: {} } })

export const opened: EventOf<typeof Door> = Door.event.Transitioned({ from: 'Closed', to: 'Open' })
export const started: EventOf<typeof Door> = Door.event.Transitioned({ to: 'Closed' })
export const command: CommandOf<typeof Door> = Door.command.open({ by: 'ann' })
export const state: 'Door' | 'Closed' | 'Open' | null = ({} as StateOf<typeof Door>).state
export const cycles: number = ({} as StateOf<typeof Door>).cycles

export function read(answer: AnswerOf<typeof Door, 'open'>): string {
  if (answer.ok) return answer.reply.cycles.toFixed()
  if (answer.refused === 'NOT_NOW') return answer.detail.by
  const code: 'UNHANDLED' = answer.refused
  const where: 'Door' | 'Closed' | 'Open' = answer.detail.state
  const what: 'open' = answer.detail.command
  return code + where + what
}

export function readClose(answer: AnswerOf<typeof Door, 'close'>): undefined {
  return answer.ok ? answer.reply : undefined
}

export function testDoor(): void {
  given(Door, [Door.event.Transitioned({ to: 'Closed' })])
    .when.open({ by: 'ann' })
    .then([Door.event.Opened({ by: 'ann' }), Door.event.Transitioned({ from: 'Closed', to: 'Open' })])
    .thenReply({ cycles: 1 })
    .thenState({ state: 'Open', cycles: 1, seen: new Map() })
}
