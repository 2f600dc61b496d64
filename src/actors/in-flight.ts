/** `stalled`: not executed yet, its entity or shard is loading. `waiting`: executed, and waits for durability. */
export type InFlightStatus = 'stalled' | 'waiting'

/** One command that was read and is not released yet. Its frame stays in the ring until then, so it can be taken again. */
export class InFlight {
  status: InFlightStatus = 'stalled'
  /** Of its frame in the inbound channel. */
  startPosition = 0
  endPosition = 0
  /** Index of the inbound link that it came by. */
  link = 0
  shard = 0
  /** As JournalClient counts: must be released before this command may be answered and released. */
  waitPosition = 0
  /** Of the append that it caused; 0 when it caused none, since it was done before. */
  appendNumber = 0
  /** What `apply` threw when it took the events of this command: executed again, it is refused for that. */
  applyFailure: string | undefined
  /** Why it is refused instead of being executed; undefined: it is executed. */
  parked: string | undefined
  request = 0
  doorTerm = 0
  /** 0: released without an answer frame. Otherwise ANSWER_DONE … */
  answerKind = 0
  answerVersion = 0
  outcome: Uint8Array = NO_BYTES

  /** Forgets what executing it came to, so that it can be executed as if for the first time. */
  takeBack(): void {
    this.status = 'stalled'
    this.appendNumber = 0
    this.applyFailure = undefined
    this.parked = undefined
    this.answerKind = 0
    this.answerVersion = 0
    this.outcome = NO_BYTES
  }
}

export const NO_BYTES = new Uint8Array(0)

/**
 * Commands of one inbound channel in read order, `capacity` of them at most. Most wait for durability and will not be answered: of those the numbers
 * alone are kept, in arrays, since a ring of objects is so large that each costs its cache lines anew. `entry` gives such a one as an object,
 * which then stays.
 */
export class InFlightQueue {
  readonly #link: number
  readonly #mask: number
  readonly #entries: (InFlight | undefined)[]
  readonly #start: Int32Array
  readonly #end: Int32Array
  readonly #wait: Float64Array
  readonly #appendNumber: Uint32Array
  readonly #shard: Uint16Array
  #head = 0
  #tail = 0

  /** `link` is the index of the channel; `capacity` is a power of two. */
  constructor(link: number, capacity: number) {
    this.#link = link
    this.#mask = capacity - 1
    this.#entries = new Array<InFlight | undefined>(capacity).fill(undefined)
    this.#start = new Int32Array(capacity)
    this.#end = new Int32Array(capacity)
    this.#wait = new Float64Array(capacity)
    this.#appendNumber = new Uint32Array(capacity)
    this.#shard = new Uint16Array(capacity)
  }

  get count(): number {
    return this.#tail - this.#head
  }

  /** How many more it takes. */
  get room(): number {
    return this.#mask + 1 - this.count
  }

  /** Adds the entry behind the last one; there must be room. False when only its numbers were kept, so that the object can be used again. */
  push(entry: InFlight): boolean {
    const index = this.#tail++ & this.#mask
    if (entry.status !== 'waiting' || entry.answerKind !== 0) {
      this.#entries[index] = entry
      return true
    }
    this.#start[index] = entry.startPosition
    this.#end[index] = entry.endPosition
    this.#wait[index] = entry.waitPosition
    this.#appendNumber[index] = entry.appendNumber
    this.#shard[index] = entry.shard
    return false
  }

  /** Whether the first one waits for nothing above `released`; false when there is none. */
  isFirstDurable(released: number): boolean {
    if (this.#head === this.#tail) return false
    const index = this.#head & this.#mask
    const entry = this.#entries[index]
    if (entry === undefined) return (this.#wait[index] as number) <= released
    return entry.status === 'waiting' && entry.waitPosition <= released
  }

  /** The first one as an object; undefined when only its numbers were kept, and it is not to be answered. */
  get firstEntry(): InFlight | undefined {
    return this.#entries[this.#head & this.#mask]
  }

  /** Takes the first one out and answers the end of its frame. */
  shift(): number {
    const index = this.#head++ & this.#mask
    const entry = this.#entries[index]
    if (entry === undefined) return this.#end[index] as number
    this.#entries[index] = undefined
    return entry.endPosition
  }

  /** In read order, each as an object. */
  forEach(each: (entry: InFlight) => void): void {
    for (let at = this.#head; at < this.#tail; at++) each(this.#entry(at & this.#mask))
  }

  #entry(index: number): InFlight {
    const kept = this.#entries[index]
    if (kept !== undefined) return kept
    const entry = new InFlight()
    entry.status = 'waiting'
    entry.link = this.#link
    entry.startPosition = this.#start[index] as number
    entry.endPosition = this.#end[index] as number
    entry.waitPosition = this.#wait[index] as number
    entry.appendNumber = this.#appendNumber[index] as number
    entry.shard = this.#shard[index] as number
    this.#entries[index] = entry
    return entry
  }
}
