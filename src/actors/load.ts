import { assert } from '#base/assert.js'
import { MillraceError, messageOf } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import { applyStored, createOutcomes, decodeBase, decodeSnapshot, isFresh, Outbox, type PlantModel } from '#entity/index.js'
import { OUTCOME_NONE, RECEIPT_TYPE } from '#journal/append-frame.js'
import { BlockReplay, type ReplayRow } from '#journal/block-replay.js'
import { LOADED_HEAD_BYTES, LOADED_SNAPSHOT_BYTES } from '#serving/serving-frames.js'
import type { EventNumbers } from './event-numbers.js'
import { notFolded } from './fence.js'
import { decideLoad, type LoadFacts } from './load-decision.js'
import { OpenOutboxes } from './open-outboxes.js'
import type { Slot } from './slot.js'
import type { SlotTable } from './slot-table.js'
import type { WorkerCounters } from './worker-counters.js'

/** What a load folds into, and what it needs to know for that. */
export interface LoadTarget {
  readonly plant: PlantModel
  readonly numbers: EventNumbers
  readonly slots: SlotTable
  readonly counters: WorkerCounters
  readonly liveEntitiesMax: number
  /** A slot became live: everything that the log had of it when its heads were read is folded. Others of the same load may still be loading. */
  readonly onLive: (slot: Slot) => void
  /** An entity that was left passive, by its index, has told something that is not over. */
  readonly onOpenOutbox: (index: number) => void
}

/** What is loaded: whole shards, or of whole shards the entities of some types, or one entity. */
export type LoadScope =
  | { readonly shards: readonly number[]; readonly entityTypes?: readonly string[]; readonly first?: readonly string[] }
  | { readonly slot: Slot }

/** The slots of a shard that are being made live, by their number there, as blocks name them, with the versions that the log has of them. */
interface LoadingShard {
  readonly slots: (Slot | undefined)[]
  readonly headVersions: number[]
  loadingCount: number
  readonly fold: (row: ReplayRow) => void
}

/** With more entities of one load that cannot be folded it is no entity that is at fault, but code: then commands wait for better code instead of being refused one by one. */
const FOLD_FAILURES_MAX = 100
const utf8 = new TextDecoder()
/** Between the type and the name in an id. */
const SLASH = 0x2f
const TOLD_BY_THE_JOURNAL = (): void => undefined

/**
 * One load under way: folds heads, then snapshots, then rows, as the journal streams them. Each entity is made live as soon as all that the log has of it
 * is folded; from then on it belongs to those who send it commands, and what the scan still has of it is theirs.
 */
export class Load {
  readonly shards: readonly number[]
  readonly entityTypes: readonly string[] | undefined
  /** Entities that somebody waits for. */
  first: readonly string[]
  readonly slot: Slot | undefined
  readonly #target: LoadTarget
  readonly #shards = new Map<number, LoadingShard>()
  /** Whose rows alone are meant; nobody's when it has no slot here. */
  #only: { readonly slot: Slot | undefined; readonly shard: number | undefined } | undefined
  #loadingCount = 0
  /** Everything is folded from the first row on. */
  isWhole = false
  /** What can be read is asked for: entities that damage hit are fenced, see load-decision.ts. */
  isLenient = false
  /** Of an entity: its snapshots of this version and newer ones are of no use. */
  snapshotBelow: number | undefined
  /** What the journal passed over. */
  damages: readonly string[] = []
  /** Events that could not be applied, in words: their entities are fenced. */
  readonly foldFailures: string[] = []
  /** Entities with a damaged snapshot, and its version: they are not in this load any more. */
  readonly older: { readonly slot: Slot; readonly version: number }[] = []
  /** In a lenient load: the newest row of each entity that is not live yet, by writer term and append number. */
  readonly #headRows = new Map<Slot, readonly [term: number, appendNumber: number]>()
  readonly #passive: OpenOutboxes
  /** Of the request, -1 before it is sent. */
  number = -1
  /** Position of the appends channel behind the request: the journal has taken it when released up to there. */
  position = 0
  requestedMs = 0
  beganMs = 0
  snapshotsMs = 0
  entityCount = 0
  snapshotCount = 0
  eventCount = 0

