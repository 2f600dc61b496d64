import type { Row } from '#journal/index.js'

/** An attempt at an effect of the simulated plant, as it began. */
export interface Ping {
  readonly entity: string
  /** Of the message, as the key says. */
  readonly number: number
  readonly id: number
  /** The end of the log by then. */
  readonly logEnd: number
}

interface Wanted {
  readonly position: number
  readonly id: number
  settledAt: number
}

/**
 * What a gateway has done outside of the plant, held against the rows: each effect that an entity wanted was done, and says what the row says; none was done that no row wants, or after its end was
 * stored. `must` throws.
 */
export class EffectAudit {
  readonly #must: (condition: boolean, claim: () => string) => void
  readonly #pings: readonly Ping[]
  readonly #wanted = new Map<string, Wanted>()

  constructor(pings: readonly Ping[], must: (condition: boolean, claim: () => string) => void) {
    this.#must = must
    this.#pings = pings
  }

  take(rows: readonly Row[]): void {
    for (const { event, entity, data, position } of rows) {
      const name = nameOf(entity, data['number'] as number)
      if (event === '#message' && data['kind'] === 'effect')
        this.#wanted.set(name, { position, id: (data['data'] as { readonly id: number }).id, settledAt: Number.POSITIVE_INFINITY })
      const wanted = event === '#settled' ? this.#wanted.get(name) : undefined
      if (wanted !== undefined) wanted.settledAt = position
    }
  }

  finish(isOver: boolean): void {
    const done = new Set<string>()
    for (const { entity, number, id, logEnd } of this.#pings) {
      const name = nameOf(entity, number)
      const wanted = this.#wanted.get(name)
      if (wanted === undefined) return this.#must(false, () => `${name} was done, and nobody wants it`)
      this.#must(wanted.id === id, () => `${name} was done with ${id}, and the log wants ${wanted.id}`)
      this.#must(logEnd > wanted.position, () => `${name} was done at ${logEnd}, before it was stored at ${wanted.position}`)
      this.#must(logEnd <= wanted.settledAt, () => `${name} was done again at ${logEnd}, behind its end at ${wanted.settledAt}`)
      done.add(name)
    }
    if (!isOver) return
    for (const name of this.#wanted.keys()) this.#must(done.has(name), () => `${name} was never done`)
  }
}

function nameOf(entity: string, number: number): string {
  return `effect ${number} of ${entity}`
}
