import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import { parseEntityId } from '#base/ids.js'
import { unpack } from '#base/pack.js'
import { createOutcomes, decodeSnapshot, type PlantModel } from '#entity/index.js'
import { BlockReplay, type ReplayRow } from '#journal/block-replay.js'
import { OUTCOME_NONE, RECEIPT_TYPE } from '#journal/append-frame.js'
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
  SNAPSHOT_HEADER_BYTES,
} from '#serving/serving-frames.js'
import type { EventNumbers } from './event-numbers.js'
import { Slot } from './slot.js'
import type { SlotTable } from './slot-table.js'
import type { WorkerCounters } from './worker-counters.js'

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

interface LoaderOptions {
  readonly plant: PlantModel
  readonly journal: JournalClient
  readonly clock: Clock
  readonly numbers: EventNumbers
  readonly slots: SlotTable
  readonly counters: WorkerCounters
  readonly liveEntitiesMax: number
  readonly onShardLoaded: (shard: number) => void
  readonly onSlotLoaded: (slot: Slot) => void
  readonly onSlotLive: (slot: Slot) => void
  readonly onLoaded: (report: LoadReport) => void
  readonly onFatal: (error: unknown) => void
}

/** One load under way: of whole shards, or of one passive entity. */
class Load {
  readonly shards: readonly number[]
  readonly slot: Slot | undefined
  number = -1
  requestedMs = 0
  beganMs = 0
  snapshotsMs = 0
  snapshotCount = 0
  eventCount = 0
  /** Per shard the slots by their number there, as blocks name them. */
  readonly byNumber = new Map<number, (Slot | undefined)[]>()
  /** What the log says of each entity that is being made live. */
  readonly headVersions = new Map<Slot, number>()

  constructor(shards: readonly number[], slot: Slot | undefined) {
    this.shards = shards
    this.slot = slot
  }

  restart(number: number, nowMs: number): void {
    this.number = number
    this.requestedMs = nowMs
    this.beganMs = 0
    this.snapshotsMs = 0
    this.snapshotCount = 0
    this.eventCount = 0
    this.byNumber.clear()
    this.headVersions.clear()
  }
}

const utf8 = new TextDecoder()

/**
 * Rebuilds state from what the journal streams: heads and snapshots first, then one scan of blocks. Asks again, with a new number, when the
 * journal was replaced in the middle. Until a shard is loaded, nothing in it is executed.
 */
export class Loader {
  readonly #options: LoaderOptions
  /** Asked for, in order; the first is the one that answers come for. */
  readonly #asked: Load[] = []
  #unasked: Load[] = []
  #journalTerm: number

  constructor(options: LoaderOptions) {
    this.#options = options
    this.#journalTerm = options.journal.journalTerm
  }

  loadShards(shards: readonly number[]): void {
    this.#unasked.push(new Load(shards, undefined))
  }

  loadSlot(slot: Slot): void {
    if (slot.status === 'loading') return
    slot.status = 'loading'
    this.#unasked.push(new Load([], slot))
  }

  /** Drops a live entity's state, or what is half loaded of it. */
  forget(slot: Slot): void {
    if (slot.status === 'live') this.#options.counters.liveEntities--
    if (slot.status === 'loading') {
      const asked = this.#asked.findIndex((load) => load.slot === slot)
      if (asked >= 0) this.#asked.splice(asked, 1)
      this.#unasked = this.#unasked.filter((load) => load.slot !== slot)
    }
    slot.forget()
  }

  hasWork(): boolean {
    return this.#unasked.length > 0 || (this.#asked.length > 0 && this.#options.journal.journalTerm !== this.#journalTerm)
  }

  doWork(): number {
    let work = this.#ask()
    for (let messages = 0; messages < MESSAGES_PER_TURN; messages++) {
      const message = this.#options.journal.pollLoad()
      if (message === undefined) break
      this.#take(message)
      work++
    }
    return work
  }

