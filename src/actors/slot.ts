import { assert } from '#base/assert.js'
import { hash32 } from '#base/hash.js'
import type { EntityModel, Outbox, Outcomes } from '#entity/index.js'
import type { ByteString } from './byte-strings.js'
import type { InFlight } from './in-flight.js'
import * as layout from './slot-layout.js'
import type { SlotMemory } from './slot-memory.js'

/** `live`: state in layout. `passive`: known, state in the log only. `loading`: asked for. */
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
const IS_LIVE = 8
const IS_LOADING = 16

const utf8 = new TextEncoder()
const SHARD_SHIFT = 16

/**
 * The runtime's place for one entity that is live, loading, or passive and not let go yet: see SlotTable, which makes it. Everything but the identity is meaningful only while it is live. All numbers lie
 * in SlotMemory, side by side: a million entities fit, and with ten thousand that take turns a command costs as much as the cache lines that it touches.
 */
export class Slot {
  readonly #memory: SlotMemory
  /** The number of its rows there. */
  #row: number
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

  /** Made by SlotTable, for a new row. */
  constructor(id: string, index: number, hash: number, row: number, model: EntityModel, memory: SlotMemory) {
    this.id = id
    this.model = model
    this.#memory = memory
    this.#row = row
    const { words } = memory
    const at = this.#words
    words[at + layout.HASH] = hash
    words[at + layout.INDEX] = index
    words[at + layout.FLAGS] = (hash % memory.shardCount) << SHARD_SHIFT
    this.waitPosition = Number.NEGATIVE_INFINITY
  }

  /** It was let go: the entity has another slot, or none. All that is left is its id, type, hash and shard. Whoever kept one looks for the entity anew. */
  get isGone(): boolean {
    return this.#row === layout.NO_ROW
  }

  /** Whether somebody counts on this very slot: it does not go then. */
  get isHeld(): boolean {
    return this.status !== 'passive' || this.isWatched || this.stalled !== undefined || this.waiters !== undefined
  }

  /** Whether both are, or were, of the same entity. */
  isSame(other: Slot): boolean {
    return other === this || (other.isGone && other.id === this.id)
  }

  get row(): number {
    return this.#row
  }

  /** SlotTable alone does that. */
  moveTo(row: number): void {
    this.#row = row
  }

  /** The same. */
  letGo(): void {
    assert(!this.isHeld, 'nobody counts on a slot that is let go')
    this.#row = layout.NO_ROW
  }

  get status(): SlotStatus {
    const flags = this.#memory.words[this.#words + layout.FLAGS] as number
    return (flags & IS_LIVE) !== 0 ? 'live' : (flags & IS_LOADING) !== 0 ? 'loading' : 'passive'
  }
  set status(status: SlotStatus) {
    this.#mark(IS_LIVE, status === 'live')
    this.#mark(IS_LOADING, status === 'loading')
  }

