import { messageOf } from '#base/errors.js'
import { crc32 } from '#base/hash.js'
import type { EntityId } from '#base/ids.js'
import type { ChangedWorld } from '#entity/changed-world.js'
import {
  applyStored,
  decodeBase,
  decodeCanonical,
  decodeSnapshot,
  encodeCanonical,
  type EntityModel,
  isFresh,
  type PlantModel,
  type StoredEvent,
  StoredEvents,
} from '#entity/index.js'
import { copyState, reverseProperties } from '#entity/state-copy.js'
import { chainDigests, digestState, takeDigestCost } from '#entity/state-digest.js'
import { RECEIPT_TYPE } from '#journal/append-frame.js'
import { BlockReplay, type EventType, FENCED_EVENT, type ReplayRow } from '#journal/index.js'
import { isBuiltIn } from '#schema/index.js'
import type { KeptState } from './snapshot-service.js'

/**
 * What a copy of the state, which an event is applied to as well, must come to the same as: one like the state; one with its properties (and the event's) made in
 * the opposite order; one as it comes back from a snapshot; one with properties in the opposite order that shares nothing, which is both.
 */
export type CopyKind = 'repetition' | 'property order' | 'snapshot' | 'order and snapshot'

/** What went wrong in the fold itself, and where. The fold of the entity goes on only where it is about a snapshot. */
export interface FoldFault {
  readonly kind: 'throws' | 'not-plain' | 'unreadable' | 'rows-missing' | 'snapshot' | 'snapshot-damaged'
  readonly entity: EntityId
  readonly version: number
  /** Of the row that was folded; the greatest there is where none was. */
  readonly position: number
  /** Undefined for what is not about an event. */
  readonly event: string | undefined
  readonly message: string
}

export interface FoldCounts {
  events: number
  entities: number
  /** Rows of types that the plant does not have. */
  passedOver: number
  /** Entities whose fold ends at a row that repair gave up. */
  fenced: number
  /** Compared with the replayed state; and made under other events or another stateVersion, so that no replay uses them. */
  snapshots: number
  snapshotsPassedOver: number
}

export interface CheckFoldOptions {
  readonly plant: PlantModel
  readonly types: readonly EventType[]
  readonly world: ChangedWorld
  readonly copies: readonly CopyKind[]
  /** Look at the state after every event, however large it is, and keep what it was after those of the latest block. For one entity. */
  readonly isThorough: boolean
  readonly wants: (entity: EntityId) => boolean
  /** All shards when left out. */
  readonly shards?: ReadonlySet<number> | undefined
  /** The first position beyond. */
  readonly to: number
  /** Compare the snapshots of the log with what the events come to. */
  readonly isComparing: boolean
}

/** What a copy came to, where that was something else: the canonical encoding, or what was thrown. */
export interface CopyDifference {
  readonly copy: CopyKind
  readonly version: number
  readonly got: Uint8Array | string
}

interface Slot {
  readonly id: EntityId
  readonly model: EntityModel
  state: unknown
  version: number
  /** Of all states that were looked at, and of the latest of them. */
  digest: number
  latest: number
  /** Events since the last look, and after how many the next one is due. */
  unlooked: number
  lookEvery: number
  isStopped: boolean
  isCounted: boolean
  base: { readonly version: number; readonly bytes: Uint8Array } | undefined
  readonly kept: { readonly version: number; readonly crc: number; readonly byteCount: number }[]
}

/** A state of at most so many values is looked at after each event; larger ones so much more rarely that the cost stays the same. */
const COST_PER_LOOK = 256
/** Of the states of one block, which the thorough fold keeps. */
const TRAIL_BYTES_MAX = 64 << 20
/** Of one block, and how much of what each says: they travel together. */
const FAULTS_MAX = 1000
const MESSAGE_CHARACTERS_MAX = 500
const NOT_WANTED = 'not wanted'
const UNKNOWN_TYPE = 'unknown type'

/**
 * Folds the blocks of a log in a world of its own and answers a digest for each row, so that two folds can be compared without sending states around. Both go
 * through the same blocks in the same order. Never calls `decide`. The world is on while user code runs.
 */
