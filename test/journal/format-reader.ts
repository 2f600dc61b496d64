import { open } from 'lmdb'
import { unpack } from 'msgpackr'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync, crc32 } from 'node:zlib'
import { asDouble, asSingle, bitsOf, type Chunk, dataOf, Reader, readEntry } from './format-chunks.js'

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

interface SealedEntry {
  readonly segment: string
  readonly firstPosition: number
  readonly fileHash: string
}

interface ManifestEntry extends SealedEntry {
  readonly kind: string
  readonly replacement?: SealedEntry
}

interface EventType {
  readonly entity: string
  readonly event: string
  readonly number: number
  readonly fields: readonly { readonly name: string; readonly kind: string }[]
}

const utf8 = new TextDecoder()

/**
 * Reads a whole log from nothing but docs/format.md, with none of our code: what the page leaves out or tells wrong, this cannot read.
 */
export function readByTheBook(directory: string): DocumentedRow[] {
  const format = JSON.parse(readFileSync(join(directory, 'format.json'), 'utf8')) as { format: number }
  if (format.format !== 1) throw new Error(`format ${format.format}`)
  const { types, sealed } = readCatalog(join(directory, 'catalog'))
  const entities = new Map<string, string>()
  const rows: DocumentedRow[] = []
  let previous: Uint8Array = new Uint8Array(32)
  for (const name of inForce(readdirSync(join(directory, 'log')), sealed)) {
    const path = join(directory, 'log', name)
    if (Number.parseInt(name, 10) !== rows.length) throw new Error(`no segment at ${rows.length}`)
    if (sealed.has(name)) {
      const file = new Uint8Array(readFileSync(path))
      if (hex(createHash('sha256').update(file).digest()) !== sealed.get(name)) throw new Error('it is not the file that the manifest has')
      const segment = readSegment(file, entities, types)
      if (hex(segment.previousHash) !== hex(previous)) throw new Error('the chain is broken')
      rows.push(...segment.rows)
      previous = segment.lastHash
      continue
    }
    for (const [key, block] of entriesOf(path)) {
      if (Number(Buffer.from(key).readBigUInt64BE()) !== rows.length) throw new Error(`no block at ${rows.length}`)
      if (hex(block.subarray(36, 68)) !== hex(previous)) throw new Error('the chain is broken')
      rows.push(...readBlock(block, entities, types))
      previous = createHash('sha256').update(block).digest()
    }
  }
  return rows
}

