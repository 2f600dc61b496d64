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
  /** All of them in order of their last record, the longest ago first; undefined while there is one at most. */
  #sources: Map<string, SourceOutcomes> | undefined
  #senderCount = 0
  #droppedCount = 0

  /** How many sources were dropped for newer ones. A resend of such a source is executed again. */
  get droppedCount(): number {
    return this.#droppedCount
  }

  get sourceCount(): number {
    return this.#sources?.size ?? (this.#latestOutcomes === undefined ? 0 : 1)
  }

  /** Undefined for a command that was not done yet. */
  lookup(source: string, sequence: number): RememberedOutcome | typeof FORGOTTEN | undefined {
    const outcomes = source === this.#latest ? this.#latestOutcomes : this.#sources?.get(source)
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
      dropped: this.#droppedCount,
      sources: [...this.#inOrder()].map(([source, outcomes]) => outcomes.toPlain(source)),
    }
  }

  static fromPlain(plain: PlainOutcomes): Outcomes {
    const outcomes = new Outcomes()
    outcomes.#droppedCount = plain.dropped
    for (const one of plain.sources) outcomes.#recent(one[0]).fill(one)
    return outcomes
  }

  #inOrder(): Iterable<readonly [string, SourceOutcomes]> {
    if (this.#sources !== undefined) return this.#sources
    return this.#latestOutcomes === undefined ? [] : [[this.#latest, this.#latestOutcomes]]
  }

  #recent(source: string): SourceOutcomes {
    const latest = this.#latestOutcomes
    if (latest !== undefined && source === this.#latest) return latest
    if (latest !== undefined) this.#sources ??= new Map([[this.#latest, latest]])
    const known = this.#sources?.get(source)
    const outcomes = known ?? new SourceOutcomes()
    if (known === undefined && isSender(source)) this.#senderCount++
    this.#sources?.delete(source)
    this.#sources?.set(source, outcomes)
    this.#latest = source
    this.#latestOutcomes = outcomes
    if (this.#senderCount > SENDERS_PER_ENTITY_MAX) this.#dropOldest(true)
    else if (this.sourceCount - this.#senderCount > SOURCES_PER_ENTITY_MAX) this.#dropOldest(false)
    return outcomes
  }

  #dropOldest(isOfSenders: boolean): void {
    for (const source of this.#sources?.keys() ?? []) {
      if (isSender(source) !== isOfSenders) continue
      this.#sources?.delete(source)
      this.#droppedCount++
      if (isOfSenders) this.#senderCount--
      return
    }
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
  isNew = true
  /** Without places: how many are remembered, and the version of the last. */
  #count = 0
  #lastVersion = 0
  #places: { sequence: number; kind: OutcomeKind; bytes: Uint8Array; version: number }[] | undefined
  /** The place of the oldest, once all are taken. */
  #oldest = 0

  /** Of a sequence that is not above the highest. */
  lookup(sequence: number): RememberedOutcome | typeof FORGOTTEN {
    if (this.#places === undefined) {
      const before = this.highest - sequence
      return before < this.#count ? plainOutcome(this.#lastVersion - before) : FORGOTTEN
    }
    const place = this.#places.find((one) => one.sequence === sequence)
    return place === undefined ? FORGOTTEN : { kind: place.kind, bytes: place.bytes, version: place.version }
  }

  record(sequence: number, kind: OutcomeKind, bytes: Uint8Array, version: number): void {
    if (!this.isNew && sequence <= this.highest) return
    this.isNew = false
    if (this.#places === undefined) {
      const isNext = this.#count === 0 || (sequence === this.highest + 1 && version === this.#lastVersion + 1)
      if (isNext && kind === OUTCOME_REPLY && bytes.length === 0) {
        this.highest = sequence
        this.#lastVersion = version
        if (this.#count < OUTCOMES_PER_SOURCE) this.#count++
        return
      }
      this.#places = this.#unrolled()
    }
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

  /** The same for the same outcomes, however they are kept here. The oldest first. */
  toPlain(source: string): PlainList | PlainRun {
    if (this.#places === undefined) return [source, this.highest, this.#count, this.#lastVersion]
    const inOrder = [...this.#places.slice(this.#oldest), ...this.#places.slice(0, this.#oldest)]
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
    this.isNew = false
    this.highest = plain[1]
  }

  #unrolled(): { sequence: number; kind: OutcomeKind; bytes: Uint8Array; version: number }[] {
    return Array.from({ length: this.#count }, (_, index) => {
      const before = this.#count - 1 - index
      return { sequence: this.highest - before, ...plainOutcome(this.#lastVersion - before) }
    })
  }
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
