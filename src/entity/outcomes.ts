import { ENTITY_SOURCE_PREFIX } from './outbox.js'

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
/** The same for entities that have sent it messages, which come by in far greater numbers: one that is forgotten could do its last message twice. */
export const SENDERS_PER_ENTITY_MAX = 65_536

/**
 * What one entity remembers of those who command it: per source the highest sequence done and the outcomes of the last 16 commands. Folded
 * from the rows like the state, and in the same order, so that it is the same after every replay; hence only `record` makes a source recent, not `lookup`.
 */
export class Outcomes {
  /** The source of the last record, and what is remembered of it: for most entities all there is. */
  #latest = ''
  #latestOutcomes: SourceOutcomes | undefined
  /** All of them; undefined while there is one at most. */
  #many: ManySources | undefined

  /** How many sources were dropped for newer ones. A resend of such a source is executed again. */
  get droppedCount(): number {
    return this.#many?.droppedCount ?? 0
  }

  get sourceCount(): number {
    return this.#many?.sources.size ?? (this.#latestOutcomes === undefined ? 0 : 1)
  }

  /** Undefined for a command that was not done yet. */
  lookup(source: string, sequence: number): RememberedOutcome | typeof FORGOTTEN | undefined {
    const outcomes = source === this.#latest ? this.#latestOutcomes : this.#many?.sources.get(source)
    return outcomes === undefined || outcomes.isNew || sequence > outcomes.highest ? undefined : outcomes.lookup(sequence)
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
      dropped: this.droppedCount,
      sources: [...this.#inOrder()].map(([source, outcomes]) => outcomes.toPlain(source)),
    }
  }

  static fromPlain(plain: PlainOutcomes): Outcomes {
    const outcomes = new Outcomes()
    for (const one of plain.sources) outcomes.#recent(one[0]).fill(one)
    if (plain.dropped > 0) outcomes.#manyOf().droppedCount = plain.dropped
    return outcomes
  }

  #inOrder(): Iterable<readonly [string, SourceOutcomes]> {
    if (this.#many !== undefined) return this.#many.sources
    return this.#latestOutcomes === undefined ? [] : [[this.#latest, this.#latestOutcomes]]
  }

  #recent(source: string): SourceOutcomes {
    const latest = this.#latestOutcomes
    if (latest !== undefined && source === this.#latest) return latest
    const many = latest === undefined ? this.#many : this.#manyOf()
    const known = many?.sources.get(source)
    const outcomes = known ?? new SourceOutcomes()
    if (many !== undefined) {
      if (known === undefined && isSender(source)) many.senderCount++
      many.sources.delete(source)
      many.sources.set(source, outcomes)
    }
    this.#latest = source
    this.#latestOutcomes = outcomes
    if (many === undefined) return outcomes
    if (many.senderCount > SENDERS_PER_ENTITY_MAX) dropOldest(many, true)
    else if (many.sources.size - many.senderCount > SOURCES_PER_ENTITY_MAX) dropOldest(many, false)
    return outcomes
  }