  constructor(target: LoadTarget, scope: LoadScope) {
    this.#target = target
    this.#passive = new OpenOutboxes(target.numbers, target.slots)
    this.shards = 'shards' in scope ? scope.shards : []
    this.entityTypes = 'shards' in scope ? scope.entityTypes : undefined
    this.first = 'shards' in scope ? (scope.first ?? []) : []
    this.slot = 'slot' in scope ? scope.slot : undefined
  }

  /** Entities under way. */
  get loadingCount(): number {
    return this.#loadingCount
  }

  /** Asked for, perhaps once more: what is live by now stays, everything else comes from the beginning, its head first. */
  restart(number: number, position: number, nowMs: number): void {
    this.number = number
    this.position = position
    this.requestedMs = nowMs
    this.beganMs = nowMs
    this.snapshotsMs = nowMs
    this.#only = undefined
    this.#headRows.clear()
    this.damages = []
    this.foldFailures.length = 0
    this.older.length = 0
    this.#passive.clear()
  }

  /** As LOAD_HEADS has them; answers their shard. */
  takeHeads(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const shard = view.getUint32(0, true)
    const into = this.#shard(shard)
    const { slots } = this.#target
    for (let at = 4, idEnd = 0; at < bytes.length; at = idEnd) {
      const idStart = at + LOADED_HEAD_BYTES
      idEnd = idStart + view.getUint32(at + 16, true)
      const number = view.getUint32(at, true)
      const index = this.#indexOf(bytes.subarray(idStart, idEnd))
      if (index < 0) continue
      const known = slots.peekAt(index)
      if ((known === undefined || into.slots[number] !== known) && !this.#isWanted(known)) {
        if (this.slot === undefined && slots.isPassive(index)) this.#passive.watch(shard, number, index)
        continue
      }
      const slot = known ?? slots.at(index)
      const version = view.getUint32(at + 4, true)
      const term = view.getUint32(at + 8, true)
      const appendNumber = view.getUint32(at + 12, true)
      slot.status = 'loading'
      slot.state = slot.model.initial()
      slot.outcomes = undefined
      slot.outbox = undefined
      slot.version = 0
      slot.latestAt = 0
      slot.snapshotVersion = 0
      slot.snapshotTriedVersion = 0
      slot.lostVersion = 0
      slot.foldFailure = undefined
      slot.term = term
      slot.appendNumber = appendNumber
      if (into.slots[number] === undefined) this.#count(into, 1)
      into.slots[number] = slot
      into.headVersions[number] = version
      if (this.isLenient) this.#headRows.set(slot, [term, appendNumber])
    }
    return shard
  }