  get hash(): number {
    return this.isGone ? hash32(utf8.encode(this.id)) : (this.#memory.words[this.#words + layout.HASH] as number)
  }

  get shard(): number {
    if (this.isGone) return this.hash % this.#memory.shardCount
    return (this.#memory.words[this.#words + layout.FLAGS] as number) >>> SHARD_SHIFT
  }

  /** The number of its entity: what may outlast a slot is kept by that. */
  get index(): number {
    assert(!this.isGone, 'a slot that was let go stands for no entity')
    return this.#memory.words[this.#words + layout.INDEX] as number
  }

  get idLength(): number {
    return this.#memory.known.idLengthAt(this.index)
  }

  /** Over memory that may be another one later. */
  get idBytes(): Uint8Array {
    return this.isGone ? utf8.encode(this.id) : this.#memory.known.idAt(this.index)
  }

  /** Of the newest row, speculative ones included. */
  get version(): number {
    return this.#memory.words[this.#words + layout.VERSION] as number
  }
  set version(value: number) {
    this.#memory.words[this.#words + layout.VERSION] = value
  }

  /** That row's writer term and append number. */
  get term(): number {
    return this.#memory.words[this.#words + layout.TERM] as number
  }
  set term(value: number) {
    this.#memory.words[this.#words + layout.TERM] = value
  }

  get appendNumber(): number {
    return this.#memory.words[this.#words + layout.APPEND_NUMBER] as number
  }
  set appendNumber(value: number) {
    this.#memory.words[this.#words + layout.APPEND_NUMBER] = value
  }

  /** Of the last snapshot. */
  get snapshotVersion(): number {
    return this.#memory.words[this.#words + layout.SNAPSHOT_VERSION] as number
  }
  set snapshotVersion(value: number) {
    this.#memory.words[this.#words + layout.SNAPSHOT_VERSION] = value
  }

  /** Up to there another snapshot need not be tried: the last one could not be taken. */
  get snapshotTriedVersion(): number {
    return this.#memory.words[this.#words + layout.SNAPSHOT_TRIED_VERSION] as number
  }
  set snapshotTriedVersion(value: number) {
    this.#memory.words[this.#words + layout.SNAPSHOT_TRIED_VERSION] = value
  }

  /** Of the newest row that is gone or could not be applied; 0: none. The state means nothing then, and no command is decided on it: see fence.ts. */
  get lostVersion(): number {
    return this.#memory.words[this.#words + layout.LOST_VERSION] as number
  }
  set lostVersion(value: number) {
    this.#memory.words[this.#words + layout.LOST_VERSION] = value
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
    return this.#memory.known.areTimersKnown(this.index)
  }
  set areTimersKnown(areKnown: boolean) {
    this.#memory.known.setTimersKnown(this.index, areKnown)
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
    return this.#row * layout.ROW_NUMBERS
  }

  get #words(): number {
    return this.#row * layout.ROW_WORDS
  }

  get #rare(): Seldom {
    return (this.#seldom ??= { foldFailure: undefined, stalled: undefined, waiters: undefined })
  }

  /** Marks it as used now; false where it is not live, was let go, or its state means nothing. One look for what comes by ten million times a second. */
  tryUse(nowMs: number): boolean {
    const { words, numbers } = this.#memory
    const at = this.#words
    const flags = words[at + layout.FLAGS] as number
    if ((flags & IS_LIVE) === 0 || (words[at + layout.LOST_VERSION] as number) > 0) return false
    if ((flags & WAS_USED) === 0) words[at + layout.FLAGS] = flags | WAS_USED
    numbers[this.#numbers + layout.USED_MS] = nowMs
    return true
  }

  #has(flag: number): boolean {
    return ((this.#memory.words[this.#words + layout.FLAGS] as number) & flag) !== 0
  }

  #mark(flag: number, value: boolean): void {
    assert(!this.isGone, 'nothing is done with a slot that was let go')
    const { words } = this.#memory
    const at = this.#words + layout.FLAGS
    words[at] = value ? (words[at] as number) | flag : (words[at] as number) & ~flag
  }

  /** `at` of the newest row so far, to tell late ones. */
  get latestAt(): number {
    return this.#memory.numbers[this.#numbers + layout.LATEST_AT] as number
  }
  set latestAt(at: number) {
    this.#memory.numbers[this.#numbers + layout.LATEST_AT] = at
  }

  /** As JournalClient counts: what this worker sent for it is durable when released up to there. Minus infinity: it sent nothing. */
  get waitPosition(): number {
    return this.#memory.numbers[this.#numbers + layout.WAIT_POSITION] as number
  }
  set waitPosition(position: number) {
    this.#memory.numbers[this.#numbers + layout.WAIT_POSITION] = position
  }

  /** When it was used last. */
  get lastUsedMs(): number {
    return this.#memory.numbers[this.#numbers + layout.USED_MS] as number
  }
  set lastUsedMs(nowMs: number) {
    this.#memory.numbers[this.#numbers + layout.USED_MS] = nowMs
  }

  /** Whether the bytes in `view` are `sourceText`: for most commands to most entities, which have one source. */
  isSource(view: DataView, offset: number, length: number): boolean {
    return this.#memory.sources.isSame(this.#memory.words, this.#row, view, offset, length)
  }

  /** Remembers who commanded it last. */
  setSource({ text, bytes }: ByteString): void {
    this.#memory.setSource(this.#row, bytes)
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
