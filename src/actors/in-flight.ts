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
    this.answerKind = 0
    this.answerVersion = 0
    this.outcome = NO_BYTES
  }
}

export const NO_BYTES = new Uint8Array(0)

/** Commands of one inbound channel in read order: a ring of reused entries, each made when it is first needed, since making all takes a recovery's time. */
export class InFlightQueue {
  readonly #entries: (InFlight | undefined)[]
  readonly #mask: number
  #head = 0
  #tail = 0

  /** `capacity` is a power of two. */
  constructor(capacity: number) {
    this.#entries = new Array<InFlight | undefined>(capacity).fill(undefined)
    this.#mask = capacity - 1
  }

  get count(): number {
    return this.#tail - this.#head
  }

  get isFull(): boolean {
    return this.count > this.#mask
  }

  /** The entry behind the last one, reset; it must not be full. */
  push(): InFlight {
    const index = this.#tail++ & this.#mask
    const entry = (this.#entries[index] ??= new InFlight())
    entry.takeBack()
    return entry
  }

  get first(): InFlight | undefined {
    return this.#head === this.#tail ? undefined : this.#entries[this.#head & this.#mask]
  }

  shift(): void {
    this.#head++
  }

  /** In read order. */
  forEach(each: (entry: InFlight) => void): void {
    for (let index = this.#head; index < this.#tail; index++) each(this.#entries[index & this.#mask] as InFlight)
  }
}
