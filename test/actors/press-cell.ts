import { defineEntity, f64, json, label, signal } from '#entity/index.js'
import type { Supervision } from '#entity/supervise.js'

/** The entity types of tests of supervision: presses that fail on demand, and cells that spawn, stop and watch them as they are told. */
export const Press = defineEntity({
  name: 'press',
  events: { Did: { amount: f64() }, Broke: {} },
  commands: { work: { amount: f64() }, fail: { why: label() }, refuse: {}, break: {}, leave: {}, later: { ms: f64() } },
  initial: () => ({ total: 0 }),
  decide: {
    work: (_, command, { emit }) => emit.Did(command),
    fail(_, { why }, { emit }) {
      emit.Did({ amount: 1e6 })
      throw new Error(why)
    },
    refuse: (_, __, { refuse }) => refuse('NO'),
    break: (_, __, { emit }) => emit.Broke({}),
    leave: (_, __, { exit }) => exit('DONE'),
    later: (_, { ms }, { after }) => after(ms, 'work', { amount: 1000 }),
  },
  apply: {
    Did: (state, { amount }) => void (state.total += amount),
    Broke() {
      throw new Error('apply is broken')
    },
  },
})

const commands = {
  spawn: { press: label(), options: json<Readonly<Record<string, unknown>>>({ default: {} }) },
  /** Spawns a cell, which spawns a press first. */
  raise: { cell: label(), press: label(), options: json<Readonly<Record<string, unknown>>>({ default: {} }) },
  stop: { press: label() },
  watch: { press: label() },
  unwatch: { press: label() },
  leave: {},
  fail: {},
  hear: signal(),
  list: {},
} as const

export type CellSupervision = Supervision<typeof commands, { heard: string[] }>

/** A cell that supervises as told. */
export function cellType(supervise: CellSupervision = {}) {
  return defineEntity({
    name: 'cell',
    events: { Heard: { text: label() } },
    commands,
    initial: () => ({ heard: [] as string[] }),
    supervise: { signal: 'hear', ...supervise },
    decide: {
      spawn(_, { press, options: how }, { spawn }) {
        spawn(Press, press, { begin: Press.command.work({ amount: 1 }), ...how })
      },
      raise(_, { cell, press, options: how }, { spawn }) {
        spawn({ name: 'cell', commands }, cell, { begin: { command: 'spawn', data: { press, options: how } }, ...how })
      },
      stop: (_, { press }, { stop }) => ({ stopped: stop(Press, press) }),
      watch: (_, { press }, { watch }) => watch(Press, press, { signal: 'hear' }),
      unwatch: (_, { press }, { unwatch }) => unwatch(Press, press),
      leave: (_, __, { exit }) => exit(),
      fail() {
        throw new Error('the cell is broken')
      },
      hear(_, { signal: what, from, code, directive }, { emit }) {
        emit.Heard({ text: [from, what, code, directive].filter((one) => one !== undefined).join(' ') })
      },
      list: (_, __, { children }) => children().map(({ entity, phase }) => `${entity} ${phase}`),
    },
    apply: { Heard: (state, { text }) => void state.heard.push(text) },
  })
}