/** Which of the names in `log` count, in order: sealed files that the manifest has, and environments that it has none in the place of. */
function inForce(names: readonly string[], sealed: ReadonlyMap<string, string>): string[] {
  const starts = new Set([...sealed.keys()].map((name) => Number.parseInt(name, 10)))
  const counts = (name: string) => (name.endsWith('.active') ? !starts.has(Number.parseInt(name, 10)) : sealed.has(name))
  return names.filter(counts).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** A sealed segment: its rows in order of position, and where it stands in the chain. */
export function readSegment(file: Uint8Array, entities: Map<string, string>, types: ReadonlyMap<number, EventType>) {
  const header = new Reader(file)
  if (utf8.decode(header.take(8)) !== 'MRSEGMNT') throw new Error('no segment')
  if (header.view.getUint16(8, true) !== 1 || header.view.getUint16(10, true) !== 0) throw new Error('version')
  if (crc32(file.subarray(16, 96), crc32(file.subarray(0, 12))) !== header.view.getUint32(12, true)) throw new Error('header CRC')
  header.at = 16
  const [first, end, previousHash, lastHash] = [header.u64(), header.u64(), header.take(32), header.take(32)]
  const trailer = new Reader(file.subarray(file.length - 32))
  if (crc32(trailer.bytes.subarray(24), crc32(trailer.bytes.subarray(0, 20))) !== trailer.view.getUint32(20, true))
    throw new Error('trailer CRC')
  const [offset, length, crc] = [trailer.u64(), trailer.u32(), trailer.u32()]
  if (utf8.decode(trailer.bytes.subarray(24)) !== 'MRSEGEND' || offset + length + 32 !== file.length) throw new Error('trailer')
  const footer = new Reader(file.subarray(offset, offset + length))
  if (crc32(footer.bytes) !== crc) throw new Error('footer CRC')

  let blockBytes: number[] = []
  let origins: number[] = []
  while (footer.at < length) {
    const [tag, section] = [footer.varint(), footer.section()]
    if (tag === 1) origins = section.list(() => section.varint())
    else if (tag === 2) blockBytes = section.list(() => readBlockEntry(section))
    else if (tag === 4) section.list(() => readPart(section, file, entities))
  }
  const rows: DocumentedRow[] = []
  let at = 96
  for (const bytes of blockBytes) rows.push(...readBlock(file.subarray(at, (at += bytes)), entities, types))
  rows.sort((a, b) => a.position - b.position)
  if (rows.length !== end - first || rows.length !== origins.reduce((sum, count) => sum + count, 0)) throw new Error('rows')
  rows.forEach((row, index) => {
    if (row.position !== first + index) throw new Error(`no row at ${first + index}`)
  })
  return { rows, previousHash, lastHash }
}

/** Returns how many bytes the block has. */
function readBlockEntry(section: Reader): number {
  const [bytes] = [section.varint(), section.varint(), section.varint(), section.varint()]
  section.take(32)
  section.list(() => [section.varint(), section.varint(), section.varint(), section.varint()])
  return bytes
}

function readPart(section: Reader, file: Uint8Array, entities: Map<string, string>): void {
  const [tag, offset, bytes, codec] = [section.varint(), section.varint(), section.varint(), section.u8()]
  section.varint()
  const stored = file.subarray(offset, offset + bytes)
  if (crc32(stored) !== section.u32()) throw new Error('part CRC')
  if (tag === 2) readNames(new Reader(codec === 1 ? new Uint8Array(brotliDecompressSync(stored)) : stored), entities)
}

function readNames(names: Reader, entities: Map<string, string>): void {
  names.list(() => {
    const shard = names.varint()
    let number = names.varint()
    names.list(() => entities.set(`${shard}:${number++}`, utf8.decode(names.take(names.varint()))))
  })
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

/** Event types, and by name of a sealed segment that is in force the hash of its file. */
function readCatalog(path: string): { types: Map<number, EventType>; sealed: Map<string, string> } {
  const types = new Map<number, EventType>()
  const sealed = new Map<number, SealedEntry>()
  let previous: Uint8Array = new Uint8Array(32)
  for (const [key, stored] of entriesOf(path)) {
    const value = stored.subarray(4)
    if (new DataView(stored.buffer).getUint32(0, true) !== crc32(value, crc32(key))) throw new Error('a value of the catalog is damaged')
    if (key[0] === 1) types.set(Buffer.from(key).readUInt16BE(1), unpack(value) as EventType)
    if (key[0] !== 6) continue
    if (hex(value.subarray(0, 32)) !== hex(previous)) throw new Error('the manifest is broken')
    previous = createHash('sha256').update(value).digest()
    const entry = JSON.parse(utf8.decode(value.subarray(32))) as ManifestEntry
    const inPlace = entry.kind === 'sealed' ? entry : entry.replacement
    if (inPlace !== undefined) sealed.set(inPlace.firstPosition, inPlace)
    if (entry.kind === 'dropped') sealed.delete(entry.firstPosition)
  }
  return { types, sealed: new Map([...sealed.values()].map(({ segment, fileHash }) => [segment, fileHash])) }
}

function readBlock(block: Uint8Array, entities: Map<string, string>, types: ReadonlyMap<number, EventType>): DocumentedRow[] {
  const header = new Reader(block)
  if (utf8.decode(header.take(8)) !== 'MRBLOCK\n') throw new Error('no block')
  const headerBytes = header.view.getUint32(12, true)
  if (crc32(block.subarray(20, headerBytes), crc32(block.subarray(0, 16))) !== header.view.getUint32(16, true))
    throw new Error('header CRC')
  if (headerBytes + header.view.getUint32(20, true) !== block.length) throw new Error('length')
  const base = Number(header.view.getBigUint64(28, true))
  /** By ordinal of an original block: the position of its next row. Empty when the block is not clustered. */
  const next = new Map<number, number>()
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
      readNames(header, entities)
    } else if (tag === 5) {
      header.varint()
      let [ordinal, position] = [0, base]
      header.list(() => next.set((ordinal += header.varint()), (position += header.varint())))
    }
    header.at = end
  }
  const rows: DocumentedRow[] = []
  let offset = headerBytes
  for (const group of groups) {
    const own = shards.splice(0, group.shards).flatMap(({ shard, rows: count }) => new Array<number>(count).fill(shard))
    const bytes = block.subarray(offset, (offset += group.bytes))
    if (crc32(bytes) !== group.crc) throw new Error('group CRC')
    rows.push(...readGroup(bytes, own, { base: base + rows.length, next }, entities, types))
  }
  for (const { entity } of rows) if (entity === undefined) throw new Error('a row of nobody')
  return rows
}

