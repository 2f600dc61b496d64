import type { Clock } from '#base/clock.js'
import { type ErrorCode, isMillraceError, MillraceError } from '#base/errors.js'
import { unpack } from '#base/pack.js'
import { FRAME_TOO_LARGE } from '#bus/index.js'
import type { EventType } from '#journal/journal.js'
import { isLogDamage } from '#journal/log-damage.js'
import type { JournalClient, LoadMessage } from '#serving/journal-client.js'
import {
  LOAD_BEGIN,
  LOAD_BLOCK,
  LOAD_DAMAGES,
  LOAD_END,
  LOAD_FAILED,
  LOAD_HEADS,
  LOAD_ONLY,
  LOAD_SNAPSHOTS,
  type LoadBegin,
  type LoadFailure,
  type LoadRequest,
} from '#serving/serving-frames.js'
import { Load, type LoadTarget } from './load.js'
import { decideLoad, type LoadFacts } from './load-decision.js'
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
  /** The log's entities of a shard are known, perhaps not all of them yet: those that are loading are live soon. */
  readonly onHeads: (shard: number) => void
  /** All entities of these shards are known, and live as far as there is room for them. */
  readonly onShardsLoaded: (report: LoadReport) => void
  /** A load passed over damage or events that could not be applied, in these words, and fenced what that hit. */
  readonly onDamage: (damages: readonly string[]) => void
  /** Nothing more is loaded after that. */
  readonly onFatal: (error: unknown) => void
}

/** So that one load does not hold the event loop for long. */
const MESSAGES_PER_TURN = 8
/** Term of a journal that has not come yet. */
const NO_TERM = 0

/**
 * Rebuilds state from what the journal streams: heads and snapshots first, then one scan of blocks. Asks again, with a new number, when the
 * journal was replaced in the middle. Until an entity is live, no command to it is executed.
 */
export class Loader {
  readonly #options: LoaderOptions
  /** Asked for, in order; the journal answers them one after the other. */
  #asked: Load[] = []
  #unasked: Load[] = []
  #journalTerm: number
  /** The appends channel had no room for a request at this released position. */
  #blockedAt: number | undefined
  /** What has been loaded since shards were last told to be: loads of some types of them are theirs, too. */
  #parts = { entities: 0, snapshots: 0, events: 0 }

  constructor(options: LoaderOptions) {
    this.#options = options
    this.#journalTerm = options.journal.journalTerm
  }

  /** `first`: entities, by id, that somebody waits for. */
  loadShards(shards: readonly number[], first: readonly string[] = []): void {
    this.#unasked.push(new Load(this.#options, { shards, first }))
  }

  /** Only the entities of these types, in a scan of their own: the shards are not loaded then. */
  loadTypes(shards: readonly number[], entityTypes: readonly string[]): void {
    this.#unasked.push(new Load(this.#options, { shards, entityTypes }))
  }

  /** Gives up what is being loaded of whole shards together with these; answers all the shards that are to be loaded anew then. */
  giveUp(shards: ReadonlySet<number>): ReadonlySet<number> {
    const all = new Set(shards)
    const goesOn = (load: Load): boolean => {
      if (!load.shards.some((shard) => shards.has(shard))) return true
      for (const shard of load.shards) all.add(shard)
      return false
    }
    this.#asked = this.#asked.filter(goesOn)
    this.#unasked = this.#unasked.filter(goesOn)
    return all
  }

