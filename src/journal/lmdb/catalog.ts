import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { crc32 } from '#base/hash.js'
import type { EntityId } from '#base/ids.js'
import { pack, unpack } from '#base/pack.js'
import { ByteReader, ByteWriter, Damage } from '#journal/bytes.js'
import type { EntityTable } from '#journal/entity-table.js'
import type { FrozenRecord } from '#journal/frozen-log.js'
import { type EventType, type Finding, type ShardSnapshot, SNAPSHOTS_KEPT, type Snapshot } from '#journal/journal.js'
import { type Database, diskFailed, type Key, readValue } from './environment.js'

/**
 * The second environment: what is small and overwritten. Keys begin with a kind; every value begins with the CRC-32 of its key and of the
 * rest, since LMDB checks nothing.
 *
 *   1 u16 number                                      event type: msgpack of EventType
 *   2 u16 shard, entity in UTF-8, 0, u32 version      snapshot: u32 term, u32 append number, u64 position, bytes
 *   3 name in UTF-8                                   checkpoint: bytes
 *   4 u16 shard                                       heads of a shard (heads-checkpoint.ts)
 *   5                                                 marks of all writer slots
 *   6 u64 number                                      manifest: an entry (segments/manifest.ts), by number from 0
 *   7                                                 timers: kept
 *   8 u16 shard, entity in UTF-8                      base snapshot: u32 version, then as a snapshot
 *   9 u16 shard                                       base heads of a shard, as 4, as of when rows were dropped last
 *   10                                                base marks, as 5
 *
 * Numbers in keys are big-endian, so that they sort.
 */
export const KIND_EVENT_TYPE = 1
export const KIND_SNAPSHOT = 2
export const KIND_CHECKPOINT = 3
export const KIND_HEADS = 4
export const KIND_MARKS = 5
export const KIND_BASE_HEADS = 9
export const KIND_BASE_MARKS = 10
const KIND_MANIFEST = 6
export const KIND_BASE = 8

/** The highest kind in use. */
const KIND_LAST = 10
/** Keys looked up at once. */
const KEYS_PER_STEP = 512

const CHECKPOINT_NAME_BYTES_MAX = 1024
const VERSION_MAX = 0xffffffff
/** Pages that LMDB copies for a small change. */
const ROOM_BYTES_MIN = 256 * 1024

export class Catalog {
  readonly #database: Database
  readonly #file: string
  readonly #freeBytes: () => number

  /** `freeBytes`: what the disk has room for. */
  constructor(database: Database, file: string, freeBytes: () => number = () => Infinity) {
    this.#database = database
    this.#file = file
    this.#freeBytes = freeBytes
  }

