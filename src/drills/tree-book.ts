import type { EntityId } from '#base/ids.js'
import type { SupervisionReport } from '#recovery/report.js'
import type { LoggedRow } from './plant-under-test.js'

export const STRATEGIES = ['one-for-one', 'one-for-all', 'rest-for-one'] as const
export type Strategy = (typeof STRATEGIES)[number]

export interface SupervisionVerdict {
  readonly report: SupervisionReport
  /** The first few of what is wrong, for a person. */
  readonly examples: readonly string[]
}

/** What a tool answers who looks at it: what it was fitted with and how much it has done since it began, or the code with which it takes no commands. */
export type ToolLook = string

/** So many errors of its tools a cell mends, then the line begins the cell anew, so many times, then it stops it. */
const TOOL_RESTARTS = 2
const CELL_RESTARTS = 1
const EXAMPLES_MAX = 10
const LIFECYCLE = '#lifecycle'
const HEARD = 'Heard'

interface Tool {
  readonly entity: EntityId
  readonly fitting: number
  strokes: number
}

/**
 * What a tree of a line, its cell and that one's tools has to come to, error by error, as its supervisors say and the documents promise: from that alone, and from nothing that the plant
 * says or does. Errors of the last tool change nothing; those of another begin anew, by the cell's strategy, that one, all, or it and those behind it, until they are too many.
 */
export class TreePage {
  readonly strategy: Strategy
  readonly line: EntityId
  readonly cell: EntityId
  readonly #tools: readonly Tool[]
  /** By entity: what has to become of it, in order. */
  readonly #lives = new Map<string, string[]>()
  /** By who hears of errors, and of whom: what is done about them, see `isSure`. */
  readonly #heard = new Map<string, string[]>()
  #restarts = 0
  #resumedSince = 0
  #cellRestarts = 0
  errors = 0
  restarted = 0
  resumed = 0
  escalated = 0
  isStopped = false
  /** What an answer said that cannot be. */
  wrong: string | undefined

  constructor(strategy: Strategy, name: string, toolCount: number) {
    this.strategy = strategy
    const own = `${name}-${strategy}`
    this.line = `line/${own}`
    this.cell = `cell-${strategy}/${own}`
    this.#tools = Array.from({ length: toolCount }, (_, index) => ({ entity: `tool/${own}-${index}`, fitting: index + 1, strokes: 0 }))
    for (const entity of [this.cell, ...this.tools]) this.#lives.set(entity, ['started'])
  }

  get tools(): readonly EntityId[] {
    return this.#tools.map(({ entity }) => entity)
  }

  /** Of errors of its tools that were for the cell to mend, and that it has heard of since it began. */
  get heardByCell(): number {
    return this.#restarts + this.#resumedSince
  }

  look(tool: number): ToolLook {
    const { fitting, strokes } = this.#tools[tool] as Tool
    return this.isStopped ? 'STOPPED' : lookOf({ fitting, strokes })
  }

