import { assert } from '#base/assert.js'
import { type BlockEntities, type BlockMark, beginHeader, finishHeader, HASH_BYTES, writeSection } from './block-format.js'
import { ByteWriter } from './bytes.js'
import type { EventTypes } from './event-types.js'
import { type EncodedGroup, GroupEncoder } from './group-encoder.js'
import { PendingRows } from './pending-rows.js'

/** A group is closed at the end of the shard in which it reaches this many rows. */
export const GROUP_ROWS = 1024

/** Before a body, for its header: many times what one takes that brings no new entities. */
const HEADER_ROOM_BYTES = 8192

/** What goes into a block besides its rows. */
export interface BlockContext {
  readonly basePosition: number
  /** SHA-256 of the block before, or 32 zeros. */
  readonly previousHash: Uint8Array
  readonly marks: readonly BlockMark[]
  /** By shard, ascending. */
  readonly newEntities: readonly BlockEntities[]
}

/** Builds one block after the other in memory of its own. Fill `rows`, then `finish`; nothing is allocated per row. */
export class BlockBuilder {
  readonly rows = new PendingRows()
  readonly #types: EventTypes
  readonly #groups: GroupEncoder
  readonly #section = new ByteWriter(1024)
  readonly #shards = new ByteWriter(1024)
  readonly #body: ByteWriter
  readonly #block: ByteWriter

  /** `byteCount`: what a block is expected to take. */
  constructor(types: EventTypes, byteCount = 1 << 20) {
    this.#types = types
    this.#groups = new GroupEncoder(types, byteCount)
    this.#body = new ByteWriter(byteCount)
    this.#block = new ByteWriter(byteCount)
  }

  /** Encodes `rows` and clears them. The bytes stay as they are until the next call. */
  finish(context: BlockContext): Buffer {
    const { rows } = this
    assert(rows.rowCount > 0, 'a block has rows')
    assert(context.previousHash.length === HASH_BYTES, 'the hash of a block is a SHA-256')
    rows.sort(this.#types)
    const groups = this.#encodeGroups()

    const block = this.#block.clear()
    beginHeader(
      {
        ...this.#ranges(),
        basePosition: context.basePosition,
        rowCount: rows.rowCount,
        bodyBytes: this.#body.length - HEADER_ROOM_BYTES,
        previousHash: context.previousHash,
      },
      block,
    )
    writeSection('shards', this.#shards, block)
    this.#writeGroups(groups)
    if (context.marks.length > 0) this.#writeMarks(context.marks)
    if (context.newEntities.length > 0) this.#writeEntities(context.newEntities)
    finishHeader(block)
    rows.clear()
    return this.#joined()
  }

  /** The header goes before the body, where there is room for all but the largest; moving the body would cost more than the rest of this. */
  #joined(): Buffer {
    const header = this.#block
    const body = this.#body
    if (header.length > HEADER_ROOM_BYTES) {
      header.copy(body.bytes, HEADER_ROOM_BYTES, body.length)
      return header.written()
    }
    const start = HEADER_ROOM_BYTES - header.length
    body.bytes.set(header.written(), start)
    return body.bytes.subarray(start, body.length)
  }

  /** Encodes the body and the shards section in one walk over the sorted rows. */
  #encodeGroups(): (EncodedGroup & { shardCount: number })[] {
    const { rows } = this
    const { shard, entity, rowCount } = rows
    const groups: (EncodedGroup & { shardCount: number })[] = []
    const directory = this.#section.clear()
    this.#body.clear().reserve(HEADER_ROOM_BYTES)
    this.#body.length = HEADER_ROOM_BYTES
    let groupStart = 0
    let groupShards = 0
    let shardCount = 0
    let start = 0
    while (start < rowCount) {
      const own = shard[start] as number
      let end = start + 1
      while (end < rowCount && shard[end] === own) end++
      const entityMin = entity[start] as number
      directory.varint(own)
      directory.varint(end - start)
      directory.varint(entityMin)
      directory.varint((entity[end - 1] as number) - entityMin)
      shardCount++
      groupShards++
      if (end - groupStart >= GROUP_ROWS || end === rowCount) {
        groups.push({ ...this.#groups.encode(rows, groupStart, end, this.#body), shardCount: groupShards })
        groupStart = end
        groupShards = 0
      }
      start = end
    }
    this.#shards.clear()
    this.#shards.varint(shardCount)
    this.#shards.copy(directory.bytes, 0, directory.length)
    return groups
  }

  #ranges(): { acceptedMin: number; acceptedMax: number; atMin: number; atMax: number } {
    const { at, accepted, rowCount } = this.rows
    let acceptedMin = Infinity
    let acceptedMax = -Infinity
    let atMin = Infinity
    let atMax = -Infinity
    for (let row = 0; row < rowCount; row++) {
      const taken = accepted[row] as number
      if (taken < acceptedMin) acceptedMin = taken
      if (taken > acceptedMax) acceptedMax = taken
      const happened = at[row] as number
      if (happened < atMin) atMin = happened
      if (happened > atMax) atMax = happened
    }
    return { acceptedMin, acceptedMax, atMin, atMax }
  }

  #writeGroups(groups: readonly (EncodedGroup & { shardCount: number })[]): void {
    const section = this.#section.clear()
    section.varint(groups.length)
    for (const group of groups) {
      section.varint(group.shardCount)
      section.varint(group.bytes)
      section.varint(group.identityBytes)
      section.u32(group.identityCrc)
      section.u32(group.crc)
    }
    writeSection('groups', section, this.#block)
  }

  #writeMarks(marks: readonly BlockMark[]): void {
    const section = this.#section.clear()
    section.varint(marks.length)
    for (const mark of marks) {
      section.varint(mark.slot)
      section.varint(mark.term)
      section.varint(mark.number)
    }
    writeSection('marks', section, this.#block)
  }

  #writeEntities(entities: readonly BlockEntities[]): void {
    const section = this.#section.clear()
    section.varint(entities.length)
    for (const { shard, first, names } of entities) {
      section.varint(shard)
      section.varint(first)
      section.varint(names.length)
      for (const name of names) {
        section.varint(name.length)
        section.copy(name)
      }
    }
    writeSection('entities', section, this.#block)
  }
}
