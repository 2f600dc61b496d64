import { open } from 'lmdb'
import { unpack } from 'msgpackr'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

/** A row as docs/format.md lets one read it. */
export interface DocumentedRow {
  readonly position: number
  readonly entity: string
  readonly version: number
  readonly event: string | undefined
  readonly at: number
  readonly accepted: number
  readonly isLate: boolean
  readonly source: string
  readonly sequence: number
  readonly outcomeKind: number
  readonly outcome: unknown
  readonly correlation: string
  readonly data: Readonly<Record<string, unknown>>
}

interface EventType {
  readonly entity: string
  readonly event: string
  readonly number: number
  readonly fields: readonly { readonly name: string; readonly kind: string }[]
}

const utf8 = new TextDecoder()
const NARROW = (view: DataView, at: number) => view.getUint32(at, true)
const WIDE = (view: DataView, at: number) => view.getFloat64(at, true)

/**
 * Reads a whole log from nothing but docs/format.md, with none of our code: what the page leaves out or tells wrong, this cannot read.
 */
export function readByTheBook(directory: string): DocumentedRow[] {
  const format = JSON.parse(readFileSync(join(directory, 'format.json'), 'utf8')) as { format: number; shardCount: number }
  if (format.format !== 1) throw new Error(`format ${format.format}`)
  const types = readTypes(join(directory, 'catalog'))
  const entities = new Map<string, string>()
  const rows: DocumentedRow[] = []
  let expected = 0
  let previous: Uint8Array = new Uint8Array(32)
  for (const [key, block] of entriesOf(join(directory, 'log', '000000000000.active'))) {
    if (Number(Buffer.from(key).readBigUInt64BE()) !== expected) throw new Error(`no block at ${expected}`)
    if (Buffer.compare(block.subarray(36, 68), previous) !== 0) throw new Error('the chain is broken')
    rows.push(...readBlock(block, entities, types, format.shardCount))
    expected = rows.length
    previous = createHash('sha256').update(block).digest()
  }
  return rows
}

function entriesOf(path: string): [Uint8Array, Uint8Array][] {
  const database = open<Buffer, Uint8Array>({ path, noSubdir: false, encoding: 'binary', keyEncoding: 'binary', readOnly: true })
  const entries = [...database.getRange({})].map(({ key, value }): [Uint8Array, Uint8Array] => [
    Uint8Array.from(key),
    Uint8Array.from(value),
  ])
  void database.close()
  return entries
}

function readTypes(path: string): Map<number, EventType> {
  const types = new Map<number, EventType>()
  for (const [key, value] of entriesOf(path)) {
    if (new DataView(value.buffer).getUint32(0, true) !== crc32(value.subarray(4), crc32(key)))
      throw new Error('a value of the catalog is damaged')
    if (key[0] === 1) types.set(Buffer.from(key).readUInt16BE(1), unpack(value.subarray(4)) as EventType)
  }
  return types
}

class Reader {
  readonly bytes: Uint8Array
  readonly view: DataView
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
  }

  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++] as number
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  u8 = () => this.bytes[this.at++] as number
  u32 = () => NARROW(this.view, (this.at += 4) - 4)
  take = (count: number) => this.bytes.subarray(this.at, (this.at += count))
  list = <T>(read: () => T): T[] => Array.from({ length: this.varint() }, read)
}

function readBlock(block: Uint8Array, entities: Map<string, string>, types: Map<number, EventType>, shardCount: number): DocumentedRow[] {
  const header = new Reader(block)
  if (utf8.decode(header.take(8)) !== 'MRBLOCK\n') throw new Error('no block')
  const headerBytes = header.view.getUint32(12, true)
  if (crc32(block.subarray(20, headerBytes), crc32(block.subarray(0, 16))) !== header.view.getUint32(16, true))
    throw new Error('header CRC')
  if (headerBytes + header.view.getUint32(20, true) !== block.length) throw new Error('length')
  const base = Number(header.view.getBigUint64(28, true))
  let shards: { shard: number; rows: number }[] = []
  let groups: { shards: number; bytes: number; crc: number }[] = []
  header.at = 100
  while (header.at < headerBytes) {
    const [tag, length] = [header.varint(), header.varint()]
    const end = header.at + length
    if (tag === 1) {
      shards = header.list(() => ({ shard: header.varint(), rows: header.varint(), first: header.varint(), span: header.varint() }))
    } else if (tag === 2) {
      groups = header.list(() => {
        const [count, bytes] = [header.varint(), header.varint()]
        header.varint()
        header.u32()
        return { shards: count, bytes, crc: header.u32() }
      })
    } else if (tag === 4) {
      header.list(() => {
        const shard = header.varint()
        let number = header.varint()
        header.list(() => entities.set(`${shard}:${number++}`, utf8.decode(header.take(header.varint()))))
      })
    }
    header.at = end
  }
  const rows: DocumentedRow[] = []
  let offset = headerBytes
  for (const group of groups) {
    const own = shards.splice(0, group.shards).flatMap(({ shard, rows: count }) => new Array<number>(count).fill(shard))
    const bytes = block.subarray(offset, (offset += group.bytes))
    if (crc32(bytes) !== group.crc) throw new Error('group CRC')
    rows.push(...readGroup(bytes, own, base + rows.length, entities, types))
  }
  for (const { entity } of rows) if (entity === undefined || shardCount < 1) throw new Error('a row of nobody')
  return rows
}

interface Chunk {
  readonly column: number
  readonly encoding: number
  readonly bytes: number
  at: number
}