export class CheckFold {
  readonly counts: FoldCounts = { events: 0, entities: 0, passedOver: 0, fenced: 0, snapshots: 0, snapshotsPassedOver: 0 }
  readonly copyDifferences: CopyDifference[] = []
  readonly #options: CheckFoldOptions
  readonly #events: StoredEvents
  /** By type number, for copies whose events have their properties in the opposite order. */
  readonly #reversed: (StoredEvent | undefined)[] = []
  readonly #names: EntityId[][] = []
  readonly #slots: (Slot | typeof NOT_WANTED | typeof UNKNOWN_TYPE)[][] = []
  /** By version. */
  readonly #trail = new Map<number, Uint8Array>()
  #trailBytes = 0
  #faults: FoldFault[] = []
  /** The one at hand. */
  #row: ReplayRow | undefined

  constructor(options: CheckFoldOptions) {
    this.#options = options
    this.#events = new StoredEvents(options.plant.models, options.types)
  }

  /** The names of entities of a shard by number, from `first` on. */
  learn(shard: number, first: number, names: readonly EntityId[]): void {
    const known = (this.#names[shard] ??= [])
    for (const [index, name] of names.entries()) known[first + index] = name
  }

  /** Snapshots to begin with, and to compare with. Before the first block. Answers those that cannot be read. */
  keep(states: readonly KeptState[]): FoldFault[] {
    this.#faults = []
    for (const { shard, number, entity, version, isBase, bytes } of states) {
      this.learn(shard, number, [entity])
      const slot = this.#slot(shard, number)
      if (typeof slot === 'string') continue
      if (isBase) slot.base = { version, bytes }
      if (!this.#options.isComparing) continue
      const decoded = decodeSnapshot(slot.model, bytes)
      if (decoded.kind === 'ok') {
        const encoded = encodeCanonical(decoded.state)
        slot.kept.push({ version, crc: crc32(encoded), byteCount: encoded.length })
      } else if (decoded.kind === 'mismatch') this.counts.snapshotsPassedOver++
      else this.#fault('snapshot-damaged', slot, version, undefined, `a snapshot cannot be read, ${decoded.reason}`)
    }
    return this.#faults
  }

  /** The canonical encoding of a first state. */
  initial(type: string): Uint8Array | undefined {
    const { plant, world } = this.#options
    const model = plant.model(type)
    if (model === undefined) return undefined
    world.restart()
    return world.during(() => encodeCanonical(model.initial()))
  }

  /** Per row of the wanted shards, as `walkRows` counts them, the digest of its entity after it; 0 where nothing was looked at. */
  block(bytes: Uint8Array, segment: string): { readonly digests: Uint32Array; readonly faults: readonly FoldFault[] } {
    const { world, types, shards, to } = this.#options
    const replay = new BlockReplay(bytes, types, segment)
    const digests = new Uint32Array(replay.header.rowCount)
    const isCut = replay.header.endPosition > to
    this.#faults = []
    this.#trail.clear()
    this.#trailBytes = 0
    world.during(() => {
      walkRows(replay, shards, (row, index) => {
        if (isCut && row.position >= to) return
        this.#row = row
        digests[index] = this.#take(row)
      })
    })
    this.#row = undefined
    return { digests, faults: this.#faults }
  }

  /** Looks at what has not been looked at since its last event: entity, version and digest of each. */
  finish(): {
    readonly late: readonly (readonly [entity: EntityId, version: number, digest: number])[]
    readonly faults: readonly FoldFault[]
  } {
    this.#faults = []
    const late: [EntityId, number, number][] = []
    this.#options.world.during(() => {
      for (const slots of this.#slots) {
        for (const slot of slots ?? []) {
          if (typeof slot !== 'object' || slot.isStopped || slot.unlooked === 0) continue
          late.push([slot.id, slot.version, this.#look(slot, undefined) ? slot.digest : 0])
        }
      }
    })
    return { late, faults: this.#faults }
  }

  /** The canonical encoding of the one entity's state after a row of the latest block, where it was kept. */
  stateAt(version: number): Uint8Array | undefined {
    return this.#trail.get(version)
  }

  #take(row: ReplayRow): number {
    const slot = this.#slot(row.shard, row.entityNumber)
    if (typeof slot === 'string') {
      if (slot === UNKNOWN_TYPE) this.counts.passedOver++
      return 0
    }
    if (slot.isStopped || row.version <= slot.version) return 0
    if (row.version !== slot.version + 1 && !this.#begin(slot, row.version)) return 0
    if (row.version <= slot.version) return 0
    slot.version = row.version
    slot.base = undefined
    const isLooked = row.typeNumber !== RECEIPT_TYPE && this.#apply(slot, row)
    if (slot.isStopped) return 0
    if (this.#options.isThorough) this.#keepTrail(slot)
    this.#compareKept(slot)
    return isLooked ? slot.digest || 1 : 0
  }

  /** Whether the state behind the event was looked at. */
  #apply(slot: Slot, row: ReplayRow): boolean {
    const { types, world, copies } = this.#options
    const event = types[row.typeNumber - 1]?.event
    const stored = this.#events.of(row.typeNumber)
    if (event === FENCED_EVENT) {
      slot.isStopped = true
      this.counts.fenced++
      return false
    }
    // What entities told is not what their state comes from.
    if (stored === undefined && event !== undefined && isBuiltIn(event)) {
      if (isFresh(event, row.data())) slot.state = slot.model.initial()
      return false
    }
    if (stored === undefined || stored.model !== slot.model) {
      return this.#stop('unreadable', slot, event, 'the plant cannot read this event')
    }
    const isDue = ++slot.unlooked >= slot.lookEvery
    let copied: readonly unknown[] = []
    try {
      if (isDue && copies.length > 0) copied = copies.map((kind) => copyOf(kind, slot.state))
      world.restart()
      applyStored(stored, slot.state, row.data())
    } catch (error) {
      return this.#stop('throws', slot, event, messageOf(error))
    }
    this.counts.events++
    if (!slot.isCounted) {
      slot.isCounted = true
      this.counts.entities++
    }
    if (!isDue || !this.#look(slot, event)) return false
    for (const [index, kind] of copies.entries()) this.#compareCopy(slot, kind, copied[index], stored, row)
    return true
  }

  /** False when it is no plain data. */
  #look(slot: Slot, event: string | undefined): boolean {
    takeDigestCost()
    try {
      slot.digest = chainDigests(slot.digest, (slot.latest = digestOf(slot.state)))
    } catch (error) {
      return this.#stop('not-plain', slot, event, messageOf(error))
    }
    const cost = takeDigestCost()
    slot.unlooked = 0
    slot.lookEvery = this.#options.isThorough ? 1 : 1 + Math.floor(cost / COST_PER_LOOK)
    return true
  }

  /** Applies the event to the copy, too. Where that comes to something else, so does the digest. */
  #compareCopy(slot: Slot, kind: CopyKind, copy: unknown, stored: StoredEvent, row: ReplayRow): void {
    let got: Uint8Array | string
    this.#options.world.restart()
    try {
      if (isReversing(kind)) applyStored(this.#reversedEvent(row.typeNumber, stored), copy, reverseProperties(row.data(), false))
      else applyStored(stored, copy, row.data())
      if (digestOf(copy) === slot.latest) return
      got = encodeCanonical(copy)
    } catch (error) {
      got = `it threw: ${messageOf(error)}`
    }
    const { copyDifferences } = this
    // A thorough fold tells what each copy came to, and what the state itself came to apart from that.
    if (!this.#options.isThorough) slot.digest = chainDigests(slot.digest, crc32(typeof got === 'string' ? Buffer.from(got) : got))
    if (!copyDifferences.some((one) => one.copy === kind)) copyDifferences.push({ copy: kind, version: slot.version, got })
  }

  #reversedEvent(typeNumber: number, stored: StoredEvent): StoredEvent {
    const { upcast } = stored
    return (this.#reversed[typeNumber] ??= {
      ...stored,
      upcast: upcast === undefined ? undefined : (data) => reverseProperties(upcast(data)),
    })
  }

  #compareKept(slot: Slot): void {
    const kept = slot.kept.find(({ version }) => version === slot.version)
    if (kept === undefined) return
    this.counts.snapshots++
    try {
      const bytes = encodeCanonical(slot.state)
      if (bytes.length === kept.byteCount && crc32(bytes) === kept.crc) return
    } catch {
      // The next look names it.
      return
    }
    this.#fault('snapshot', slot, slot.version, undefined, 'a snapshot holds another state than its events come to')
  }

  /** Where rows are missing: from the base snapshot that stands for them. */
  #begin(slot: Slot, version: number): boolean {
    const { base } = slot
    if (base === undefined || base.version < version - 1) {
      const known = Math.max(slot.version, base?.version ?? 0)
      this.#stop('rows-missing', slot, undefined, `rows ${known + 1} to ${version - 1} are not there`)
      return false
    }
    const decoded = decodeBase(slot.model, base.bytes)
    if (decoded.kind !== 'ok') {
      this.#stop('unreadable', slot, undefined, `the rows up to its base snapshot are gone, and that does not fit, ${decoded.reason}`)
      return false
    }
    slot.state = decoded.state
    slot.version = base.version
    return true
  }

  #slot(shard: number, number: number): Slot | typeof NOT_WANTED | typeof UNKNOWN_TYPE {
    const slots = (this.#slots[shard] ??= [])
    return (slots[number] ??= this.#newSlot(this.#names[shard]?.[number]))
  }

  #newSlot(id: EntityId | undefined): Slot | typeof NOT_WANTED | typeof UNKNOWN_TYPE {
    if (id === undefined || !this.#options.wants(id)) return NOT_WANTED
    const model = this.#options.plant.model(id.slice(0, id.indexOf('/')))
    if (model === undefined) return UNKNOWN_TYPE
    const { world } = this.#options
    world.restart()
    const state = world.during(() => model.initial())
    const digest = digestOf(state)
    return {
      id,
      model,
      state,
      version: 0,
      digest,
      latest: digest,
      unlooked: 0,
      lookEvery: 1,
      isStopped: false,
      isCounted: false,
      base: undefined,
      kept: [],
    }
  }

  #keepTrail({ version, state }: Slot): void {
    const bytes = encodeCanonical(state)
    this.#trailBytes += bytes.length
    if (this.#trailBytes <= TRAIL_BYTES_MAX) this.#trail.set(version, bytes)
  }

  #stop(kind: FoldFault['kind'], slot: Slot, event: string | undefined, message: string): false {
    slot.isStopped = true
    slot.state = undefined
    this.#fault(kind, slot, slot.version, event, message)
    return false
  }

  #fault(kind: FoldFault['kind'], slot: Slot, version: number, event: string | undefined, message: string): void {
    if (this.#faults.length >= FAULTS_MAX) return
    const position = this.#row?.position ?? Number.MAX_SAFE_INTEGER
    this.#faults.push({ kind, entity: slot.id, version, position, event, message: message.slice(0, MESSAGE_CHARACTERS_MAX) })
  }
}

/** The rows of a block, shard by shard, each with how many came before it. */
export function walkRows(
  replay: BlockReplay,
  shards: ReadonlySet<number> | undefined,
  each: (row: ReplayRow, index: number) => void,
): void {
  let last = -1
  let index = 0
  for (const { shard } of replay.header.shards) {
    if (shard === last || shards?.has(shard) === false) continue
    last = shard
    replay.forEachRow(shard, (row) => each(row, index++))
  }
}

/** Throws ERR_STATE_NOT_PLAIN. */
function digestOf(state: unknown): number {
  return digestState(state) ?? crc32(encodeCanonical(state))
}

function isReversing(kind: CopyKind): boolean {
  return kind === 'property order' || kind === 'order and snapshot'
}

function copyOf(kind: CopyKind, state: unknown): unknown {
  switch (kind) {
    case 'repetition':
      return copyState(state)
    case 'property order':
      return reverseProperties(state)
    case 'snapshot':
      return decodeCanonical(encodeCanonical(state))
    case 'order and snapshot':
      return reverseProperties(state, false)
  }
}
