import {
  beginHeader,
  type BlockGroup,
  type BlockHeader,
  finishHeader,
  readHeader,
  readOrigins,
  writeSection,
} from '#journal/block-format.js'
import { ByteWriter } from '#journal/bytes.js'
import { COLUMN_BLOCK_ORDINAL, RowGroup } from '#journal/row-group.js'

/**
 * A clustered block made of the last groups of one, from the group with an index on, whose rows keep their positions though those before them are lost. `endOf` says where the rows of an original
 * block that stand in this one end, undefined when that is not known: then this is. The groups must be whole. Throws Damage.
 */
export function lastGroups(
  bytes: Uint8Array,
  header: BlockHeader,
  from: number,
  endOf: (ordinal: number) => number | undefined,
): Uint8Array | undefined {
  const groups = header.groups.slice(from)
  const counts = new Map<number, number>()
  const opened = new RowGroup()
  for (const group of groups) {
    const ordinals = opened.open(bytes, group).narrow(COLUMN_BLOCK_ORDINAL)
    for (let row = 0; row < group.rowCount; row++) {
      const ordinal = ordinals[row] as number
      counts.set(ordinal, (counts.get(ordinal) ?? 0) + 1)
    }
  }
  const starts: (readonly [ordinal: number, start: number])[] = []
  for (const [ordinal, count] of [...counts].sort((a, b) => a[0] - b[0])) {
    const end = endOf(ordinal)
    if (end === undefined) return undefined
    starts.push([ordinal, end - count])
  }
  return write(bytes, header, groups, starts)
}

function write(
  bytes: Uint8Array,
  header: BlockHeader,
  groups: readonly BlockGroup[],
  starts: readonly (readonly [ordinal: number, start: number])[],
): Uint8Array {
  const out = new ByteWriter(4096)
  const section = new ByteWriter(1024)
  const body = bytes.subarray(groups[0]?.offset ?? header.totalBytes, header.totalBytes)
  const rowCount = groups.reduce((sum, group) => sum + group.rowCount, 0)
  const basePosition = starts[0]?.[1] ?? header.basePosition
  beginHeader({ ...header, basePosition, rowCount, bodyBytes: body.length }, out)
  const shards = groups.flatMap((group) => group.shards)
  section.varint(shards.length)
  for (const { shard, rowCount: own, entityMin, entityMax } of shards) {
    section.varint(shard)
    section.varint(own)
    section.varint(entityMin)
    section.varint(entityMax - entityMin)
  }
  writeSection('shards', section, out)
  section.clear().varint(groups.length)
  for (const group of groups) {
    section.varint(group.shards.length)
    section.varint(group.bytes)
    section.varint(group.identityBytes)
    section.u32(group.identityCrc)
    section.u32(group.crc)
  }
  writeSection('groups', section, out)
  section.clear().varint(header.endPosition - basePosition)
  section.varint(starts.length)
  let [lastOrdinal, lastStart] = [0, basePosition]
  for (const [ordinal, start] of starts) {
    section.varint(ordinal - lastOrdinal)
    section.varint(start - lastStart)
    lastOrdinal = ordinal
    lastStart = start
  }
  writeSection('positions', section, out)
  finishHeader(out)
  out.copy(body)
  return new Uint8Array(out.written())
}

/** Where the rows of original blocks begin in each clustered block of a segment; undefined where its header is damaged. */
export type OriginStarts = readonly (ReadonlyMap<number, number> | undefined)[]

/** Of the headers of blocks, one behind the other. Throws Damage. */
export function originStarts(bytes: Uint8Array): ReadonlyMap<number, number> {
  const { ordinals, starts } = readOrigins(bytes, readHeader(bytes))
  return new Map([...ordinals].map((ordinal, index) => [ordinal, starts[index] as number]))
}
