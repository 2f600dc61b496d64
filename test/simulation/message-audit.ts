import type { Row } from '#journal/index.js'
import { HOPS } from './tally.js'

/** A message as its sender's rows tell it. */
interface Told {
  readonly name: string
  readonly kind: string
  readonly to: string
  readonly command: string
  /** Undefined where nothing is to be added. */
  readonly id: number | undefined
  readonly hops: number
  readonly position: number
  isSettled: boolean
  isDone: boolean
}

/** What the sources of messages begin with. */
export const SENDER = 'entity:'

/**
 * What entities have told each other and themselves, held against what it came to, from the rows alone: each message took effect once, behind the row that told it, in order per
 * sender and target, with what it said; and nothing did that nobody told. `must` throws.
 */
export class MessageAudit {
  readonly #must: (condition: boolean, claim: () => string) => void
  readonly #told = new Map<string, Told>()
  readonly #next = new Map<string, number>()
  readonly #lanes = new Map<string, number>()
  /** Executed at their targets, before or after the message was read here. */
  readonly #executed: { readonly name: string; readonly entity: string; readonly ids: readonly number[]; readonly position: number }[] = []

  constructor(must: (condition: boolean, claim: () => string) => void) {
    this.#must = must
  }

  /** The rows of one append, in order of position. */
  take(rows: readonly Row[]): void {
    const last = rows.at(-1) as Row
    const { entity } = last
    const ids = rows.flatMap(({ event, data }) => (event === 'Added' ? [data['id'] as number] : []))
    for (const row of rows) {
      if (row.event === '#message') this.#tell(row)
      else if (row.event === '#settled') this.#settle(row, ids, rows.length)
    }
    if (!last.source.startsWith(SENDER)) return
    const sender = last.source.slice(SENDER.length)
    const sequence = last.sequence as number
    const lane = `${sender} to ${entity}`
    this.#must(sequence > (this.#lanes.get(lane) ?? 0), () => `message ${sequence} from ${lane} was done behind ${this.#lanes.get(lane)}`)
    this.#lanes.set(lane, sequence)
    this.#executed.push({ name: nameOf(sender, sequence), entity, ids, position: rows[0]?.position as number })
    const told = this.#told.get(nameOf(sender, sequence))
    if (told?.command !== 'pass') return
    const hops = rows.find(({ event }) => event === '#message')?.data['data'] as { readonly hops: number } | undefined
    this.#must((hops?.hops ?? -1) === told.hops - 1, () => `${told.name} with ${told.hops} hops told ${hops?.hops}`)
  }

  /** `isOver`: nothing is under way, and all timers have gone off. */
  finish(isOver: boolean): void {
    const done = new Set<string>()
    for (const { name, entity, ids, position } of this.#executed) {
      const told = this.#told.get(name)
      if (told === undefined) return this.#must(false, () => `${entity} did what ${name} never told`)
      this.#must(told.position < position, () => `${name} was done at ${position}, before it was told at ${told.position}`)
      this.#must(told.to === entity && ids.join() === String(told.id ?? ''), () => `${name} to ${told.to} left ${ids.join()} at ${entity}`)
      this.#must(!done.has(name), () => `${name} was done twice`)
      done.add(name)
    }
    if (!isOver) return
    for (const { name, kind, isSettled, isDone } of this.#told.values()) {
      this.#must(isSettled, () => `${name} is not settled`)
      if (kind === 'effect') continue
      this.#must(kind === 'timer' ? isDone : done.has(name), () => `${name} was never done`)
    }
  }

  #tell({ entity, position, data }: Row): void {
    const number = data['number'] as number
    const next = this.#next.get(entity) ?? 1
    this.#must(number === next, () => `${entity} told number ${number} where ${next} comes next`)
    this.#next.set(entity, next + 1)
    const [kind, to, command] = [data['kind'] as string, data['to'] as string, data['command'] as string]
    const said = data['data'] as { readonly id?: number; readonly hops?: number }
    const name = nameOf(entity, number)
    const id = command === FAILING ? undefined : said.id
    this.#told.set(name, { name, kind, to, command, id, hops: said.hops ?? HOPS, position, isSettled: false, isDone: false })
  }

  #settle({ entity, data }: Row, ids: readonly number[], rowCount: number): void {
    const name = nameOf(entity, data['number'] as number)
    const told = this.#told.get(name)
    if (told === undefined) return this.#must(false, () => `${name} is settled and was never told`)
    this.#must(!told.isSettled, () => `${name} is settled twice`)
    const { outcome } = data
    this.#must(outcome === endOf(told.command) || outcome === 'forgotten', () => `${name} is ${String(outcome)}`)
    told.isSettled = true
    if (told.kind !== 'timer') return
    this.#must(ids.join() === String(told.id) && rowCount === 2, () => `${name} went off and left ${ids.join()}`)
    told.isDone = true
  }
}

/** The command that fails each time. */
export const FAILING = 'wound'

function endOf(command: string): string {
  return command === FAILING ? 'failed' : 'done'
}

function nameOf(sender: string, number: number): string {
  return `message ${number} of ${sender}`
}