  work(tool: number, strokes: number): void {
    ;(this.#tools[tool] as Tool).strokes += strokes
  }

  /** The tool errs. Answers which tools begin anew or stop. */
  err(index: number): readonly number[] {
    this.errors++
    const { entity } = this.#tools[index] as Tool
    this.#live(entity, 'errored')
    if (index === this.#tools.length - 1) {
      this.resumed++
      this.#resumedSince++
      this.#hear(this.cell, entity, 'resume')
      return []
    }
    if (this.#restarts === TOOL_RESTARTS) return this.#escalate()
    this.#restarts++
    this.#hear(this.cell, entity, 'restart')
    const group = this.#groupOf(index)
    for (const tool of group) this.#begin(tool)
    return group
  }

  /** What is wrong with the tree first of all, held against its rows of the log. */
  check(found: LivesFound): string | undefined {
    if (this.wrong !== undefined) return this.wrong
    for (const [entity, lives] of this.#lives) {
      const wrong = difference(`${entity} was`, lives, found.lives.get(entity))
      if (wrong !== undefined) return wrong
    }
    for (const [key, directives] of this.#heard) {
      const wrong = difference(`errors ${key} came to`, directives, found.heard.get(key))
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

  #groupOf(index: number): readonly number[] {
    const all = [...this.#tools.keys()]
    if (this.strategy === 'one-for-all') return all
    return this.strategy === 'one-for-one' ? [index] : all.filter((tool) => tool >= index)
  }

  #begin(index: number): void {
    const tool = this.#tools[index] as Tool
    tool.strokes = 0
    this.restarted++
    this.#live(tool.entity, 'restarted')
  }

  /** All of the cell's tools end with it, and begin with it. */
  #escalate(): readonly number[] {
    const all = [...this.#tools.keys()]
    this.escalated++
    this.#live(this.cell, 'errored')
    for (const { entity } of this.#tools) this.#live(entity, 'stopped')
    if (this.#cellRestarts === CELL_RESTARTS) {
      this.#hear(this.line, this.cell, 'escalate')
      this.#live(this.cell, 'stopped')
      this.isStopped = true
      return all
    }
    this.#cellRestarts++
    this.#restarts = 0
    this.#resumedSince = 0
    this.#hear(this.line, this.cell, 'restart')
    this.#live(this.cell, 'restarted')
    for (const tool of all) this.#begin(tool)
    return all
  }

  #live(entity: string, what: string): void {
    this.#lives.get(entity)?.push(what)
  }

  #hear(who: string, of: string, directive: string): void {
    const key = heardKey(who, of)
    const heard = this.#heard.get(key)
    if (heard === undefined) this.#heard.set(key, [directive])
    else heard.push(directive)
  }
}

/** All trees of a drill. */
export class TreeBook {
  readonly #pages = new Set<TreePage>()

  get treeCount(): number {
    return this.#pages.size
  }

  open(strategy: Strategy, name: string, toolCount: number): TreePage {
    const page = new TreePage(strategy, name, toolCount)
    this.#pages.add(page)
    return page
  }

  /** The tree was given up: what becomes of it says nothing. */
  strike(page: TreePage): void {
    this.#pages.delete(page)
  }

  /** Holds the log against the book. Rows of each entity come in order of version. */
  async check(rows: AsyncIterable<LoggedRow>): Promise<SupervisionVerdict> {
    const found = new LivesFound()
    for await (const row of rows) found.take(row)
    const pages = [...this.#pages]
    const sum = (of: (page: TreePage) => number) => pages.reduce((total, page) => total + of(page), 0)
    const wrong = pages.map((page) => page.check(found)).filter((what) => what !== undefined)
    const report = {
      trees: pages.length,
      errors: sum(({ errors }) => errors),
      restarted: sum(({ restarted }) => restarted),
      resumed: sum(({ resumed }) => resumed),
      escalated: sum(({ escalated }) => escalated),
      wrong: wrong.length,
    }
    return { report, examples: wrong.slice(0, EXAMPLES_MAX) }
  }
}

/** What the log says became of entities, and what of errors that they heard of. */
class LivesFound {
  readonly lives = new Map<string, string[]>()
  readonly heard = new Map<string, string[]>()

  take({ entity, event, data }: LoggedRow): void {
    if (event === LIFECYCLE && data['of'] === 'self') push(this.lives, entity, String(data['what']))
    if (event !== HEARD || data['signal'] !== 'errored') return
    const directive = String(data['directive'])
    if (isSure(entity, directive)) push(this.heard, heardKey(entity, String(data['from'])), directive)
  }
}

/** Of a tool that takes commands. */
export function lookOf({ fitting, strokes }: { readonly fitting: number; readonly strokes: number }): ToolLook {
  return `fitted with ${fitting} and ${strokes} strokes`
}

/** A cell that has escalated an error takes no commands until the line has decided: it hears of that error before, behind it, in its next life, or not at all. */
function isSure(who: string, directive: string): boolean {
  return directive !== 'escalate' || who.startsWith('line/')
}

function heardKey(who: string, of: string): string {
  return `of ${of} that ${who} heard of`
}

function push(lists: Map<string, string[]>, key: string, one: string): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [one])
  else list.push(one)
}

function difference(what: string, wanted: readonly string[], found: readonly string[] = []): string | undefined {
  if (wanted.join() === found.join()) return undefined
  return `${what} ${found.join(', ') || 'nothing'} instead of ${wanted.join(', ')}`
}