  eventTypes(): EventType[] {
    const types: EventType[] = []
    for (const key of this.#keys(KIND_EVENT_TYPE)) types.push(unpack<EventType>(this.#need(key, 'an event type')))
    return types
  }

  async saveEventTypes(types: readonly EventType[]): Promise<void> {
    await this.#write(types.map((type) => [u16Key(KIND_EVENT_TYPE, type.number), pack(type)]))
  }

  /** The value under a key of one of the single kinds, or undefined when there is none. Throws Damage. */
  get(key: Key): Uint8Array | undefined {
    const stored = readValue(this.#database, key)
    return stored === undefined ? undefined : check(key, stored)
  }

  /** Stores all pairs and resolves when they are durable. */
  async put(pairs: readonly (readonly [Key, Uint8Array])[]): Promise<void> {
    await this.#write(pairs)
  }

  /** The manifest as it is stored, in order. Throws ERR_CATALOG_DAMAGED. */
  manifest(): Uint8Array[] {
    return this.#keys(KIND_MANIFEST).map((key) => this.#need(key, 'an entry of the manifest'))
  }

  async saveManifestEntry(number: number, stored: Uint8Array): Promise<void> {
    // Small, and what frees room on a full disk.
    await this.#writeAnyway([[u64Key(KIND_MANIFEST, number), stored]])
  }

  checkpoint(name: string): Uint8Array | undefined {
    const key = checkpointKey(name)
    return readValue(this.#database, key) === undefined ? undefined : this.#need(key, 'a checkpoint')
  }

  async saveCheckpoint(name: string, value: Uint8Array): Promise<void> {
    await this.#write([[checkpointKey(name), value]])
  }

  checkpointNames(prefix: string): string[] {
    const keys = this.#keys(KIND_CHECKPOINT, Buffer.concat([Uint8Array.of(KIND_CHECKPOINT), Buffer.from(prefix, 'utf8')]))
    return keys.map((key) => Buffer.from(key.subarray(1)).toString('utf8'))
  }

  async removeCheckpoint(name: string): Promise<void> {
    await this.#write([], [checkpointKey(name)])
  }

  async saveSnapshots(snapshots: readonly { readonly shard: number; readonly snapshot: Snapshot }[]): Promise<void> {
    const pairs: [Key, Uint8Array][] = []
    const drop: Key[] = []
    for (const { shard, snapshot } of snapshots) {
      const key = snapshotKey(shard, snapshot.entity, snapshot.version)
      const older = [...this.#snapshotKeys(shard, snapshot.entity, VERSION_MAX)].filter((one) => Buffer.compare(one, key) !== 0)
      const kept = [key, ...older].sort((a, b) => Buffer.compare(b, a))
      drop.push(...kept.slice(SNAPSHOTS_KEPT))
      pairs.push([key, writeSnapshot(new ByteWriter(snapshot.bytes.length + SNAPSHOT_FIXED_BYTES), snapshot)])
    }
    await this.#write(pairs, drop)
  }

  /** The newest readable snapshot of an entity up to a version; its base when there is no other. */
  snapshot(shard: number, entity: EntityId, versionMax: number): Snapshot | undefined {
    for (const key of this.#snapshotKeys(shard, entity, Math.min(versionMax, VERSION_MAX))) {
      const found = this.#snapshotAt(key)
      if (found !== undefined) return found
    }
    const base = this.base(shard, entity)
    return base !== undefined && base.version <= versionMax ? base : undefined
  }

  /** As `snapshot`, for each entity of a shard that has some, up to its newest durable row. Keys are looked up once for all of them. */
  *snapshots(shard: number, entities: EntityTable): Generator<ShardSnapshot> {
    const based = new Set(this.#keys(KIND_BASE, u16Key(KIND_BASE, shard)).map((key) => entities.findBytes(key.subarray(ID_AT))))
    const keys = this.#keys(KIND_SNAPSHOT, u16Key(KIND_SNAPSHOT, shard))
    for (let start = 0, end = 0; start < keys.length; start = end) {
      for (end = start + 1; end < keys.length && isOfSameEntity(keys[end] as Key, keys[start] as Key); ) end++
      const index = entities.findBytes(idOf(keys[start] as Key))
      based.delete(index)
      const headVersion = index < 0 ? 0 : entities.version(index)
      const newest = keys.slice(start, end).findLast((key) => versionOf(key) <= headVersion)
      const found = newest === undefined ? undefined : this.#partsAt(newest)
      if (found === undefined || newest === undefined) yield* this.#snapshotOf(shard, index, entities)
      else yield { number: entities.numberOf(index), headVersion, version: versionOf(newest), ...found }
    }
    for (const index of based) yield* this.#snapshotOf(shard, index, entities)
  }

  *#snapshotOf(shard: number, index: number, entities: EntityTable): Generator<ShardSnapshot> {
    const headVersion = index < 0 ? 0 : entities.version(index)
    if (headVersion === 0) return
    const found = this.snapshot(shard, entities.name(index), headVersion)
    if (found !== undefined) yield { ...found, number: entities.numberOf(index), headVersion }
  }

  async saveBases(bases: readonly { readonly shard: number; readonly snapshot: Snapshot }[]): Promise<void> {
    await this.#write(
      bases.map(({ shard, snapshot }) => {
        const value = new ByteWriter(BASE_VERSION_BYTES + SNAPSHOT_FIXED_BYTES + snapshot.bytes.length)
        value.u32(snapshot.version)
        return [baseKey(shard, snapshot.entity), writeSnapshot(value, snapshot)]
      }),
    )
  }

  /** Throws ERR_CATALOG_DAMAGED: what it stands for is nowhere else. */
  base(shard: number, entity: EntityId): Snapshot | undefined {
    const key = baseKey(shard, entity)
    if (readValue(this.#database, key) === undefined) return undefined
    const stored = this.#need(key, `the base snapshot of ${entity}`)
    return { entity, version: new ByteReader(stored).u32(), ...readSnapshot(stored.subarray(BASE_VERSION_BYTES)) }
  }

  /** What is read from now on is at least as new as what is stored now. */
  refresh(): void {
    this.#database.resetReadTxn()
  }

  /** All kinds that a catalog may have. */
  kinds(): readonly number[] {
    return Array.from({ length: KIND_LAST }, (_, index) => index + 1)
  }

  /** The records of a kind as they are stored, in order; what is damaged and can be had again from the log is left out. Keys are looked up some at a time: others may come in between. */
  *records(kind: number): Generator<FrozenRecord> {
    const end = Uint8Array.of(kind + 1)
    let start: Key = Uint8Array.of(kind)
    for (;;) {
      const keys = [...this.#database.getKeys({ start, end, limit: KEYS_PER_STEP })].map((key) => new Uint8Array(key))
      for (const key of keys) {
        const value = readValue(this.#database, key)
        if (value === undefined) continue
        if (isIntact(key, value)) yield { key, value }
        else if (!isSpare(kind)) yield { key, value, damage: `${KIND_NAMES[kind] ?? `a value of kind ${kind}`} in the catalog is damaged` }
      }
      const last = keys.at(-1)
      if (last === undefined || keys.length < KEYS_PER_STEP) return
      start = Buffer.concat([last, Uint8Array.of(0)])
    }
  }

  /** Stores records as they were read by `records`. Resolves when they are durable. */
  async putRecords(records: readonly FrozenRecord[]): Promise<void> {
    try {
      await Promise.all(records.map(({ key, value }) => this.#database.put(key, Buffer.from(value))))
    } catch (error) {
      throw diskFailed(error, this.#file)
    }
  }

  /** Whether a value is there and is the one that was written. */
  isIntact(key: Key): boolean {
    const stored = readValue(this.#database, key)
    return stored !== undefined && isIntact(key, stored)
  }

  /** Reads every value and says which do not match their checksums. */
  *findings(): Generator<Finding> {
    for (const key of this.#database.getKeys({ start: Uint8Array.of(0) })) {
      const stored = readValue(this.#database, key)
      if (stored !== undefined && isIntact(key, stored)) continue
      const kind = key[0] as number
      const entities = kind === KIND_BASE ? [baseEntityOf(key)] : []
      const spare = isSpare(kind)
      const what = `${KIND_NAMES[kind] ?? `a value of kind ${kind}`} is damaged${spare ? ', and can be had again from the log' : ''}`
      yield { severity: spare ? 'note' : 'damaged', segment: 'catalog', block: undefined, what, entities }
    }
  }

  *#snapshotKeys(shard: number, entity: EntityId, versionMax: number): Generator<Key> {
    const lowest = snapshotKey(shard, entity, 0)
    const keys = [...this.#database.getKeys({ start: snapshotKey(shard, entity, versionMax), end: lowest, reverse: true })]
    yield* keys.map((key) => new Uint8Array(key))
  }

  #snapshotAt(key: Key): Snapshot | undefined {
    const parts = this.#partsAt(key)
    return parts === undefined ? undefined : { entity: entityOf(key), version: versionOf(key), ...parts }
  }

  /** Undefined where it is gone or damaged. */
  #partsAt(key: Key): SnapshotParts | undefined {
    try {
      const bytes = this.get(key)
      return bytes === undefined ? undefined : readSnapshot(bytes)
    } catch (error) {
      if (error instanceof Damage) return undefined
      throw error
    }
  }

  #keys(kind: number, prefix: Key = Uint8Array.of(kind)): Key[] {
    const end = new Uint8Array(prefix)
    let last = end.length - 1
    while (end[last] === 0xff) last--
    end[last] = (end[last] as number) + 1
    return [...this.#database.getKeys({ start: prefix, end: end.subarray(0, last + 1) })].map((key) => new Uint8Array(key))
  }

  #need(key: Key, what: string): Uint8Array {
    try {
      return this.get(key) as Uint8Array
    } catch (error) {
      if (!(error instanceof Damage)) throw error
      throw new MillraceError('ERR_CATALOG_DAMAGED', {
        fact: `${what} in the catalog of the log is damaged`,
        action: 'operator',
        values: { file: this.#file },
        next: 'run millrace log verify on the data directory, and restore the catalog from a backup',
        cause: error,
      })
    }
  }

  async #write(pairs: readonly (readonly [Key, Uint8Array])[], drop: readonly Key[] = []): Promise<void> {
    this.#checkRoom(pairs.reduce((sum, [, value]) => sum + value.length, 0))
    await this.#writeAnyway(pairs, drop)
  }

  /** What is written here may take of the reserve that appends leave, but not all of it: a write that finds no room means a broken disk. */
  #checkRoom(bytes: number): void {
    const free = this.#freeBytes()
    const needed = bytes * 2 + ROOM_BYTES_MIN
    if (free >= needed) return
    throw new MillraceError('ERR_JOURNAL_FULL', {
      fact: 'the disk has no room for the catalog of the log',
      action: 'retry',
      values: { file: this.#file, freeBytes: free, neededBytes: needed },
      next: 'free some space',
    })
  }

  async #writeAnyway(pairs: readonly (readonly [Key, Uint8Array])[], drop: readonly Key[] = []): Promise<void> {
    try {
      const writes: Promise<boolean>[] = []
      for (const [key, value] of pairs) writes.push(this.#database.put(key, sealed(key, value)))
      for (const key of drop) writes.push(this.#database.remove(key))
      await Promise.all(writes)
    } catch (error) {
      throw diskFailed(error, this.#file)
    }
  }
}

const KIND_NAMES: Readonly<Record<number, string>> = {
  [KIND_EVENT_TYPE]: 'an event type',
  [KIND_SNAPSHOT]: 'a snapshot',
  [KIND_CHECKPOINT]: 'a checkpoint',
  [KIND_HEADS]: 'the heads of a shard',
  [KIND_MARKS]: 'the marks of the writers',
  [KIND_BASE]: 'a base snapshot',
  [KIND_BASE_HEADS]: 'the base heads of a shard',
  [KIND_BASE_MARKS]: 'the base marks of the writers',
  [KIND_MANIFEST]: 'an entry of the manifest',
}

export function u16Key(kind: number, number: number): Key {
  return Uint8Array.of(kind, number >> 8, number & 0xff)
}

function u64Key(kind: number, number: number): Key {
  const key = Buffer.alloc(9)
  key[0] = kind
  key.writeBigUInt64BE(BigInt(number), 1)
  return key
}

function checkpointKey(name: string): Key {
  const bytes = Buffer.from(name, 'utf8')
  assert(bytes.length > 0 && bytes.length <= CHECKPOINT_NAME_BYTES_MAX, 'a checkpoint has a name of at most 1,024 bytes')
  return Buffer.concat([Uint8Array.of(KIND_CHECKPOINT), bytes])
}

function snapshotKey(shard: number, entity: EntityId, version: number): Key {
  const tail = Buffer.alloc(5)
  tail.writeUInt32BE(version, 1)
  return Buffer.concat([u16Key(KIND_SNAPSHOT, shard), Buffer.from(entity, 'utf8'), tail])
}

const ID_AT = 3
/** A zero and the version. */
const ID_END = -5

function idOf(key: Key): Uint8Array {
  return key.subarray(ID_AT, ID_END)
}

function entityOf(key: Key): EntityId {
  return utf8.decode(idOf(key)) as EntityId
}

function isOfSameEntity(key: Key, other: Key): boolean {
  if (key.length !== other.length) return false
  for (let at = key.length + ID_END; at >= ID_AT; at--) if (key[at] !== other[at]) return false
  return true
}

function versionOf(key: Key): number {
  return new DataView(key.buffer, key.byteOffset + key.length - 4, 4).getUint32(0)
}

const utf8 = new TextDecoder()

function baseKey(shard: number, entity: EntityId): Key {
  return Buffer.concat([u16Key(KIND_BASE, shard), Buffer.from(entity, 'utf8')])
}

function baseEntityOf(key: Key): EntityId {
  return utf8.decode(key.subarray(ID_AT)) as EntityId
}

const SNAPSHOT_FIXED_BYTES = 16
const BASE_VERSION_BYTES = 4

function writeSnapshot(out: ByteWriter, { term, appendNumber, position, bytes }: Snapshot): Uint8Array {
  out.u32(term)
  out.u32(appendNumber)
  out.u64(position)
  out.copy(bytes)
  return out.written()
}

type SnapshotParts = Pick<Snapshot, 'term' | 'appendNumber' | 'position' | 'bytes'>

function readSnapshot(stored: Uint8Array): SnapshotParts {
  const reader = new ByteReader(stored)
  return { term: reader.u32(), appendNumber: reader.u32(), position: reader.u64(), bytes: stored.subarray(SNAPSHOT_FIXED_BYTES) }
}

function sealed(key: Key, value: Uint8Array): Buffer {
  const stored = Buffer.allocUnsafeSlow(4 + value.length)
  stored.set(value, 4)
  stored.writeUInt32LE(crc32(value, crc32(key)), 0)
  return stored
}

/** Whether it can be had again from the log. */
function isSpare(kind: number): boolean {
  return kind === KIND_SNAPSHOT || kind === KIND_HEADS || kind === KIND_MARKS
}

function isIntact(key: Key, stored: Uint8Array): boolean {
  if (stored.length < 4) return false
  return new DataView(stored.buffer, stored.byteOffset).getUint32(0, true) === crc32(stored.subarray(4), crc32(key))
}

function check(key: Key, stored: Uint8Array): Uint8Array {
  if (!isIntact(key, stored)) throw new Damage('its checksum is wrong')
  return stored.subarray(4)
}
