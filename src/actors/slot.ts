import type { EntityModel, Outbox, Outcomes } from '#entity/index.js'
import { isSameKey } from '#journal/byte-key.js'
import type { ByteString } from './byte-strings.js'
import type { InFlight } from './in-flight.js'
import { LATEST_AT, type SlotMemory, USED_MS, WAIT_POSITION } from './slot-memory.js'

/** `live`: state in memory. `passive`: known, state in the log only. `loading`: asked for. */
export type SlotStatus = 'live' | 'passive' | 'loading'

/**
 * The runtime's place for one known entity. Everything but the identity is meaningful only while it is live. What every command touches comes first,
 * and numbers that are no small integers lie in SlotMemory, where V8 does not put each into a box of its own: with ten thousand entities that take
 * turns, a command costs as much as the cache lines that it touches.
 */
export class Slot {
  status: SlotStatus = 'passive'
  readonly hash: number
  /** In SlotMemory: its row of numbers, and where its id begins. */
  readonly #row: number
  readonly idAt: number
  readonly idLength: number
  readonly shard: number
  readonly #memory: SlotMemory
  /** The source that commanded it last. */
  #sourceAt = 0
  #sourceLength = 0
  sourceText = ''
  readonly model: EntityModel
  state: unknown
  outcomes: Outcomes | undefined
  /** What it has told; undefined when it never told anything. */
  outbox: Outbox | undefined
  /** Of the newest row, speculative ones included; that row's writer term and append number. */
  version = 0
  term = 0
  appendNumber = 0
  /** Version of the last snapshot, and the version up to which another need not be tried: the last one could not be taken. */
  snapshotVersion = 0
  snapshotTriedVersion = 0
  /** Of the newest row that is gone or could not be applied; 0: none. The state means nothing then, and no command is decided on it: see fence.ts. */
  lostVersion = 0
  /** Used since the passivation sweep last came by. */
  wasUsed = false
  /** Loaded for commands that have not been executed yet: it stays live until the first of them is. */
  isAwaited = false
  /** Why the row could not be applied; undefined where it is gone. */
  foldFailure: string | undefined
  readonly id: string
  /** In the list of the passivation sweep. */
  isWatched = false
  #sourceRoom = 0
  /** Commands that came while it was loading. */
  stalled: InFlight[] | undefined
  /** The due times of its timers lie with the worker's others, also while it is passive. */
  areTimersKnown = false
  /** Readers that wait for it to be live. */
  waiters: (() => void)[] | undefined

  /** Made by SlotTable. */
  constructor(id: string, idBytes: Uint8Array, hash: number, shard: number, model: EntityModel, memory: SlotMemory) {
    this.id = id
    this.hash = hash
    this.shard = shard
    this.model = model
    this.#memory = memory
    this.#row = memory.addRow()
    this.idAt = memory.add(idBytes)
    this.idLength = idBytes.length
    this.latestAt = 0
    this.waitPosition = Number.NEGATIVE_INFINITY
  }

  /** `at` of the newest row so far, to tell late ones. */
  get latestAt(): number {
    return this.#memory.numbers[this.#row + LATEST_AT] as number
  }
  set latestAt(at: number) {
    this.#memory.numbers[this.#row + LATEST_AT] = at
  }

  /** As JournalClient counts: what this worker sent for it is durable when released up to there. Minus infinity: it sent nothing. */
  get waitPosition(): number {
    return this.#memory.numbers[this.#row + WAIT_POSITION] as number
  }
  set waitPosition(position: number) {
    this.#memory.numbers[this.#row + WAIT_POSITION] = position
  }

  /** When it was used last. */
  get lastUsedMs(): number {
    return this.#memory.numbers[this.#row + USED_MS] as number
  }
  set lastUsedMs(nowMs: number) {
    this.#memory.numbers[this.#row + USED_MS] = nowMs
  }

  /** Over memory that may be another one later. */
  get idBytes(): Uint8Array {
    return this.#memory.at(this.idAt, this.idLength)
  }

  /** Whether the bytes in `view` are `sourceText`: for most commands to most entities, which have one source. */
  isSource(view: DataView, offset: number, length: number): boolean {
    return this.#sourceLength === length && isSameKey(this.#memory.bytes, this.#sourceAt, view, offset, length)
  }

  /** Remembers who commanded it last. */
  setSource({ text, bytes }: ByteString): void {
    if (bytes.length > this.#sourceRoom) {
      this.#sourceRoom = bytes.length
      this.#sourceAt = this.#memory.add(bytes)
    } else this.#memory.replace(this.#sourceAt, bytes)
    this.#sourceLength = bytes.length
    this.sourceText = text
  }

  /** Looks at all of its memory that a command will need; the answer means nothing. */
  touch(): number {
    const { numbers } = this.#memory
    const own = this.version + this.sourceText.length + (numbers[this.#row] as number)
    return own + (typeof this.state === 'object' ? 1 : 0) + (this.outcomes?.sourceCount ?? 0)
  }

  /** Drops state and everything folded; the identity and those who wait stay. */
  forget(): void {
    this.status = 'passive'
    this.state = undefined
    this.outcomes = undefined
    this.outbox = undefined
    this.version = 0
    this.term = 0
    this.appendNumber = 0
    this.latestAt = 0
    this.snapshotVersion = 0
    this.snapshotTriedVersion = 0
    this.lostVersion = 0
    this.foldFailure = undefined
    this.waitPosition = Number.NEGATIVE_INFINITY
    this.isAwaited = false
  }
}
