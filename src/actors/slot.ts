import type { EntityModel, Outbox, Outcomes } from '#entity/index.js'
import { isSameKey } from '#journal/byte-key.js'
import type { ByteString } from './byte-strings.js'
import type { InFlight } from './in-flight.js'
import * as memory from './slot-memory.js'

/** `live`: state in memory. `passive`: known, state in the log only. `loading`: asked for. */
export type SlotStatus = 'live' | 'passive' | 'loading'

/** A reader that waits for a slot to be live. */
export interface SlotWaiter {
  readonly look: () => void
  readonly reject: (error: Error) => void
}

/** What few slots have, and those not for long. */
interface Seldom {
  foldFailure: string | undefined
  stalled: InFlight[] | undefined
  waiters: SlotWaiter[] | undefined
}

const WAS_USED = 1
const IS_AWAITED = 2
const IS_WATCHED = 4
const ARE_TIMERS_KNOWN = 8
const IS_LIVE = 16
const IS_LOADING = 32

/**
 * The runtime's place for one known entity. Everything but the identity is meaningful only while it is live. All numbers lie in SlotMemory, side by side: a million
 * entities fit, and with ten thousand that take turns a command costs as much as the cache lines that it touches.
 */
export class Slot {
  readonly #memory: memory.SlotMemory
  /** The number of its rows there. */
  readonly #row: number
  /** Of the source that commanded it last. */
  sourceText = ''
  readonly model: EntityModel
  state: unknown
  /** What was done for its sources; undefined when it never had one. */
  outcomes: Outcomes | undefined
  /** What it has told; undefined when it never told anything. */
  outbox: Outbox | undefined
  readonly id: string
  #seldom: Seldom | undefined

  /** Made by SlotTable. */
  constructor(id: string, idBytes: Uint8Array, hash: number, shard: number, model: EntityModel, own: memory.SlotMemory) {
    this.id = id
    this.model = model
    this.#memory = own
    this.#row = own.addRow()
    const idAt = own.add(idBytes)
    const { words } = own
    const at = this.#words
    words[at + memory.HASH] = hash
    words[at + memory.SHARD] = shard
    words[at + memory.ID_AT] = idAt
    words[at + memory.ID_LENGTH] = idBytes.length
    this.waitPosition = Number.NEGATIVE_INFINITY
  }

  get status(): SlotStatus {
    const flags = this.#memory.words[this.#words + memory.FLAGS] as number
    return (flags & IS_LIVE) !== 0 ? 'live' : (flags & IS_LOADING) !== 0 ? 'loading' : 'passive'
  }
  set status(status: SlotStatus) {
    this.#mark(IS_LIVE, status === 'live')
    this.#mark(IS_LOADING, status === 'loading')
  }

  get hash(): number {
    return this.#memory.words[this.#words + memory.HASH] as number
  }

  get shard(): number {
    return this.#memory.words[this.#words + memory.SHARD] as number
  }

  get idAt(): number {
    return this.#memory.words[this.#words + memory.ID_AT] as number
  }

  get idLength(): number {
    return this.#memory.words[this.#words + memory.ID_LENGTH] as number
  }

  /** Of the newest row, speculative ones included. */
  get version(): number {
    return this.#memory.words[this.#words + memory.VERSION] as number
  }
  set version(value: number) {
    this.#memory.words[this.#words + memory.VERSION] = value
  }

  /** That row's writer term and append number. */
  get term(): number {
    return this.#memory.words[this.#words + memory.TERM] as number
  }
  set term(value: number) {
    this.#memory.words[this.#words + memory.TERM] = value
  }

  get appendNumber(): number {
    return this.#memory.words[this.#words + memory.APPEND_NUMBER] as number
  }
  set appendNumber(value: number) {
    this.#memory.words[this.#words + memory.APPEND_NUMBER] = value
  }

  /** Of the last snapshot. */
  get snapshotVersion(): number {
    return this.#memory.words[this.#words + memory.SNAPSHOT_VERSION] as number
  }
  set snapshotVersion(value: number) {
    this.#memory.words[this.#words + memory.SNAPSHOT_VERSION] = value
  }

  /** Up to there another snapshot need not be tried: the last one could not be taken. */
  get snapshotTriedVersion(): number {
    return this.#memory.words[this.#words + memory.SNAPSHOT_TRIED_VERSION] as number
  }
  set snapshotTriedVersion(value: number) {
    this.#memory.words[this.#words + memory.SNAPSHOT_TRIED_VERSION] = value
  }

  /** Of the newest row that is gone or could not be applied; 0: none. The state means nothing then, and no command is decided on it: see fence.ts. */
  get lostVersion(): number {
    return this.#memory.words[this.#words + memory.LOST_VERSION] as number
  }
  set lostVersion(value: number) {
    this.#memory.words[this.#words + memory.LOST_VERSION] = value
  }

  /** Used since the passivation sweep last came by. */
  get wasUsed(): boolean {
    return this.#has(WAS_USED)
  }
  set wasUsed(value: boolean) {
    this.#mark(WAS_USED, value)
  }