  /** Entities that are being loaded, as far as they are known. */
  get loadingCount(): number {
    return this.#asked.reduce((sum, load) => sum + load.loadingCount, 0)
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
      const number = journal.tryLoad({ term, ...this.#requestOf(load) })
      if (number === FRAME_TOO_LARGE && load.first.length > 0) {
        load.first = []
        continue
      }
      if (number === FRAME_TOO_LARGE) {
        this.#fail(requestTooLarge(journal, load.shards.length))
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

  #requestOf({ slot, shards, first, entityTypes, isWhole, isLenient, snapshotBelow }: Load): Omit<LoadRequest, 'load' | 'term'> {
    return {
      shards,
      entity: slot?.id,
      isWhole,
      ...(isLenient ? { isLenient } : {}),
      ...(snapshotBelow === undefined ? {} : { snapshotBelow }),
      ...(entityTypes === undefined ? {} : { entityTypes }),
      ...(first.length === 0 ? {} : { first }),
    }
  }

  #tryTake(message: LoadMessage): boolean {
    const load = message.term === this.#options.term ? this.#asked.find((one) => one.number === message.load) : undefined
    if (load === undefined) return true
    try {
      this.#take(load, message)
      return true
    } catch (error) {
      if (decideLoad({ ...load.facts, ...factsOf(error) }) === 'pass-over-damage') {
        load.isLenient = true
        this.#askAgain(load)
        return true
      }
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
        return this.#options.onHeads(load.takeHeads(message.bytes))
      case LOAD_SNAPSHOTS:
        load.snapshotsMs = nowMs
        if (load.takeSnapshots(message.bytes)) return this.#askForOlder(load)
        load.isWhole = true
        return this.#askAgain(load)
      case LOAD_ONLY:
        return load.takeOnly(message.bytes)
      case LOAD_BLOCK:
        return load.takeBlock(message.bytes)
      case LOAD_END:
        return this.#end(load, nowMs)
      case LOAD_FAILED:
        throw loadFailed(unpack<LoadFailure>(message.bytes))
      case LOAD_DAMAGES:
        load.damages = unpack<string[]>(message.bytes)
        return
    }
  }

  #askAgain(load: Load): void {
    this.#asked.splice(this.#asked.indexOf(load), 1)
    this.#unasked.push(load)
  }

  /** Each entity whose snapshot is damaged from the one before it, on its own. */
  #askForOlder(load: Load): void {
    for (const { slot, version } of load.older.splice(0)) {
      slot.status = 'loading'
      const own = slot === load.slot ? load : new Load(this.#options, { slot })
      own.snapshotBelow = version
      own.isLenient = load.isLenient
      if (own === load) this.#askAgain(load)
      else this.#unasked.push(own)
    }
  }

  #begin({ eventTypes }: LoadBegin): void {
    if (eventTypes !== undefined) this.#options.numbers.learn(eventTypes as readonly EventType[])
  }

  #end(load: Load, nowMs: number): void {
    load.end()
    if (load.isLenient || load.foldFailures.length > 0) this.#options.onDamage([...load.damages, ...load.foldFailures])
    this.#asked.splice(this.#asked.indexOf(load), 1)
    const { entityCount, snapshotCount, eventCount } = load
    if (load.slot !== undefined) return
    const parts = this.#parts
    parts.entities += entityCount
    parts.snapshots += snapshotCount
    parts.events += eventCount
    if (load.entityTypes !== undefined) return
    this.#parts = { entities: 0, snapshots: 0, events: 0 }
    this.#options.onShardsLoaded({
      shards: load.shards,
      ...parts,
      waitMs: load.beganMs - load.requestedMs,
      snapshotMs: load.snapshotsMs - load.beganMs,
      replayMs: nowMs - load.snapshotsMs,
    })
  }
}

/** What an error that a load met says of the log. */
function factsOf(error: unknown): Partial<LoadFacts> {
  if (isMillraceError(error, 'ERR_ROWS_MISSING')) return { rows: 'missing' }
  return { journal: isLogDamage(error) ? 'damaged' : 'failed' }
}

function loadFailed({ code, message }: LoadFailure): MillraceError {
  return new MillraceError(/^ERR_[A-Z0-9_]+$/.test(code) ? (code as ErrorCode) : 'ERR_LOAD', {
    fact: 'the journal could not read what a worker needs',
    action: 'operator',
    values: { message },
    next: 'run millrace log verify on the data directory',
  })
}

function requestTooLarge(journal: JournalClient, shardCount: number): MillraceError {
  return new MillraceError('ERR_CHANNEL_TOO_SMALL', {
    fact: 'the appends channel cannot carry the request for the shards of a worker',
    action: 'operator',
    values: { channel: journal.appends.name, shards: shardCount, frameBytesMax: journal.appends.frameBytesMax },
    next: 'raise bus.capacityBytes',
  })
}
