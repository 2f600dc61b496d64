import {
  type AnswerWanted,
  type Door,
  IN_FLIGHT_PER_SOURCE_ENTITY_MAX,
  type IngestCommand,
  type Offered,
  type Settlement,
} from '#ingest/door.js'

export interface FakeDoorOptions {
  /** Commands in flight over all sources. */
  readonly capacity?: number
  /** Commands wait until `settle` is called; otherwise all of them settle by themselves on the next turn of the event loop. */
  readonly isManual?: boolean
  /** What a command comes to; default: done, no reply. */
  readonly decide?: (command: IngestCommand) => { readonly refuse: string } | { readonly fail: string } | { readonly reply: unknown }
  /** What can never be taken; default: everything can. */
  readonly reject?: (command: IngestCommand) => string | undefined
}

interface InFlight {
  readonly command: IngestCommand
  readonly answer: AnswerWanted
  readonly settle: (settlement: Settlement) => void
  readonly client: number
}

interface SourceState {
  highest: number
  readonly outcomes: Map<number, Settlement>
}

/**
 * The slow twin of a plant behind its door: one array is the log. Windows, deduplication and the memory of 16 outcomes are those of the
 * design; `crash` is a gateway that dies with commands on their way.
 */
export class FakeDoor implements Door {
  /** Commands that took effect, in order; refused ones are in `refused`. */
  readonly stored: IngestCommand[] = []
  readonly refused: IngestCommand[] = []
  /** Every offer, whatever became of it. */
  offers = 0
  capacity: number
  readonly #options: FakeDoorOptions
  readonly #sources = new Map<string, SourceState>()
  #inFlight: InFlight[] = []
  #onRoom: (() => void)[] = []
  #client = 0
  #isScheduled = false

  constructor(options: FakeDoorOptions = {}) {
    this.#options = options
    this.capacity = options.capacity ?? 1024
  }

  get inFlightCount(): number {
    return this.#inFlight.length
  }

  offer(command: IngestCommand, answer: AnswerWanted, settle: (settlement: Settlement) => void): Offered {
    this.offers++
    const rejected = this.#options.reject?.(command)
    if (rejected !== undefined) return { rejected }
    const same = this.#inFlight.filter((other) => other.command.source === command.source && other.command.entity === command.entity)
    if (this.#inFlight.length >= this.capacity || same.length >= IN_FLIGHT_PER_SOURCE_ENTITY_MAX) return 'full'
    this.#inFlight.push({ command, answer, settle, client: this.#client })
    if (this.#options.isManual !== true) this.#schedule()
    return 'accepted'
  }

  onRoom(callback: () => void): void {
    this.#onRoom.push(callback)
  }

  /** Makes the first commands in flight durable and tells their senders. */
  settle(count = this.#inFlight.length): void {
    for (const { command, answer, settle, client } of this.#inFlight.splice(0, count)) {
      const settlement = this.#execute(command)
      if (client === this.#client)
        settle(answer === 'refused' && settlement.kind === 'done' ? { kind: 'done', version: 0, reply: undefined } : settlement)
    }
    this.makeRoom()
  }

  /** As `settle`, a command of the caller's choice first. */
  settleOne(choose: (commands: readonly IngestCommand[]) => number): void {
    const index = choose(this.#inFlight.map(({ command }) => command))
    const entry = this.#inFlight[index]
    if (entry === undefined) return
    const earlier = this.#inFlight.findIndex(
      ({ command }) => command.entity === entry.command.entity && command.source === entry.command.source,
    )
    this.#inFlight.unshift(...this.#inFlight.splice(earlier, 1))
    this.settle(1)
  }

  makeRoom(): void {
    for (const callback of this.#onRoom.splice(0)) callback()
  }

  /** The first commands in flight still become durable, the others never; nobody is told, now or later. */
  crash(durable: number): void {
    for (const { command } of this.#inFlight.splice(0, durable)) this.#execute(command)
    this.#inFlight = []
    this.#onRoom = []
    this.#client++
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.settle()
    })
  }

  #execute(command: IngestCommand): Settlement {
    if (command.source === '') return this.#decide(command)
    const key = `${command.source}\0${command.entity}`
    const state = this.#sources.get(key) ?? { highest: Number.NEGATIVE_INFINITY, outcomes: new Map<number, Settlement>() }
    this.#sources.set(key, state)
    if (command.sequence <= state.highest) return state.outcomes.get(command.sequence) ?? { kind: 'forgotten' }
    const settlement = this.#decide(command)
    if (settlement.kind === 'failed') return settlement
    state.highest = command.sequence
    state.outcomes.set(command.sequence, settlement)
    for (const old of state.outcomes.keys()) if (state.outcomes.size > IN_FLIGHT_PER_SOURCE_ENTITY_MAX) state.outcomes.delete(old)
    return settlement
  }

  #decide(command: IngestCommand): Settlement {
    const decision = this.#options.decide?.(command) ?? { reply: undefined }
    if ('fail' in decision) return { kind: 'failed', message: decision.fail }
    if ('refuse' in decision) {
      this.refused.push(command)
      return { kind: 'refused', version: this.stored.length + this.refused.length, code: decision.refuse, detail: undefined }
    }
    this.stored.push(command)
    return { kind: 'done', version: this.stored.length, reply: decision.reply }
  }
}