  /** Loaded for commands that have not been executed yet: it stays live until the first of them is. */
  get isAwaited(): boolean {
    return this.#has(IS_AWAITED)
  }
  set isAwaited(value: boolean) {
    this.#mark(IS_AWAITED, value)
  }

  /** In the list of the passivation sweep. */
  get isWatched(): boolean {
    return this.#has(IS_WATCHED)
  }
  set isWatched(value: boolean) {
    this.#mark(IS_WATCHED, value)
  }

  /** The due times of its timers lie with the worker's others, also while it is passive. */
  get areTimersKnown(): boolean {
    return this.#has(ARE_TIMERS_KNOWN)
  }
  set areTimersKnown(value: boolean) {
    this.#mark(ARE_TIMERS_KNOWN, value)
  }

  /** Why the row could not be applied; undefined where it is gone. */
  get foldFailure(): string | undefined {
    return this.#seldom?.foldFailure
  }
  set foldFailure(failure: string | undefined) {
    if (failure !== this.foldFailure) this.#rare.foldFailure = failure
  }

  /** Commands that came while it was loading. */
  get stalled(): InFlight[] | undefined {
    return this.#seldom?.stalled
  }
  set stalled(entries: InFlight[] | undefined) {
    if (entries !== this.stalled) this.#rare.stalled = entries
  }

  /** Readers that wait for it to be live. */
  get waiters(): SlotWaiter[] | undefined {
    return this.#seldom?.waiters
  }
  set waiters(waiters: SlotWaiter[] | undefined) {
    if (waiters !== this.waiters) this.#rare.waiters = waiters
  }

  get #numbers(): number {
    return this.#row * memory.ROW_NUMBERS
  }

  get #words(): number {
    return this.#row * memory.ROW_WORDS
  }

  get #rare(): Seldom {
    return (this.#seldom ??= { foldFailure: undefined, stalled: undefined, waiters: undefined })
  }

  /** Marks it as used now; false where it is not live, or its state means nothing. One look for what comes by ten million times a second. */
  tryUse(nowMs: number): boolean {
    const { words, numbers } = this.#memory
    const at = this.#words
    const flags = words[at + memory.FLAGS] as number
    if ((flags & IS_LIVE) === 0 || (words[at + memory.LOST_VERSION] as number) > 0) return false
    if ((flags & WAS_USED) === 0) words[at + memory.FLAGS] = flags | WAS_USED
    numbers[this.#numbers + memory.USED_MS] = nowMs
    return true
  }

  #has(flag: number): boolean {
    return ((this.#memory.words[this.#words + memory.FLAGS] as number) & flag) !== 0
  }

  #mark(flag: number, value: boolean): void {
    const { words } = this.#memory
    const at = this.#words + memory.FLAGS
    words[at] = value ? (words[at] as number) | flag : (words[at] as number) & ~flag
  }

  /** `at` of the newest row so far, to tell late ones. */
  get latestAt(): number {
    return this.#memory.numbers[this.#numbers + memory.LATEST_AT] as number
  }
  set latestAt(at: number) {
    this.#memory.numbers[this.#numbers + memory.LATEST_AT] = at
  }

  /** As JournalClient counts: what this worker sent for it is durable when released up to there. Minus infinity: it sent nothing. */
  get waitPosition(): number {
    return this.#memory.numbers[this.#numbers + memory.WAIT_POSITION] as number
  }
  set waitPosition(position: number) {
    this.#memory.numbers[this.#numbers + memory.WAIT_POSITION] = position
  }

  /** When it was used last. */
  get lastUsedMs(): number {
    return this.#memory.numbers[this.#numbers + memory.USED_MS] as number
  }
  set lastUsedMs(nowMs: number) {
    this.#memory.numbers[this.#numbers + memory.USED_MS] = nowMs
  }

  /** Over memory that may be another one later. */
  get idBytes(): Uint8Array {
    return this.#memory.at(this.idAt, this.idLength)
  }

  /** Whether the bytes in `view` are `sourceText`: for most commands to most entities, which have one source. */
  isSource(view: DataView, offset: number, length: number): boolean {
    const { words, bytes } = this.#memory
    if (words[this.#words + memory.SOURCE_LENGTH] !== length) return false
    return isSameKey(bytes, words[this.#words + memory.SOURCE_AT] as number, view, offset, length)
  }

  /** Remembers who commanded it last. */
  setSource({ text, bytes }: ByteString): void {
    const { words } = this.#memory
    const row = this.#words
    if (bytes.length > (words[row + memory.SOURCE_ROOM] as number)) {
      words[row + memory.SOURCE_ROOM] = bytes.length
      words[row + memory.SOURCE_AT] = this.#memory.add(bytes)
    } else this.#memory.replace(words[row + memory.SOURCE_AT] as number, bytes)
    words[row + memory.SOURCE_LENGTH] = bytes.length
    this.sourceText = text
  }

  /** Looks at all of its memory that a command will need; the answer means nothing. */
  touch(): number {
    const { numbers, words } = this.#memory
    const own = (words[this.#words] as number) + this.sourceText.length + (numbers[this.#numbers] as number)
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
