/** What is known of a command's outcome. The numbers are those in append frames. */
export type OutcomeKind = 0 | 1 | 2
/** Nothing: the row is not the last of its command. */
export const OUTCOME_NONE = 0
/** The command was done; the bytes are its reply, empty when it gave none. */
export const OUTCOME_REPLY = 1
/** The command was refused; the bytes are `[code, detail]` as msgpack. */
export const OUTCOME_REFUSAL = 2

const NO_BYTES = new Uint8Array(0)

export interface RememberedOutcome {
  readonly kind: OutcomeKind
  readonly bytes: Uint8Array
  /** Of the last row that the command stored. */
  readonly version: number
}

/** Done before, longer ago than outcomes are remembered: never to be executed again, but its answer is no longer known. */
export const FORGOTTEN = Symbol('forgotten')

/** Outcomes remembered per source: the most commands of one (source, entity) that a door has in flight. */
export const OUTCOMES_PER_SOURCE = 16
/** Sources remembered per entity. */
export const SOURCES_PER_ENTITY_MAX = 256

/**
 * What one entity remembers of those who command it: per source the highest sequence done and the outcomes of the last 16 commands. Folded
 * from the rows like the state, and in the same order, so that it is the same after every replay; hence only `record` makes a source recent, not `lookup`.
 */
export class Outcomes {
  /** In order of their last record, the longest ago first. */
  readonly #sources = new Map<string, SourceOutcomes>()
  #droppedCount = 0
  #latest = ''

  /** How many sources were dropped for newer ones. A resend of such a source is executed again. */
  get droppedCount(): number {
    return this.#droppedCount
  }

  get sourceCount(): number {
    return this.#sources.size
  }

  /** Undefined for a command that was not done yet. */
  lookup(source: string, sequence: number): RememberedOutcome | typeof FORGOTTEN | undefined {
    return this.#sources.get(source)?.lookup(sequence)
  }

  /**
   * Keeps what the command came to, the bytes as a copy. Nothing for an empty source, for OUTCOME_NONE, nor for a sequence that is not above
   * the highest: that was kept when it was done.
   */
  record(source: string, sequence: number, kind: OutcomeKind, bytes: Uint8Array, version: number): void {
    if (source === '' || kind === OUTCOME_NONE) return
    this.#recent(source).record(sequence, kind, bytes, version)
  }

  /** As plain data, for snapshots. */
  toPlain(): PlainOutcomes {
    return {
      dropped: this.#droppedCount,
      sources: [...this.#sources].map(([source, outcomes]) => [source, outcomes.highest, outcomes.toPlain()]),
    }
  }

  static fromPlain(plain: PlainOutcomes): Outcomes {
    const outcomes = new Outcomes()
    outcomes.#droppedCount = plain.dropped
    for (const [source, highest, remembered] of plain.sources) {
      const of = outcomes.#recent(source)
      for (const [sequence, kind, bytes, version] of remembered) of.record(sequence, kind, bytes, version)
      of.highest = highest
    }
    return outcomes
  }

  #recent(source: string): SourceOutcomes {
    const known = this.#sources.get(source)
    if (known !== undefined && source === this.#latest) return known
    const outcomes = known ?? new SourceOutcomes()
    this.#sources.delete(source)
    this.#sources.set(source, outcomes)
    this.#latest = source
    if (this.#sources.size > SOURCES_PER_ENTITY_MAX) this.#dropOldest()
    return outcomes
  }

  #dropOldest(): void {
    for (const source of this.#sources.keys()) {
      this.#sources.delete(source)
      this.#droppedCount++
      return
    }
  }
}

export interface PlainOutcomes {
  readonly dropped: number
  readonly sources: readonly (readonly [source: string, highest: number, remembered: readonly PlainOutcome[]])[]
}

type PlainOutcome = readonly [sequence: number, kind: OutcomeKind, bytes: Uint8Array, version: number]

/** A ring of the last outcomes of one source. Its places are reused, so that remembering allocates nothing in the long run. */
class SourceOutcomes {
  highest = Number.NEGATIVE_INFINITY
  readonly #places: { sequence: number; kind: OutcomeKind; bytes: Uint8Array; version: number }[] = []
  /** The place of the oldest, once all are taken. */
  #oldest = 0

  lookup(sequence: number): RememberedOutcome | typeof FORGOTTEN | undefined {
    if (sequence > this.highest) return undefined
    const place = this.#places.find((one) => one.sequence === sequence)
    return place === undefined ? FORGOTTEN : { kind: place.kind, bytes: place.bytes, version: place.version }
  }

  record(sequence: number, kind: OutcomeKind, bytes: Uint8Array, version: number): void {
    if (sequence <= this.highest) return
    this.highest = sequence
    const own = bytes.length === 0 ? NO_BYTES : new Uint8Array(bytes)
    const place = this.#places[this.#oldest]
    if (this.#places.length < OUTCOMES_PER_SOURCE || place === undefined) {
      this.#places.push({ sequence, kind, bytes: own, version })
      return
    }
    place.sequence = sequence
    place.kind = kind
    place.bytes = own
    place.version = version
    this.#oldest = (this.#oldest + 1) % OUTCOMES_PER_SOURCE
  }

  /** The oldest first. */
  toPlain(): PlainOutcome[] {
    const inOrder = [...this.#places.slice(this.#oldest), ...this.#places.slice(0, this.#oldest)]
    return inOrder.map(({ sequence, kind, bytes, version }) => [sequence, kind, bytes, version])
  }
}

export function createOutcomes(): Outcomes {
  return new Outcomes()
}
