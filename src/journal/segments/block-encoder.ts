import { beginHeader, finishHeader, HASH_BYTES, writeSection } from '#journal/block-format.js'
import type { BlockShard } from '#journal/block-format.js'
import { ByteWriter } from '#journal/bytes.js'
import { RowEncoder } from './row-encoder.js'
import type { SegmentRows } from './segment-rows.js'

/** What the directory of a segment says of a block that was encoded. */
export interface EncodedBlock {
  /** Valid until the next one. */
  readonly bytes: Uint8Array
  readonly rowCount: number
  readonly firstPosition: number
  readonly endPosition: number
  readonly acceptedMin: number
  readonly acceptedMax: number
  readonly atMin: number
  readonly atMax: number
  readonly shards: readonly BlockShard[]
}

const NO_HASH = new Uint8Array(HASH_BYTES)

/** Builds whole blocks (block-format.ts) from rows that were taken apart. */
export class BlockEncoder {
  readonly #rows: SegmentRows
  readonly #isClustered: boolean
  readonly #groups: RowEncoder
  readonly #section = new ByteWriter(1024)
  readonly #body = new ByteWriter(1 << 20)
  readonly #block = new ByteWriter(1 << 20)

  /** `isPlain`: in the encodings of a group commit, for which no time is taken. */
  constructor(rows: SegmentRows, { isClustered, isPlain }: { readonly isClustered: boolean; readonly isPlain: boolean }) {
    this.#rows = rows
    this.#isClustered = isClustered
    this.#groups = new RowEncoder(rows, { keepsOrdinals: isClustered, isPlain })
  }

  /** Encodes the rows `order[ends[0]..ends.at(-1))`, in groups that end at each further one of `ends`. */
  encode(order: Uint32Array, ends: readonly number[]): EncodedBlock {
    const start = ends[0] as number
    const end = ends.at(-1) as number
    const shards: BlockShard[] = []
    const section = this.#section.clear()
    this.#body.clear()
    section.varint(ends.length - 1)
    for (let group = 1; group < ends.length; group++) {
      const own = this.#shardsOf(order, ends[group - 1] as number, ends[group] as number)
      const { bytes, identityBytes, identityCrc, crc } = this.#groups.encode(
        order,
        ends[group - 1] as number,
        ends[group] as number,
        this.#body,
      )
      shards.push(...own)
      section.varint(own.length)
      section.varint(bytes)
      section.varint(identityBytes)
      section.u32(identityCrc)
      section.u32(crc)
    }
    const groups = new Uint8Array(section.written())
    const known = { ...this.#ranges(order, start, end), rowCount: end - start, shards }
    const block = this.#block.clear()
    beginHeader(
      {
        ...known,
        basePosition: known.firstPosition,
        bodyBytes: this.#body.length,
        previousHash: NO_HASH,
        isClustered: this.#isClustered,
      },
      block,
    )
    writeSection('shards', this.#shardSection(shards), block)
    section.clear().copy(groups)
    writeSection('groups', section, block)
    if (this.#isClustered) writeSection('positions', this.#positions(order, start, end, known), block)
    finishHeader(block)
    block.copy(this.#body.bytes, 0, this.#body.length)
    return { ...known, bytes: block.written() }
  }

  #shardsOf(order: Uint32Array, start: number, end: number): BlockShard[] {
    const { shard, entity } = this.#rows
    const found: BlockShard[] = []
    for (let from = start; from < end; ) {
      const own = shard[order[from] as number] as number
      let to = from + 1
      while (to < end && shard[order[to] as number] === own) to++
      const entityMin = entity[order[from] as number] as number
      found.push({ shard: own, rowCount: to - from, entityMin, entityMax: entity[order[to - 1] as number] as number })
      from = to
    }
    return found
  }

  #shardSection(shards: readonly BlockShard[]): ByteWriter {
    const section = this.#section.clear()
    section.varint(shards.length)
    for (const { shard, rowCount, entityMin, entityMax } of shards) {
      section.varint(shard)
      section.varint(rowCount)
      section.varint(entityMin)
      section.varint(entityMax - entityMin)
    }
    return section
  }

  #positions(order: Uint32Array, start: number, end: number, known: { firstPosition: number; endPosition: number }): ByteWriter {
    const { ordinal, position } = this.#rows
    const starts = new Map<number, number>()
    for (let index = start; index < end; index++) {
      const row = order[index] as number
      const own = ordinal[row] as number
      if (!starts.has(own)) starts.set(own, position[row] as number)
    }
    const section = this.#section.clear()
    section.varint(known.endPosition - known.firstPosition)
    section.varint(starts.size)
    let lastOrdinal = 0
    let lastStart = known.firstPosition
    for (const [own, first] of [...starts].sort((a, b) => a[0] - b[0])) {
      section.varint(own - lastOrdinal)
      section.varint(first - lastStart)
      lastOrdinal = own
      lastStart = first
    }
    return section
  }

  #ranges(order: Uint32Array, start: number, end: number) {
    const { at, accepted, position } = this.#rows
    let firstPosition = Infinity
    let last = -1
    let acceptedMin = Infinity
    let acceptedMax = -Infinity
    let atMin = Infinity
    let atMax = -Infinity
    for (let index = start; index < end; index++) {
      const row = order[index] as number
      const own = position[row] as number
      if (own < firstPosition) firstPosition = own
      if (own > last) last = own
      const taken = accepted[row] as number
      if (taken < acceptedMin) acceptedMin = taken
      if (taken > acceptedMax) acceptedMax = taken
      const happened = at[row] as number
      if (happened < atMin) atMin = happened
      if (happened > atMax) atMax = happened
    }
    return { firstPosition, endPosition: last + 1, acceptedMin, acceptedMax, atMin, atMax }
  }
}