  #manyOf(): ManySources {
    if (this.#many !== undefined) return this.#many
    const sources = new Map<string, SourceOutcomes>()
    if (this.#latestOutcomes !== undefined) sources.set(this.#latest, this.#latestOutcomes)
    return (this.#many = { sources, senderCount: isSender(this.#latest) ? 1 : 0, droppedCount: 0 })
  }
}

/** What an entity that more than one source commands has besides. */
interface ManySources {
  /** In order of their last record, the longest ago first. */
  readonly sources: Map<string, SourceOutcomes>
  senderCount: number
  droppedCount: number
}

function dropOldest(many: ManySources, isOfSenders: boolean): void {
  for (const source of many.sources.keys()) {
    if (isSender(source) !== isOfSenders) continue
    many.sources.delete(source)
    many.droppedCount++
    if (isOfSenders) many.senderCount--
    return
  }
}

function isSender(source: string): boolean {
  return source.startsWith(ENTITY_SOURCE_PREFIX)
}

export interface PlainOutcomes {
  readonly dropped: number
  readonly sources: readonly (PlainList | PlainRun)[]
}

type PlainList = readonly [source: string, highest: number, remembered: readonly PlainOutcome[]]
/** So many up to the highest were done one after the other, without a reply and with one row each. */
type PlainRun = readonly [source: string, highest: number, count: number, lastVersion: number]

type PlainOutcome = readonly [sequence: number, kind: OutcomeKind, bytes: Uint8Array, version: number]

/**
 * The last outcomes of one source. Commands that are done one after the other, without a reply and with one row each, are remembered as how many of
 * them there are up to the highest; as soon as one is otherwise, the last 16 lie in a ring of places, whose reuse makes remembering allocate
 * nothing in the long run.
 */
class SourceOutcomes {
  /** Meaningless while `isNew`; not minus infinity, which would make it a number in a box of its own for ever. */
  highest = 0
  /** Without a ring: how many are remembered, and the version of the last. */
  #count = 0
  #lastVersion = 0
  #ring: Ring | undefined

  get isNew(): boolean {
    return this.#count === 0 && this.#ring === undefined
  }

  /** Of a sequence that is not above the highest. */
  lookup(sequence: number): RememberedOutcome | typeof FORGOTTEN {
    if (this.#ring === undefined) {
      const before = this.highest - sequence
      return before < this.#count ? plainOutcome(this.#lastVersion - before) : FORGOTTEN
    }
    const place = this.#ring.places.find((one) => one.sequence === sequence)
    return place === undefined ? FORGOTTEN : { kind: place.kind, bytes: place.bytes, version: place.version }
  }

  record(sequence: number, kind: OutcomeKind, bytes: Uint8Array, version: number): void {
    if (!this.isNew && sequence <= this.highest) return
    if (this.#ring === undefined) {
      const isNext = this.#count === 0 || (sequence === this.highest + 1 && version === this.#lastVersion + 1)
      if (isNext && kind === OUTCOME_REPLY && bytes.length === 0) {
        this.highest = sequence
        this.#lastVersion = version
        if (this.#count < OUTCOMES_PER_SOURCE) this.#count++
        return
      }
      this.#ring = { places: this.#unrolled(), oldest: 0 }
    }
    this.highest = sequence
    const own = bytes.length === 0 ? NO_BYTES : new Uint8Array(bytes)
    const { places, oldest } = this.#ring
    const place = places[oldest]
    if (places.length < OUTCOMES_PER_SOURCE || place === undefined) {
      places.push({ sequence, kind, bytes: own, version })
      return
    }
    place.sequence = sequence
    place.kind = kind
    place.bytes = own
    place.version = version
    this.#ring.oldest = (oldest + 1) % OUTCOMES_PER_SOURCE
  }

  /** The same for the same outcomes, however they are kept here. The oldest first. */
  toPlain(source: string): PlainList | PlainRun {
    if (this.#ring === undefined) return [source, this.highest, this.#count, this.#lastVersion]
    const { places, oldest } = this.#ring
    const inOrder = [...places.slice(oldest), ...places.slice(0, oldest)]
    const last = inOrder.at(-1)
    if (last !== undefined && inOrder.every((one, index) => isOfRun(one, last, inOrder.length - 1 - index)))
      return [source, this.highest, inOrder.length, last.version]
    return [source, this.highest, inOrder.map(({ sequence, kind, bytes, version }) => [sequence, kind, bytes, version])]
  }

  /** Of a source that is new. */
  fill(plain: PlainList | PlainRun): void {
    if (plain.length === 4) {
      this.#count = plain[2]
      this.#lastVersion = plain[3]
    } else for (const [sequence, kind, bytes, version] of plain[2]) this.record(sequence, kind, bytes, version)
    this.highest = plain[1]
  }

  #unrolled(): Ring['places'] {
    return Array.from({ length: this.#count }, (_, index) => {
      const before = this.#count - 1 - index
      return { sequence: this.highest - before, ...plainOutcome(this.#lastVersion - before) }
    })
  }
}

/** The last outcomes; `oldest`: the place of the oldest one, once all are taken. */
interface Ring {
  readonly places: { sequence: number; kind: OutcomeKind; bytes: Uint8Array; version: number }[]
  oldest: number
}

function isOfRun(one: { sequence: number } & RememberedOutcome, last: { sequence: number } & RememberedOutcome, before: number): boolean {
  return (
    one.kind === OUTCOME_REPLY && one.bytes.length === 0 && one.sequence === last.sequence - before && one.version === last.version - before
  )
}

function plainOutcome(version: number): RememberedOutcome {
  return { kind: OUTCOME_REPLY, bytes: NO_BYTES, version }
}

export function createOutcomes(): Outcomes {
  return new Outcomes()
}
