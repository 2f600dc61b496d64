import type { Row } from '#journal/index.js'
import { FAILING } from './message-audit.js'

/**
 * What supervisors have heard, held against what their children have done, from the rows alone: each has started once, and each error of a child that has started is heard of once by its
 * parent, in order. No child is restarted in these schedules. `must` throws.
 */
export class KinAudit {
  readonly #must: (condition: boolean, claim: () => string) => void
  /** By child: its parent, once it has started. */
  readonly #parents = new Map<string, string>()
  /** By child, in order: the messages of its errors, as it said them, and as its parent heard them. */
  readonly #said = new Map<string, string[]>()
  readonly #heard = new Map<string, string[]>()
  /** Numbers of messages that are to fail, by sender. */
  readonly #failing = new Map<string, string>()
  readonly #started = new Map<string, number>()

  constructor(must: (condition: boolean, claim: () => string) => void) {
    this.#must = must
  }

  /** The rows of one append, in order of position. */
  take(rows: readonly Row[]): void {
    const last = rows.at(-1) as Row
    for (const { event, entity, data } of rows) {
      if (event === '#message' && data['command'] === FAILING)
        this.#failing.set(`entity:${entity} ${String(data['number'])}`, String((data['data'] as { readonly id: number }).id))
      if (event !== '#lifecycle') continue
      const other = data['entity'] as string
      if (data['of'] === 'self' && data['what'] === 'started') this.#start(entity, other)
      else if (data['of'] === 'child' && data['what'] === 'errored') add(this.#heard, other, data['message'] as string)
      else if (data['of'] === 'child' && data['what'] === 'started') this.#started.set(other, (this.#started.get(other) ?? 0) + 1)
    }
    const failed = this.#failing.get(`${last.source} ${last.sequence}`)
    if (failed !== undefined && this.#parents.has(last.entity)) add(this.#said, last.entity, failed)
  }

  /** `isOver`: nothing is under way. */
  finish(isOver: boolean): void {
    for (const [child, heard] of this.#heard) {
      const said = this.#said.get(child) ?? []
      this.#must(
        heard.every((one, index) => one === said[index]),
        () => `of ${child} was heard ${heard.join()}, and it said ${said.join()}`,
      )
    }
    if (!isOver) return
    for (const [child, said] of this.#said) {
      const heard = this.#heard.get(child) ?? []
      this.#must(heard.length === said.length, () => `${child} said ${said.join()}, of which ${heard.length} were heard`)
    }
    for (const child of this.#parents.keys())
      this.#must(this.#started.get(child) === 1, () => `that ${child} has started was heard ${this.#started.get(child) ?? 0} times`)
  }

  #start(child: string, parent: string): void {
    this.#must(!this.#parents.has(child), () => `${child} has started twice`)
    this.#parents.set(child, parent)
  }
}

function add(to: Map<string, string[]>, child: string, text: string): void {
  const all = to.get(child) ?? []
  all.push(text)
  to.set(child, all)
}