function readGroup(
  bytes: Uint8Array,
  shards: number[],
  places: { readonly base: number; readonly next: Map<number, number> },
  entities: ReadonlyMap<string, string>,
  types: ReadonlyMap<number, EventType>,
): DocumentedRow[] {
  const reader = new Reader(bytes)
  const chunks: Chunk[] = []
  const entries = () =>
    new Map(
      reader.list(() => {
        const chunk = readEntry(reader)
        chunks.push(chunk)
        return [chunk.column, chunk] as const
      }),
    )
  const shared = entries()
  const sections = reader.list(() => ({ type: reader.varint(), rows: reader.varint(), fields: reader.varint(), columns: entries() }))
  for (const chunk of chunks) chunk.at = (reader.at += chunk.bytes) - chunk.bytes
  if (reader.at !== bytes.length) throw new Error('the chunks do not fill their group')

  const count = shards.length
  const narrow = (column: number) => bitsOf(reader, shared.get(column), count, 'narrow').map(Number)
  const wide = (column: number) => bitsOf(reader, shared.get(column), count, 'wide').map(asDouble)
  const strings = (column: number) => stringsOf(reader, shared.get(column), shared.get(column + 1), count)
  const [numbers, versions, rowTypes, flags, sources, kinds, ordinals] = [1, 2, 3, 6, 7, 10, 19].map(narrow)
  const [ats, accepted, sequences] = [4, 5, 9].map(wide)
  const [outcomes, correlations] = [11, 13].map(strings)
  const names = sourceNames(reader, shared.get(8))
  const data = new Map(sections.map(({ type, rows, columns }) => [type, typeRows(reader, types.get(type) as EventType, rows, columns)]))
  const positionOf = (rank: number): number => {
    const ordinal = ordinals?.[rank] as number
    const position = places.next.get(ordinal)
    if (position === undefined) return places.base + rank
    places.next.set(ordinal, position + 1)
    return position
  }
  return shards.map((shard, rank) => {
    const type = rowTypes?.[rank] as number
    const outcome = outcomes?.[rank] as Uint8Array
    return {
      position: positionOf(rank),
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
  const names = dataOf(reader, chunk)
  return names.list(() => utf8.decode(names.take(names.varint())))
}

function stringsOf(reader: Reader, lengths: Chunk | undefined, bytes: Chunk | undefined, count: number): Uint8Array[] {
  if (lengths === undefined) return Array.from({ length: count }, () => new Uint8Array(0))
  const data = bytes === undefined ? new Reader(new Uint8Array(0)) : dataOf(reader, bytes)
  if (bytes?.encoding === 1) return new Array<Uint8Array>(count).fill(data.bytes)
  const sizes = bitsOf(reader, lengths, count, 'narrow').map(Number)
  if (bytes?.encoding !== 4) return sizes.map((size) => data.take(size))
  const known = data.list(() => data.varint()).map((size) => data.take(size))
  return sizes.map((number) => known[number] as Uint8Array)
}

function typeRows(reader: Reader, type: EventType, count: number, columns: ReadonlyMap<number, Chunk>): Record<string, unknown>[] {
  const rows = Array.from({ length: count }, (): Record<string, unknown> => ({}))
  type.fields.forEach(({ name, kind }, index) => {
    const chunk = columns.get(4 * index)
    const presence = chunk === undefined ? undefined : dataOf(reader, chunk).bytes
    const present = rows.filter((_, row) => presence === undefined || ((presence[row >> 3] as number) >> (row & 7)) & 1)
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
      return bitsOf(reader, values, count, 'single').map(asSingle)
    case 'i32':
      return bitsOf(reader, values, count, 'narrow').map((bits) => Number(bits) | 0)
    case 'bool':
      return bitsOf(reader, values, count, 'narrow').map((bits) => bits === 1n)
    default:
      return bitsOf(reader, values, count, 'wide').map(asDouble)
  }
}