  /**
   * False when one of the snapshots was made under other events: then the load is to be asked for again with `isWhole`, since only rows that the snapshots do
   * not cover come with it. Throws ERR_STATE_CHANGED for a base snapshot that cannot be used then. Entities with a damaged one are left out, see `older`.
   */
  takeSnapshots(bytes: Uint8Array): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + view.getUint32(at, true)
      if (!this.#takeSnapshot(bytes.subarray(at + 4, end))) return false
      at = end
    }
    return true
  }

  /** Of the blocks that follow only the rows of one entity are meant, by its id; all again when that is empty. */
  takeOnly(id: Uint8Array): void {
    const { slots } = this.#target
    const index = slots.indexOf(id, hash32(id))
    const slot = index < 0 ? undefined : slots.peekAt(index)
    this.#only = id.length === 0 ? undefined : { slot, shard: slot?.shard }
  }

  /** Throws ERR_LOAD where the log has what this plant cannot fold; ERR_BLOCK_DAMAGED where a check fails and ERR_ROWS_MISSING, unless it is lenient. */
  takeBlock(bytes: Uint8Array): void {
    const replay = new BlockReplay(bytes, this.#target.numbers.types)
    const only = this.#only
    replay.forEachRowOfShards(
      (shard) => {
        if (only !== undefined && only.shard !== shard) return undefined
        const own = this.#shards.get(shard)
        return own !== undefined && (own.loadingCount > 0 || this.#passive.isWatching(shard)) ? own.fold : undefined
      },
      this.isLenient ? TOLD_BY_THE_JOURNAL : undefined,
    )
  }

  /** All is there. Throws ERR_ROWS_MISSING, unless it is lenient. */
  end(): void {
    const { slot } = this
    for (const passive of this.#passive.found()) this.#target.onOpenOutbox(passive)
    // Nothing that was sent for it was taken: it is new.
    if (slot !== undefined && this.entityCount === 0 && this.#loadingCount === 0) {
      slot.state = slot.model.initial()
      slot.outcomes = undefined
      this.#live(slot)
    }
    for (const own of this.#shards.values()) {
      if (own.loadingCount > 0)
        for (const [number, missing] of own.slots.entries()) if (missing !== undefined) this.#endOf(missing, own, number)
    }
  }

  /** Rows of it did not come. */
  #endOf(missing: Slot, own: LoadingShard, number: number): void {
    const headVersion = own.headVersions[number] as number
    this.#miss(missing, headVersion)
    const [term, appendNumber] = this.#headRows.get(missing) ?? [missing.term, missing.appendNumber]
    missing.version = headVersion
    missing.term = term
    missing.appendNumber = appendNumber
    this.#complete(missing, own, number)
  }

  get facts(): LoadFacts {
    const { isWhole, isLenient } = this
    return { snapshot: 'none', isWhole, isLenient, rows: 'complete', journal: 'reads' }
  }

  /** Rows of the entity up to a version did not come: it is fenced, or ERR_ROWS_MISSING thrown for the load to be asked for again. */
  #miss(slot: Slot, version: number): void {
    if (decideLoad({ ...this.facts, rows: 'missing' }) !== 'fence') throw rowsMissing(slot.id, slot.version + 1, version)
    slot.lostVersion = version
  }

  /** What others have taken on, or another load has, is not touched. `slot`: of an entity that has one. */
  #isWanted(slot: Slot | undefined): boolean {
    if (this.slot !== undefined) return slot === this.slot && this.entityCount === 0
    const { counters, liveEntitiesMax } = this.#target
    return (slot === undefined || slot.status === 'passive') && counters.liveEntities + this.#loadingCount < liveEntitiesMax
  }

  #shard(shard: number): LoadingShard {
    const known = this.#shards.get(shard)
    if (known !== undefined) return known
    const slots: (Slot | undefined)[] = []
    const headVersions: number[] = []
    const own: LoadingShard = {
      slots,
      headVersions,
      loadingCount: 0,
      fold: (row) => {
        const slot = slots[row.entityNumber]
        if (slot === undefined && this.#only === undefined) this.#passive.takeRow(shard, row)
        if (slot === undefined || row.version <= slot.version) return
        if (this.#only !== undefined && this.#only.slot !== slot) return
        this.#fold(slot, row)
        if (row.version >= (headVersions[row.entityNumber] as number)) this.#complete(slot, own, row.entityNumber)
      },
    }
    this.#shards.set(shard, own)
    return own
  }

  #takeSnapshot(bytes: Uint8Array): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const version = view.getUint32(0, true)
    const own = this.#shards.get(view.getUint32(12, true))
    const number = view.getUint32(16, true)
    const slot = own?.slots[number]
    if (slot === undefined || own === undefined) {
      this.#passive.takeSnapshot(view.getUint32(12, true), number, bytes.subarray(LOADED_SNAPSHOT_BYTES))
      return true
    }
    // The only ones that come with all rows are bases, whose rows are gone.
    const snapshot = (this.isWhole ? decodeBase : decodeSnapshot)(slot.model, bytes.subarray(LOADED_SNAPSHOT_BYTES))
    // The table costs more than a small snapshot.
    const action = snapshot.kind === 'ok' ? 'go-on' : decideLoad({ ...this.facts, snapshot: snapshot.kind })
    if (action === 'all-rows') return false
    if (action === 'rows-alone') return true
    if (action === 'older-snapshot') return this.#leaveOut(slot, version, own, number)
    if (snapshot.kind !== 'ok') throw baseUnreadable(slot, version, snapshot.reason)
    slot.state = snapshot.state
    slot.outcomes = snapshot.outcomes
    slot.outbox = snapshot.outbox
    slot.latestAt = snapshot.latestAt
    slot.version = version
    slot.term = view.getUint32(4, true)
    slot.appendNumber = view.getUint32(8, true)
    slot.snapshotVersion = version
    this.snapshotCount++
    if (version >= (own.headVersions[number] as number)) this.#complete(slot, own, number)
    return true
  }

  /** It is loaded on its own. */
  #leaveOut(slot: Slot, version: number, own: LoadingShard, number: number): true {
    own.slots[number] = undefined
    this.#count(own, -1)
    slot.forget()
    this.older.push({ slot, version })
    return true
  }

  #complete(slot: Slot, own: LoadingShard, number: number): void {
    own.slots[number] = undefined
    this.#count(own, -1)
    this.#live(slot)
  }

  #count(own: LoadingShard, more: 1 | -1): void {
    own.loadingCount += more
    this.#loadingCount += more
  }

  #live(slot: Slot): void {
    const { counters, onLive } = this.#target
    slot.status = 'live'
    counters.liveEntities++
    counters.activations++
    this.entityCount++
    onLive(slot)
  }

  /** Below 0 for an entity of a type that this plant does not have. */
  #indexOf(id: Uint8Array): number {
    const { slots, plant, counters } = this.#target
    const hash = hash32(id)
    const known = slots.indexOf(id, hash)
    if (known >= 0) return known
    const model = plant.model(utf8.decode(id.subarray(0, id.indexOf(SLASH))))
    if (model === undefined) return -1
    counters.knownEntities++
    return slots.add(id, hash, model)
  }

  #fold(slot: Slot, row: ReplayRow): void {
    if (row.version !== slot.version + 1) this.#miss(slot, row.version - 1)
    if (row.typeNumber !== RECEIPT_TYPE) this.#apply(slot, row)
    slot.version = row.version
    slot.term = row.term
    slot.appendNumber = row.appendNumber
    if (row.at > slot.latestAt) slot.latestAt = row.at
    if (row.outcomeKind !== OUTCOME_NONE && row.source !== '') {
      slot.outcomes ??= createOutcomes()
      slot.outcomes.record(row.source, row.sequence, row.outcomeKind, row.outcome, row.version)
    }
    this.eventCount++
  }

  #apply(slot: Slot, row: ReplayRow): void {
    const { numbers } = this.#target
    if (numbers.isFenced(row.typeNumber)) slot.lostVersion = row.version
    if (slot.lostVersion > 0) return
    const stored = numbers.stored(row.typeNumber)
    const event = stored === undefined ? numbers.outboxEvent(row.typeNumber) : undefined
    if (event !== undefined) {
      const data = row.data()
      if (isFresh(event, data)) slot.state = slot.model.initial()
      return (slot.outbox ??= new Outbox()).take({ event, data }, row.at, row.correlation)
    }
    // Of code that was tried and given up: all others are refused when the plant starts.
    if (stored === undefined) return this.#failFold(slot, row.version, 'this plant does not know the event')
    assert(stored.model === slot.model, 'an event is of the type of its entity')
    try {
      applyStored(stored, slot.state, row.data())
    } catch (cause) {
      this.#failFold(slot, row.version, messageOf(cause))
    }
  }

  /** Its state would be one that it never had. Throws ERR_APPLY_FAILED when it is so with too many. */
  #failFold(slot: Slot, version: number, failure: string): void {
    const error = notFolded(slot.id, version, failure)
    if (this.foldFailures.length === FOLD_FAILURES_MAX) throw error
    this.foldFailures.push(error.message)
    slot.lostVersion = version
    slot.foldFailure = failure
  }
}

function rowsMissing(entity: string, from: number, to: number): MillraceError {
  return new MillraceError('ERR_ROWS_MISSING', {
    fact: 'rows of an entity are missing in the log',
    action: 'operator',
    values: { entity, versions: `${from}..${to}` },
    next: 'run millrace log verify on the data directory',
  })
}

function baseUnreadable({ id, model }: Slot, version: number, reason: string): MillraceError {
  return new MillraceError('ERR_STATE_CHANGED', {
    fact: `the rows of an entity up to its base snapshot are gone, and the snapshot does not fit, ${reason}`,
    action: 'operator',
    values: { type: model.name, entity: id, version },
    next: 'declare upcastState on the entity type, which makes the new state of the old one',
  })
}
