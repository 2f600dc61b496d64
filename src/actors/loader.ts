import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { unpack } from '#base/pack.js'
import { FRAME_TOO_LARGE } from '#bus/index.js'
import type { EventType } from '#journal/journal.js'
import type { JournalClient, LoadMessage } from '#serving/journal-client.js'
import {
  LOAD_BEGIN,
  LOAD_BLOCK,
  LOAD_END,
  LOAD_FAILED,
  LOAD_HEADS,
  LOAD_SNAPSHOT,
  type LoadBegin,
  type LoadHeads,
} from '#serving/serving-frames.js'
import { Load, loadError, type LoadTarget } from './load.js'
import type { Slot } from './slot.js'

/** What one load of shards came to. Durations in milliseconds. */
export interface LoadReport {
  readonly shards: readonly number[]
  readonly entities: number
  readonly snapshots: number
  readonly events: number
  /** From the request to the first byte, to the last snapshot, to the end of the replay. */
  readonly waitMs: number
  readonly snapshotMs: number
  readonly replayMs: number
}

export interface LoaderOptions extends LoadTarget {
  readonly journal: JournalClient
  /** Of the worker. */
  readonly term: number
  readonly clock: Clock
  /** The slots that became live; called before `onShardsLoaded` or `onSlotLoaded`. */
  readonly onLive: (slot: Slot) => void
  readonly onShardsLoaded: (report: LoadReport) => void
  readonly onSlotLoaded: (slot: Slot) => void
  /** Nothing more is loaded after that. */
  readonly onFatal: (error: unknown) => void
}

/** So that one load does not hold the event loop for long. */
const MESSAGES_PER_TURN = 8
/** Term of a journal that has not come yet. */
const NO_TERM = 0
const utf8 = new TextDecoder()

/**
 * Rebuilds state from what the journal streams: heads and snapshots first, then one scan of blocks. Asks again, with a new number, when the
 * journal was replaced in the middle. Until a shard is loaded, nothing in it is executed.
 */
export class Loader {
  readonly #options: LoaderOptions
  /** Asked for, in order; the journal answers them one after the other. */
  #asked: Load[] = []
  #unasked: Load[] = []
  #journalTerm: number
  /** The appends channel had no room for a request at this released position. */
  #blockedAt: number | undefined

  constructor(options: LoaderOptions) {
    this.#options = options
    this.#journalTerm = options.journal.journalTerm
  }

  loadShards(shards: readonly number[]): void {
    this.#unasked.push(new Load(this.#options, { shards }))
  }

  /** Does nothing for one that is loading already. */
  loadSlot(slot: Slot): void {
    if (slot.status === 'loading') return
    slot.status = 'loading'
    this.#unasked.push(new Load(this.#options, { slot }))
  }

  /** Drops a live entity's state, or what is half loaded of it. */
  forget(slot: Slot): void {
    if (slot.status === 'live') this.#options.counters.liveEntities--
    if (slot.status === 'loading') {
      this.#asked = this.#asked.filter((load) => load.slot !== slot)
      this.#unasked = this.#unasked.filter((load) => load.slot !== slot)
    }
    slot.forget()
  }

