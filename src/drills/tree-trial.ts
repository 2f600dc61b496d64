import type { EntityId } from '#base/ids.js'
import type { TrialSabotage } from './sabotage.js'
import { lookOf, STRATEGIES, type Strategy, type ToolLook, type TreeBook, type TreePage } from './tree-book.js'
import type { TrialClient } from './trial-client.js'

const TOOLS = 4
/** The last tool goes on after an error, one of the others begins anew. */
const RESUMED = TOOLS - 1
/** Which tool errs, one time after the other, until the tree is stopped: twice too often. */
const ERRORS = ['worn', 'resumed', 'worn', 'worn', 'worn', 'worn', 'worn'] as const
/** The error in whose middle something else happens to the plant: one that is about to be escalated. */
const AMID_ERROR = 3
/** Of a tool that waits for its supervisor, and of one that has begun and was not fitted yet. */
const ON_THE_WAY: readonly ToolLook[] = ['SUSPENDED', 'STOPPED', lookOf({ fitting: 0, strokes: 0 })]

interface TreeTrialOptions {
  readonly client: TrialClient
  readonly book: TreeBook
  /** Tells its entities from those of all other trials. */
  readonly name: string
  /** Counts the trials of a drill from 0: each has another tool that errs. */
  readonly number: number
  /** Whether this one is to be done now, true once. */
  readonly takeSabotage: (sabotage: TrialSabotage) => boolean
}

/**
 * Has children err, in a tree for each strategy. The type `line` takes `begin { strategy, cell, plan }` and spawns a cell of the type `cell-<strategy>`, which spawns `tool`s and answers
 * `look` with the errors that it has heard of and mends itself. A tool takes `work { strokes }`, `err`, over which it errs, and `look`, and is fitted with its number among the tools by whoever
 * starts it. Both say `Heard { from, signal, directive }`. What tools answer who looks at them has to be what the book says; those that are not to be touched must never show anything else.
 */
export class TreeTrial {
  readonly #options: TreeTrialOptions
  readonly #worn: number
  #pages: readonly TreePage[] = []

  constructor(options: TreeTrialOptions) {
    this.#options = options
    this.#worn = options.number % RESUMED
  }

  /** Resolves when the last tree is stopped, or shows that something is wrong. `amid` is called once, while tools err. */
  async run(amid: () => void): Promise<void> {
    const { book, name } = this.#options
    this.#pages = STRATEGIES.map((strategy) => book.open(strategy, name, TOOLS))
    await Promise.all(this.#pages.map((page) => this.#begin(page)))
    for (const [number, which] of ERRORS.entries()) {
      const going = this.#pages.filter(({ wrong }) => wrong === undefined)
      await Promise.all(going.map((page) => this.#work(page, number)))
      const erring = going.map((page) => this.#err(page, which === 'resumed' ? RESUMED : this.#worn, number === ERRORS.length - 1))
      if (number === AMID_ERROR) amid()
      await Promise.all(erring)
    }
  }

  /** Nobody asks any more what becomes of them. */
  abandon(): void {
    for (const page of this.#pages) this.#options.book.strike(page)
  }

  async #begin(page: TreePage): Promise<void> {
    const { client, takeSabotage } = this.#options
    const names = page.tools.map(nameOf)
    const resumed = names.slice(RESUMED)
    if (takeSabotage('spare-child')) resumed.push(names[this.#worn] as string)
    const strategy: Strategy = page.strategy === 'one-for-one' && takeSabotage('restart-sibling') ? 'one-for-all' : page.strategy
    await client.done(page.line, 'begin', { strategy, cell: nameOf(page.cell), plan: { tools: names, resumed } })
    const all = page.tools.map((_, index) => index)
    await this.#untilAsBooked(page, new Map(all.map((tool) => [tool, ON_THE_WAY])))
  }

  async #work(page: TreePage, number: number): Promise<void> {
    await Promise.all(
      page.tools.map(async (tool, index) => {
        const strokes = 1 + number + index
        await this.#options.client.done(tool, 'work', { strokes })
        page.work(index, strokes)
      }),
    )
  }

  async #err(page: TreePage, tool: number, isLast: boolean): Promise<void> {
    const { client, takeSabotage } = this.#options
    const entity = page.tools[tool] as EntityId
    const before = page.tools.map((_, index) => page.look(index))
    const isForgotten = isLast && takeSabotage('forget-error')
    const touched = page.err(tool)
    if (!isForgotten) {
      const settlement = await client.send(entity, 'err', {})
      if (settlement.kind !== 'failed' || !settlement.message.startsWith('DECIDE_FAILED')) {
        page.wrong = `${entity} answers ${JSON.stringify(settlement)} to what makes it err`
        return
      }
    }
    await this.#untilAsBooked(page, new Map(touched.map((index) => [index, [before[index] as ToolLook, ...ON_THE_WAY]])))
    if (page.wrong === undefined && !page.isStopped) await this.#untilHeard(page)
  }

  /** Until every tool shows what the book says; those on their way may show something of theirs before. */
  async #untilAsBooked(page: TreePage, onTheWay: ReadonlyMap<number, readonly ToolLook[]>): Promise<void> {
    let last: readonly ToolLook[] = []
    const isAsBooked = await this.#options.client.until(async () => {
      last = await Promise.all(page.tools.map((tool) => this.#look(tool)))
      const off = last.flatMap((look, tool) => (look === page.look(tool) ? [] : [tool]))
      const impossible = off.find((tool) => onTheWay.get(tool)?.includes(last[tool] as ToolLook) !== true)
      if (impossible !== undefined) page.wrong ??= this.#wrong(page, impossible, last)
      return off.length === 0 || page.wrong !== undefined
    })
    if (!isAsBooked)
      page.wrong ??= this.#wrong(
        page,
        last.findIndex((look, tool) => look !== page.look(tool)),
        last,
      )
  }

  #wrong(page: TreePage, tool: number, looks: readonly ToolLook[]): string {
    return `${page.tools[tool]} of ${page.cell} shows ${looks[tool]} instead of ${page.look(tool)}`
  }

  async #untilHeard(page: TreePage): Promise<void> {
    let heard: unknown
    const isHeard = await this.#options.client.until(async () => {
      const settlement = await this.#options.client.send(page.cell, 'look', {})
      heard = settlement.kind === 'done' ? (settlement.reply as { readonly errors: number }).errors : settlement.kind
      return heard === page.heardByCell
    })
    if (!isHeard) page.wrong ??= `${page.cell} has heard of ${String(heard)} errors instead of ${page.heardByCell}`
  }

  async #look(tool: EntityId): Promise<ToolLook> {
    const settlement = await this.#options.client.send(tool, 'look', {})
    if (settlement.kind === 'done') return lookOf(settlement.reply as { readonly fitting: number; readonly strokes: number })
    return settlement.kind === 'failed' ? (settlement.message.split(':')[0] as string) : settlement.kind
  }
}

function nameOf(entity: EntityId): string {
  return entity.slice(entity.indexOf('/') + 1)
}