  #ask(): number {
    const { journal, clock } = this.#options
    if (journal.journalTerm !== this.#journalTerm) {
      this.#journalTerm = journal.journalTerm
      this.#unasked = [...this.#asked.splice(0), ...this.#unasked]
    }
    let asked = 0
    for (let load = this.#unasked[0]; load !== undefined; load = this.#unasked[0]) {
      const number = journal.tryLoad(load.slot === undefined ? { shards: load.shards } : { entity: load.slot.id })
      if (number < 0) break
      load.restart(number, clock.monotonicMs())
      this.#unasked.shift()
      this.#asked.push(load)
      asked++
    }
    return asked
  }

  #take(message: LoadMessage): void {
    const load = this.#asked.find((one) => one.number === message.load)
    if (load === undefined) return
    const nowMs = this.#options.clock.monotonicMs()
    try {
      if (message.kind === LOAD_BEGIN) {
        load.beganMs = nowMs
        load.snapshotsMs = nowMs
        this.#options.numbers.learn(unpack<LoadBegin>(message.bytes).eventTypes as readonly EventType[])
      } else if (message.kind === LOAD_HEADS) this.#takeHeads(load, unpack<LoadHeads>(message.bytes))
      else if (message.kind === LOAD_SNAPSHOT) {
        this.#takeSnapshot(load, message.bytes)
        load.snapshotsMs = nowMs
      } else if (message.kind === LOAD_BLOCK) this.#takeBlock(load, message.bytes)
      else if (message.kind === LOAD_END) this.#end(load, nowMs)
      else if (message.kind === LOAD_FAILED) throw loadError('the journal could not read what a worker needs', { message: utf8.decode(message.bytes) })
    } catch (error) {
      this.#options.onFatal(error)
    }
  }

  #takeHeads(load: Load, { shard, heads }: LoadHeads): void {
    const { slots, plant, counters, liveEntitiesMax } = this.#options
    let byNumber = load.byNumber.get(shard)
    if (byNumber === undefined) load.byNumber.set(shard, (byNumber = []))
    for (const [id, number, version, term, appendNumber] of heads) {
      const idBytes = utf8Encoder.encode(id)
      const hash = hash32(idBytes)
      let slot = slots.find(hash, idBytes, 0, idBytes.length)
      if (slot === undefined) {
        const model = plant.model(parseEntityId(id).type)
        if (model === undefined) continue
        slot = new Slot(id, idBytes, hash, shard, model)
        slots.add(slot)
        counters.knownEntities++
      }
      if (load.slot === undefined && counters.liveEntities + load.headVersions.size >= liveEntitiesMax) continue
      byNumber[number] = slot
      slot.state = slot.model.initial()
      slot.outcomes = createOutcomes()
      slot.version = 0
      slot.latestAt = 0
      slot.snapshotVersion = 0
      slot.term = term
      slot.appendNumber = appendNumber
      load.headVersions.set(slot, version)
    }
  }

  #takeSnapshot(load: Load, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const version = view.getUint32(0, true)
    const idEnd = SNAPSHOT_HEADER_BYTES + view.getUint32(12, true)
    const id = bytes.subarray(SNAPSHOT_HEADER_BYTES, idEnd)
    const slot = this.#options.slots.find(hash32(id), id, 0, id.length)
    if (slot === undefined || !load.headVersions.has(slot)) return
    const snapshot = decodeSnapshot(slot.model, bytes.subarray(idEnd))
    if (snapshot.kind !== 'ok') return
    slot.state = snapshot.state
    slot.outcomes = snapshot.outcomes
    slot.latestAt = snapshot.latestAt
    slot.version = version
    slot.snapshotVersion = version
    load.snapshotCount++
  }

  #takeBlock(load: Load, bytes: Uint8Array): void {
    const replay = new BlockReplay(bytes, this.#options.numbers.types)
    for (const [shard, byNumber] of load.byNumber) {
      replay.forEachRow(shard, (row) => {
        const slot = byNumber[row.entityNumber]
        if (slot !== undefined && row.version > slot.version) this.#fold(load, slot, row)
      })
    }
  }

  #fold(load: Load, slot: Slot, row: ReplayRow): void {
    if (row.version !== slot.version + 1) {
      throw loadError('rows of an entity are missing in the log', { entity: slot.id, versions: `${slot.version + 1}..${row.version - 1}` })
    }
    if (row.typeNumber !== RECEIPT_TYPE) {
      const stored = this.#options.numbers.stored(row.typeNumber)
      if (stored === undefined || stored.model !== slot.model) {
        throw loadError('the log has an event that this plant does not know', { entity: slot.id, version: row.version })
      }
      slot.model.apply(slot.state, stored.eventIndex, row.data())
    }
    slot.version = row.version
    if (row.at > slot.latestAt) slot.latestAt = row.at
    if (row.outcomeKind !== OUTCOME_NONE && row.source !== '') {
      slot.outcomes?.record(row.source, row.sequence, row.outcomeKind, row.outcome, row.version)
    }
    load.eventCount++
  }

  #end(load: Load, nowMs: number): void {
    const { counters, onSlotLive } = this.#options
    // Nothing that was sent for it was taken: it is new.
    if (load.slot !== undefined && load.headVersions.size === 0) {
      load.slot.state = load.slot.model.initial()
      load.slot.outcomes = createOutcomes()
      load.headVersions.set(load.slot, 0)
    }
    for (const [slot, headVersion] of load.headVersions) {
      if (slot.version !== headVersion) {
        throw loadError('rows of an entity are missing at the end of the log', { entity: slot.id, versions: `${slot.version + 1}..${headVersion}` })
      }
      slot.status = 'live'
      counters.liveEntities++
      counters.activations++
      onSlotLive(slot)
    }
    this.#asked.splice(this.#asked.indexOf(load), 1)
    if (load.slot !== undefined) {
      this.#wakeWaiters(load.slot)
      this.#options.onSlotLoaded(load.slot)
      return
    }
    for (const slot of load.headVersions.keys()) this.#wakeWaiters(slot)
    this.#options.onLoaded({
      shards: load.shards,
      entities: load.headVersions.size,
      snapshots: load.snapshotCount,
      events: load.eventCount,
      waitMs: load.beganMs - load.requestedMs,
      snapshotMs: load.snapshotsMs - load.beganMs,
      replayMs: nowMs - load.snapshotsMs,
    })
    for (const shard of load.shards) this.#options.onShardLoaded(shard)
  }

  #wakeWaiters(slot: Slot): void {
    const { waiters } = slot
    slot.waiters = []
    for (const wake of waiters) wake()
  }
}

const utf8Encoder = new TextEncoder()
/** So that one load does not hold the event loop for long. */
const MESSAGES_PER_TURN = 8

function loadError(fact: string, values: Record<string, unknown>): MillraceError {
  return new MillraceError('ERR_LOAD', { fact, action: 'operator', values, next: 'run millrace log verify on the data directory' })
}