  hasWork(): boolean {
    const { journal } = this.#options
    if (journal.hasLoadPieces) return true
    if (this.#unasked.length > 0 && this.#blockedAt !== journal.releasedPosition()) return true
    return this.#asked.length > 0 && journal.journalTerm !== this.#journalTerm
  }

  doWork(): number {
    let work = this.#lookAfterJournal() + this.#ask()
    for (let messages = 0; messages < MESSAGES_PER_TURN; messages++) {
      if (!this.#options.journal.hasLoadPieces) break
      const message = this.#options.journal.pollLoad()
      work++
      if (message !== undefined && !this.#tryTake(message)) break
    }
    return work
  }

  /**
   * A journal that was replaced took with it what it owed to requests that it had taken. Those that it had not taken lie in the ring for its
   * successor, as they do for the first journal of a plant.
   */
  #lookAfterJournal(): number {
    const { journal } = this.#options
    const former = this.#journalTerm
    if (journal.journalTerm === former) return 0
    this.#journalTerm = journal.journalTerm
    if (former === NO_TERM) return 0
    const released = journal.releasedPosition()
    const lost = this.#asked.filter((load) => load.position <= released)
    this.#asked = this.#asked.filter((load) => load.position > released)
    this.#unasked = [...lost, ...this.#unasked]
    return lost.length
  }

  #ask(): number {
    if (this.#unasked.length === 0) return 0
    const { journal, clock, term } = this.#options
    const released = journal.releasedPosition()
    if (this.#blockedAt === released) return 0
    this.#blockedAt = undefined
    let asked = 0
    for (let load = this.#unasked[0]; load !== undefined; load = this.#unasked[0]) {
      const { slot, shards, isWhole } = load
      const number = journal.tryLoad({ term, shards, entity: slot?.id, isWhole })
      if (number === FRAME_TOO_LARGE) {
        this.#fail(requestTooLarge(journal, shards.length))
        break
      }
      if (number < 0) {
        this.#blockedAt = released
        break
      }
      load.restart(number, journal.sentPosition, clock.monotonicMs())
      this.#unasked.shift()
      this.#asked.push(load)
      asked++
    }
    return asked
  }

  #tryTake(message: LoadMessage): boolean {
    const load = message.term === this.#options.term ? this.#asked.find((one) => one.number === message.load) : undefined
    if (load === undefined) return true
    try {
      this.#take(load, message)
      return true
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  #fail(error: unknown): void {
    this.#asked = []
    this.#unasked = []
    this.#options.onFatal(error)
  }

  #take(load: Load, message: LoadMessage): void {
    const nowMs = this.#options.clock.monotonicMs()
    switch (message.kind) {
      case LOAD_BEGIN:
        load.beganMs = nowMs
        load.snapshotsMs = nowMs
        this.#begin(unpack<LoadBegin>(message.bytes))
        return
      case LOAD_HEADS:
        return load.takeHeads(unpack<LoadHeads>(message.bytes))
      case LOAD_SNAPSHOT:
        load.snapshotsMs = nowMs
        if (load.takeSnapshot(message.bytes)) return
        if (load.isWhole) throw loadError('the base snapshot of an entity is of another shape, and the rows behind it are dropped', {})
        return this.#askForAllRows(load)
      case LOAD_BLOCK:
        return load.takeBlock(message.bytes)
      case LOAD_END:
        return this.#end(load, nowMs)
      case LOAD_FAILED:
        throw loadError('the journal could not read what a worker needs', { message: utf8.decode(message.bytes) })
    }
  }

  #askForAllRows(load: Load): void {
    load.isWhole = true
    this.#asked.splice(this.#asked.indexOf(load), 1)
    this.#unasked.push(load)
  }

  #begin({ eventTypes }: LoadBegin): void {
    if (eventTypes !== undefined) this.#options.numbers.learn(eventTypes as readonly EventType[])
  }

  #end(load: Load, nowMs: number): void {
    load.end()
    this.#asked.splice(this.#asked.indexOf(load), 1)
    for (const slot of load.taken) this.#options.onLive(slot)
    if (load.slot !== undefined) return this.#options.onSlotLoaded(load.slot)
    this.#options.onShardsLoaded({
      shards: load.shards,
      entities: load.takenCount,
      snapshots: load.snapshotCount,
      events: load.eventCount,
      waitMs: load.beganMs - load.requestedMs,
      snapshotMs: load.snapshotsMs - load.beganMs,
      replayMs: nowMs - load.snapshotsMs,
    })
  }
}

function requestTooLarge(journal: JournalClient, shardCount: number): MillraceError {
  return new MillraceError('ERR_CHANNEL_TOO_SMALL', {
    fact: 'the appends channel cannot carry the request for the shards of a worker',
    action: 'operator',
    values: { channel: journal.appends.name, shards: shardCount, frameBytesMax: journal.appends.frameBytesMax },
    next: 'raise bus.capacityBytes',
  })
}
