import { MillraceError, messageOf } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import { applyStored, createOutcomes, decodeBase, decodeSnapshot, type PlantModel } from '#entity/index.js'
import { OUTCOME_NONE, RECEIPT_TYPE } from '#journal/append-frame.js'
import { BlockReplay, type ReplayRow } from '#journal/block-replay.js'
import { type LoadHeads, SNAPSHOT_HEADER_BYTES } from '#serving/serving-frames.js'
import type { EventNumbers } from './event-numbers.js'
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
}

const utf8 = new TextEncoder()

/** One load under way, of whole shards or of one passive entity: folds heads, then snapshots, then rows, as the journal streams them. */
export class Load {
  readonly shards: readonly number[]
  readonly slot: Slot | undefined
  readonly #target: LoadTarget
  /** Per shard the slots by their number there, as blocks name them. */
  readonly #byNumber = new Map<number, (Slot | undefined)[]>()
  /** What the log says of each entity that is being made live. */
  readonly #headVersions = new Map<Slot, number>()
  /** Everything is folded from the first row on. */
  isWhole = false
  /** Of the request, -1 before it is sent. */
  number = -1
  /** Position of the appends channel behind the request: the journal has taken it when released up to there. */
  position = 0
  requestedMs = 0
  beganMs = 0
  snapshotsMs = 0
  snapshotCount = 0
  eventCount = 0

  constructor(target: LoadTarget, what: { readonly shards: readonly number[] } | { readonly slot: Slot }) {
    this.#target = target
    this.shards = 'shards' in what ? what.shards : []
    this.slot = 'slot' in what ? what.slot : undefined
  }

  /** Slots that are being made live, or were. */
  get taken(): Iterable<Slot> {
    return this.#headVersions.keys()
  }

  get takenCount(): number {
    return this.#headVersions.size
  }

