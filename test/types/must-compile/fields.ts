import { bool, defineEntity, f32, f64, i32, i64, json, label, text, time } from '#entity/index.js'

interface Recipe {
  readonly steps: readonly { readonly name: string; readonly seconds: number }[]
}

/** Written without `readonly`, as most are. */
interface Program {
  steps: { name: string; seconds: number[] }[]
}

export const Oven = defineEntity({
  name: 'oven',
  events: {
    Baked: {
      heat: f64('°C', { optional: true }),
      target: f64('°C', { default: 20 }),
      spare: f64({ optional: true, default: 0 }),
      rate: f32('K/s'),
      count: i32(),
      order: i64(),
      isDone: bool({ optional: true }),
      mode: label({ oneOf: ['EMPTY', 'FULL'] }),
      door: label({ oneOf: ['OPEN', 'SHUT'], default: 'SHUT' }),
      note: text({ optional: true }),
      begun: time(),
      recipe: json<Recipe>(),
      extra: json({ optional: true }),
      program: json<Program>({ optional: true }),
      limits: json<{ readonly high: number }>({ default: { high: 300 } }),
    },
  },
  commands: { run: { program: json<Program>() }, bake: { heat: f64('°C', { optional: true }), recipe: json<Recipe>() } },
  initial: () => ({
    mode: 'EMPTY' as 'EMPTY' | 'FULL',
    heat: undefined as number | undefined,
    target: 0,
    high: 0,
    steps: 0,
    program: { steps: [] } as Program,
    any: undefined as unknown,
  }),
  decide: {
    run(state, { program }, { emit }) {
      const any: unknown = state.any
      const isSame = program.steps.length === state.program.steps.length && any === undefined
      emit.Baked({ rate: 1, count: 1, order: 1, mode: 'FULL', begun: 0, recipe: { steps: [] }, program: isSame ? program : state.program })
    },
    bake(_state, command, { emit }) {
      const heat: number | undefined = command.heat
      emit.Baked({ heat, rate: 1, count: 1, order: 1, mode: 'FULL', begun: 0, recipe: command.recipe })
      emit.Baked({ rate: 1, count: 1, order: 1, mode: 'EMPTY', begun: 0, recipe: { steps: [] }, target: 3, door: 'OPEN', spare: 1 })
    },
  },
  apply: {
    Baked(state, event) {
      state.mode = event.mode
      if (event.program !== undefined) state.program = event.program
      state.heat = event.heat
      state.target = event.target + event.spare
      state.high = event.limits.high
      state.steps = event.recipe.steps.length
      const door: 'OPEN' | 'SHUT' = event.door
      const note: string | undefined = event.note
      if (door === 'OPEN' && note === undefined && event.isDone === true) state.steps = 0
    },
  },
  snapshotEvery: 500,
  class: 'critical',
})