function readGroup(
  bytes: Uint8Array,
  shards: number[],
  base: number,
  entities: Map<string, string>,
  types: Map<number, EventType>,
): DocumentedRow[] {
  const reader = new Reader(bytes)
  const chunks: Chunk[] = []
  const entries = () =>
    new Map(
      reader.list(() => {
        const [column, flags, length] = [reader.varint(), reader.u8(), reader.varint()]
        if (flags & 0x40) {
          reader.take(16)
          reader.varint()
        }
        const chunk = { column, encoding: flags & 0x3f, bytes: length, at: 0 }
        chunks.push(chunk)
        return [column, chunk] as const
      }),
    )
  const shared = entries()
  const sections = reader.list(() => ({ type: reader.varint(), rows: reader.varint(), fields: reader.varint(), columns: entries() }))
  for (const chunk of chunks) chunk.at = (reader.at += chunk.bytes) - chunk.bytes
  if (reader.at !== bytes.length) throw new Error('the chunks do not fill their group')

  const count = shards.length
  const narrow = (column: number) => valuesOf(reader, shared.get(column), count, 4, NARROW)
  const wide = (column: number) => valuesOf(reader, shared.get(column), count, 8, WIDE)
  const strings = (column: number) => stringsOf(reader, shared.get(column), shared.get(column + 1), count)
  const [numbers, versions, rowTypes, flags, sources, kinds] = [1, 2, 3, 6, 7, 10].map(narrow)
  const [ats, accepted, sequences] = [4, 5, 9].map(wide)
  const [outcomes, correlations] = [11, 13].map(strings)
  const names = sourceNames(reader, shared.get(8))
  const data = new Map(sections.map(({ type, rows, columns }) => [type, typeRows(reader, types.get(type) as EventType, rows, columns)]))
  return shards.map((shard, rank) => {
    const type = rowTypes?.[rank] as number
    const outcome = outcomes?.[rank] as Uint8Array
    return {
      position: base + rank,
      entity: entities.get(`${shard}:${numbers?.[rank]}`) as string,
      version: versions?.[rank] as number,
      event: types.get(type)?.event,
      at: ats?.[rank] as number,
      accepted: accepted?.[rank] as number,
      isLate: ((flags?.[rank] as number) & 1) === 1,
      source: names[(sources?.[rank] as number) - 1] ?? '',
      sequence: sequences?.[rank] as number,
      outcomeKind: kinds?.[rank] as number,
      outcome: outcome.length === 0 ? undefined : (unpack(outcome) as unknown),
      correlation: utf8.decode(correlations?.[rank]),
      data: data.get(type)?.shift() ?? {},
    }
  })
}

function sourceNames(reader: Reader, chunk: Chunk | undefined): string[] {
  if (chunk === undefined) return []
  reader.at = chunk.at
  return reader.list(() => utf8.decode(reader.take(reader.varint())))
}

type ReadValue = (view: DataView, at: number) => number

function valuesOf(reader: Reader, chunk: Chunk | undefined, count: number, width: 4 | 8, read: ReadValue): number[] {
  if (chunk === undefined) return new Array<number>(count).fill(0)
  reader.at = chunk.at
  const value = () => read(reader.view, (reader.at += width) - width)
  switch (chunk.encoding) {
    case 0:
      return Array.from({ length: count }, value)
    case 1:
      return new Array<number>(count).fill(value())
    case 2: {
      const lengths = reader.list(() => reader.varint())
      return lengths.flatMap((length) => new Array<number>(length).fill(value()))
    }
    case 3: {
      const lowest = value()
      const bytes = (chunk.bytes - width) / count
      return Array.from({ length: count }, () => lowest + Buffer.from(reader.take(bytes)).readUIntLE(0, bytes))
    }
    default:
      throw new Error(`encoding ${chunk.encoding}`)
  }
}

function stringsOf(reader: Reader, lengths: Chunk | undefined, bytes: Chunk | undefined, count: number): Uint8Array[] {
  if (lengths === undefined) return Array.from({ length: count }, () => new Uint8Array(0))
  const sizes = valuesOf(reader, lengths, count, 4, NARROW)
  reader.at = bytes?.at ?? 0
  if (bytes?.encoding === 1) return new Array<Uint8Array>(count).fill(reader.take(bytes.bytes))
  return sizes.map((size) => reader.take(size))
}

function typeRows(reader: Reader, type: EventType, count: number, columns: Map<number, Chunk>): Record<string, unknown>[] {
  const rows = Array.from({ length: count }, (): Record<string, unknown> => ({}))
  type.fields.forEach(({ name, kind }, index) => {
    const presence = columns.get(4 * index)
    const present = rows.filter((_, row) => presence === undefined || ((reader.bytes[presence.at + (row >> 3)] as number) >> (row & 7)) & 1)
    const values = columns.get(4 * index + 2)
    if (values === undefined) return
    const read = fieldValues(reader, kind, columns.get(4 * index + 1), values, present.length)
    present.forEach((row, at) => {
      row[name] = read[at]
    })
  })
  return rows
}

function fieldValues(reader: Reader, kind: string, lengths: Chunk | undefined, values: Chunk, count: number): unknown[] {
  switch (kind) {
    case 'label':
    case 'text':
      return stringsOf(reader, lengths, values, count).map((bytes) => utf8.decode(bytes))
    case 'json':
      return stringsOf(reader, lengths, values, count).map((bytes) => unpack(bytes) as unknown)
    case 'f32':
      return valuesOf(reader, values, count, 4, (view, at) => view.getFloat32(at, true))
    case 'i32':
      return valuesOf(reader, values, count, 4, NARROW).map((value) => value | 0)
    case 'bool':
      return valuesOf(reader, values, count, 4, NARROW).map((value) => value === 1)
    default:
      return valuesOf(reader, values, count, 8, WIDE)
  }
}