  /** Asked for, perhaps once more: everything comes from the beginning. */
  restart(number: number, position: number, nowMs: number): void {
    this.number = number
    this.position = position
    this.requestedMs = nowMs
    this.beganMs = nowMs
    this.snapshotsMs = nowMs
    this.snapshotCount = 0
    this.eventCount = 0
    for (const slot of this.#headVersions.keys()) if (slot !== this.slot) slot.forget()
    this.#byNumber.clear()
    this.#headVersions.clear()
  }

  takeHeads({ shard, heads }: LoadHeads): void {
    const { counters, liveEntitiesMax } = this.#target
    let byNumber = this.#byNumber.get(shard)
    if (byNumber === undefined) this.#byNumber.set(shard, (byNumber = []))
    for (const [id, number, version, term, appendNumber] of heads) {
      const slot = this.#slotOf(id, shard)
      if (slot === undefined) continue
      if (this.slot === undefined && counters.liveEntities + this.#headVersions.size >= liveEntitiesMax) continue
      byNumber[number] = slot
      slot.state = slot.model.initial()
      slot.outcomes = createOutcomes()
      slot.version = 0
      slot.latestAt = 0
      slot.snapshotVersion = 0
      slot.snapshotTriedVersion = 0
      slot.lostVersion = 0
      slot.term = term
      slot.appendNumber = appendNumber
      this.#headVersions.set(slot, version)
    }
  }

  /**
   * False for a snapshot that cannot be used, made under other events or damaged: then the load is to be asked for again with `isWhole`, since
   * only rows that the snapshots do not cover come with it. Throws ERR_STATE_CHANGED for a base snapshot that cannot be used then.
   */
  takeSnapshot(bytes: Uint8Array): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const version = view.getUint32(0, true)
    const idEnd = SNAPSHOT_HEADER_BYTES + view.getUint32(12, true)
    const id = bytes.subarray(SNAPSHOT_HEADER_BYTES, idEnd)
    const slot = this.#target.slots.find(hash32(id), new DataView(id.buffer, id.byteOffset, id.length), 0, id.length)
    if (slot === undefined || !this.#headVersions.has(slot)) return true
    // The only ones that come with all rows are bases, whose rows are gone.
    const snapshot = (this.isWhole ? decodeBase : decodeSnapshot)(slot.model, bytes.subarray(idEnd))
    if (snapshot.kind !== 'ok') {
      if (this.isWhole) throw baseUnreadable(slot, version, snapshot.reason)
      return false
    }
    slot.state = snapshot.state
    slot.outcomes = snapshot.outcomes
    slot.latestAt = snapshot.latestAt
    slot.version = version
    slot.term = view.getUint32(4, true)
    slot.appendNumber = view.getUint32(8, true)
    slot.snapshotVersion = version
    this.snapshotCount++
    return true
  }

  /** Throws ERR_LOAD where the log has what this plant cannot fold, ERR_BLOCK_DAMAGED where a check fails. */
  takeBlock(bytes: Uint8Array): void {
    const replay = new BlockReplay(bytes, this.#target.numbers.types)
    for (const [shard, byNumber] of this.#byNumber) {
      replay.forEachRow(shard, (row) => {
        const slot = byNumber[row.entityNumber]
        if (slot !== undefined && row.version > slot.version) this.#fold(slot, row)
      })
    }
  }

  /** All is there: makes the slots live. Throws ERR_LOAD when rows are missing. */
  end(): void {
    const { counters } = this.#target
    // Nothing that was sent for it was taken: it is new.
    if (this.slot !== undefined && this.#headVersions.size === 0) {
      this.slot.state = this.slot.model.initial()
      this.slot.outcomes = createOutcomes()
      this.#headVersions.set(this.slot, 0)
    }
    for (const [slot, headVersion] of this.#headVersions) {
      // Rows that became durable after the heads were read are welcome.
      if (slot.version >= headVersion) continue
      const versions = `${slot.version + 1}..${headVersion}`
      throw loadError('rows of an entity are missing at the end of the log', { entity: slot.id, versions })
    }
    for (const slot of this.#headVersions.keys()) {
      slot.status = 'live'
      counters.liveEntities++
      counters.activations++
    }
  }

  /** Undefined for an entity of a type that this plant does not have. */
  #slotOf(id: string, shard: number): Slot | undefined {
    const { slots, plant, counters } = this.#target
    const idBytes = utf8.encode(id)
    const hash = hash32(idBytes)
    const known = slots.find(hash, new DataView(idBytes.buffer, idBytes.byteOffset, idBytes.length), 0, idBytes.length)
    if (known !== undefined) return known
    const model = plant.model(id.slice(0, id.indexOf('/')))
    if (model === undefined) return undefined
    counters.knownEntities++
    return slots.add(id, idBytes, hash, shard, model)
  }

  #fold(slot: Slot, row: ReplayRow): void {
    if (row.version !== slot.version + 1) {
      const versions = `${slot.version + 1}..${row.version - 1}`
      throw loadError('rows of an entity are missing in the log', { entity: slot.id, versions })
    }
    if (row.typeNumber !== RECEIPT_TYPE) this.#apply(slot, row)
    slot.version = row.version
    slot.term = row.term
    slot.appendNumber = row.appendNumber
    if (row.at > slot.latestAt) slot.latestAt = row.at
    if (row.outcomeKind !== OUTCOME_NONE && row.source !== '') {
      slot.outcomes?.record(row.source, row.sequence, row.outcomeKind, row.outcome, row.version)
    }
    this.eventCount++
  }

  #apply(slot: Slot, row: ReplayRow): void {
    const { numbers } = this.#target
    if (numbers.isFenced(row.typeNumber)) slot.lostVersion = row.version
    if (slot.lostVersion > 0) return
    const stored = numbers.stored(row.typeNumber)
    const values = { entity: slot.id, version: row.version }
    if (stored === undefined || stored.model !== slot.model) throw loadError('the log has an event that this plant does not know', values)
    try {
      applyStored(stored, slot.state, row.data())
    } catch (cause) {
      throw loadError(`a stored event could not be applied, ${messageOf(cause)}`, values, cause)
    }
  }
}

function baseUnreadable({ id, model }: Slot, version: number, reason: string): MillraceError {
  return new MillraceError('ERR_STATE_CHANGED', {
    fact: `the rows of an entity up to its base snapshot are gone, and the snapshot does not fit, ${reason}`,
    action: 'operator',
    values: { type: model.name, entity: id, version },
    next: 'declare upcastState on the entity type, which makes the new state of the old one',
  })
}

/** Why a worker cannot have the state that it needs: only a person can mend that. */
export function loadError(fact: string, values: Readonly<Record<string, unknown>>, cause?: unknown): MillraceError {
  return new MillraceError('ERR_LOAD', {
    fact,
    action: 'operator',
    values,
    next: 'run millrace log verify on the data directory',
    cause,
  })
}
