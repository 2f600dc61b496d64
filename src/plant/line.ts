import { defineEntity, i32, json, label, signal, text } from '#entity/index.js'

/** The drill errs within seconds: no error is ever too old to count. */
const WITHIN_MS = 3_600_000
/** Of a tool, or with some strategies of all tools of a cell; the next one is for the line to mend. */
export const TOOL_RESTARTS = 2
/** Of a cell; the next one stops it. */
export const CELL_RESTARTS = 1

/** What a cell consists of, plain JSON. */
export interface CellPlan {
  /** Names, in the order in which the cell spawns them. */
  readonly tools: readonly string[]
  /** Those of them that go on after an error. */
  readonly resumed: readonly string[]
}

export interface ToolState {
  /** What it was fitted with: 0 before that. */
  fitting: number
  strokes: number
}

/** A child that errs when it is told to. */
export const Tool = defineEntity({
  name: 'tool',
  events: { Fitted: { fitting: i32() }, Worked: { strokes: i32() } },
  commands: { fit: { fitting: i32() }, work: { strokes: i32() }, err: {}, look: {} },
  volatile: ['look'],
  initial: (): ToolState => ({ fitting: 0, strokes: 0 }),
  decide: {
    fit: (_tool, command, { emit }) => emit.Fitted(command),
    work: (_tool, command, { emit }) => emit.Worked(command),
    err() {
      throw new Error('the tool is worn')
    },
    look: ({ fitting, strokes }) => ({ fitting, strokes }),
  },
  apply: {
    Fitted: (tool, { fitting }) => void (tool.fitting = fitting),
    Worked: (tool, { strokes }) => void (tool.strokes += strokes),
  },
})

const HEARD = { from: text(), signal: label(), directive: label({ optional: true }) }

function cellOf<const S extends 'one-for-one' | 'one-for-all' | 'rest-for-one'>(strategy: S) {
  return defineEntity({
    name: `cell-${strategy}`,
    events: { Heard: HEARD },
    commands: { begin: { plan: json<CellPlan>() }, onTool: signal(), look: {} },
    volatile: ['look'],
    initial: () => ({ errors: 0 }),
    supervise: { strategy, restarts: TOOL_RESTARTS, withinMs: WITHIN_MS, signal: 'onTool' },
    decide: {
      begin(_cell, { plan: { tools, resumed } }, { spawn }) {
        for (const [index, tool] of tools.entries()) {
          const begin = Tool.command.fit({ fitting: index + 1 })
          spawn(Tool, tool, resumed.includes(tool) ? { begin, onError: 'resume' } : { begin })
        }
      },
      onTool: (_cell, { from, signal: what, directive }, { emit }) => emit.Heard({ from, signal: what, directive }),
      /** How many errors it has heard of since it began that were for itself to mend. */
      look: ({ errors }) => ({ errors }),
    },
    apply: {
      Heard(cell, { signal: what, directive }) {
        if (what === 'errored' && directive !== 'escalate') cell.errors++
      },
    },
  })
}

/** By their strategies, which are their names. */
export const CELLS = {
  'one-for-one': cellOf('one-for-one'),
  'one-for-all': cellOf('one-for-all'),
  'rest-for-one': cellOf('rest-for-one'),
} as const

/** The root of a tree: it has one cell, which has tools. */
export const Line = defineEntity({
  name: 'line',
  events: { Heard: HEARD },
  commands: {
    begin: { strategy: label({ oneOf: ['one-for-one', 'one-for-all', 'rest-for-one'] }), cell: text(), plan: json<CellPlan>() },
    onCell: signal(),
  },
  initial: () => ({}),
  supervise: { restarts: CELL_RESTARTS, withinMs: WITHIN_MS, signal: 'onCell' },
  decide: {
    begin(_line, { strategy, cell, plan }, { spawn }) {
      const Cell = CELLS[strategy]
      spawn(Cell, cell, { begin: Cell.command.begin({ plan }) })
    },
    onCell: (_line, { from, signal: what, directive }, { emit }) => emit.Heard({ from, signal: what, directive }),
  },
  apply: { Heard() {} },
})
