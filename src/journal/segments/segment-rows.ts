import type { BlockReader } from '#journal/block-reader.js'
import { BlockPositions } from '#journal/block-positions.js'
import { ByteWriter, Damage } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
import {
  COLUMN_ACCEPTED,
  COLUMN_APPEND_NUMBER,
  COLUMN_AT,
  COLUMN_BLOCK_ORDINAL,
  COLUMN_CAUSATION,
  COLUMN_CORRELATION,
  COLUMN_ENTITY,
  COLUMN_FLAGS,
  COLUMN_OUTCOME,
  COLUMN_OUTCOME_KIND,
  COLUMN_SEQUENCE,
  COLUMN_SOURCE,
  COLUMN_TERM,
  COLUMN_TYPE,
  COLUMN_VERSION,
  FieldColumn,
  RowGroup,
  type VariableColumn,
} from '#journal/row-group.js'
import { RECEIPT_TYPE } from '#journal/append-frame.js'
import { StringColumn, TypeRows } from './type-rows.js'

/** Which of the rows to take: positions from the first up to the second. */
export interface PositionWindow {
  readonly from: number
  readonly to: number
}

/**
 * Rows of many blocks, taken apart into one array per column, in the order in which the blocks had them: what a segment is sealed from, and what is
 * put back into order of position. Bytes lie in one arena. Nothing is kept of the blocks.
 */
export class SegmentRows {
  rowCount = 0
  shard = new Uint32Array(0)
  entity = new Uint32Array(0)
  version = new Uint32Array(0)
  type = new Uint32Array(0)
  at = new Float64Array(0)
  accepted = new Float64Array(0)
  flags = new Uint32Array(0)
  /** 0: none, else 1 + index in `sources`. */
  source = new Uint32Array(0)
  sequence = new Float64Array(0)
  outcomeKind = new Uint32Array(0)
  term = new Uint32Array(0)
  appendNumber = new Uint32Array(0)
  /** Of the original block. */
  ordinal = new Uint32Array(0)
  position = new Float64Array(0)
  /** Rank among the rows of its type. */
  typeRank = new Uint32Array(0)
  readonly outcome = new StringColumn()
  readonly correlation = new StringColumn()
  readonly causation = new StringColumn()
  readonly sources: Uint8Array[] = []
  readonly arena = new ByteWriter(1 << 16)
  readonly #sourceNumbers = new Map<string, number>()
  readonly #types: readonly EventType[]
  readonly #byType = new Map<number, TypeRows>()
  readonly #window: PositionWindow | undefined
  readonly #group = new RowGroup()
  readonly #field = new FieldColumn()
  readonly #strings: VariableColumn = { bytes: new Uint8Array(0), starts: new Uint32Array(0), isConstant: false }
  /** Rows of the group at hand that are taken. */
  #kept = new Uint32Array(0)
  #keptCount = 0

  constructor(types: readonly EventType[], window?: PositionWindow) {
    this.#types = types
    this.#window = window
  }

  /** By type number, ascending. */
  get types(): readonly TypeRows[] {
    return [...this.#byType.values()].sort((a, b) => a.typeNumber - b.typeNumber)
  }

  typeRows(typeNumber: number): TypeRows {
    return this.#byType.get(typeNumber) as TypeRows
  }

  /** How long the byte strings of each row are together; undefined when those of all rows are no longer than `bytesMax`. */
  stringBytes(bytesMax: number): Float64Array | undefined {
    const bytes = new Float64Array(this.rowCount)
    for (const column of [this.outcome, this.correlation, this.causation])
      for (let row = 0; row < this.rowCount; row++) bytes[row] = (bytes[row] as number) + (column.lengths[row] ?? 0)
    const byType = new Map(this.types.map((type) => [type.typeNumber, type.stringBytes()]))
    let total = 0
    for (let row = 0; row < this.rowCount; row++) {
      const own = byType.get(this.type[row] as number)?.[this.typeRank[row] as number] ?? 0
      bytes[row] = (bytes[row] as number) + own
      total += bytes[row] as number
    }
    return total <= bytesMax ? undefined : bytes
  }

  /** Makes room for so many rows, so that nothing need grow. */
  fit(rowCount: number): this {
    if (this.shard.length < rowCount) this.#grow(rowCount)
    return this
  }

  /** Adds the rows of a block, or of so many groups from its beginning; `ordinal` is that of a block that is not clustered. Throws ERR_BLOCK_DAMAGED. */
  add(reader: BlockReader, ordinal = 0, groupCount = Infinity): void {
    const { header } = reader
    const positions = header.isClustered ? new BlockPositions(reader) : undefined
    header.groups.slice(0, groupCount).forEach((group, index) => {
      reader.group(group, this.#group)
      const own = positions?.of(index, this.#group)
      reader.guard(() => {
        this.#keep(own, header.basePosition + group.rank, group.rowCount)
        if (this.#keptCount > 0) this.#addGroup(group.shards, own, header.basePosition + group.rank, ordinal)
      })
    })
  }

  #keep(positions: Float64Array | undefined, first: number, rowCount: number): void {
    if (this.#kept.length < rowCount) this.#kept = new Uint32Array(rowCount * 2)
    const kept = this.#kept
    const { from, to } = this.#window ?? { from: 0, to: Infinity }
    let count = 0
    for (let row = 0; row < rowCount; row++) {
      const position = positions === undefined ? first + row : (positions[row] as number)
      if (position >= from && position < to) kept[count++] = row
    }
    this.#keptCount = count
  }

  #addGroup(
    shards: readonly { shard: number; rowCount: number }[],
    positions: Float64Array | undefined,
    first: number,
    ordinal: number,
  ): void {
    const group = this.#group
    const kept = this.#kept
    const count = this.#keptCount
    const start = this.rowCount
    if (start + count > this.shard.length) this.#grow(Math.max(1024, this.shard.length * 2, start + count))
    let run = 0
    let end = 0
    for (const { shard, rowCount } of shards) {
      end += rowCount
      for (; run < count && (kept[run] as number) < end; run++) this.shard[start + run] = shard
    }
    for (let index = 0; index < count; index++) {
      const row = kept[index] as number
      this.position[start + index] = positions === undefined ? first + row : (positions[row] as number)
    }
    this.#copy(group.narrow(COLUMN_ENTITY), this.entity)
    this.#copy(group.narrow(COLUMN_VERSION), this.version)
    this.#copy(group.narrow(COLUMN_TYPE), this.type)
    this.#copy(group.wide(COLUMN_AT), this.at)
    this.#copy(group.wide(COLUMN_ACCEPTED), this.accepted)
    this.#copy(group.narrow(COLUMN_FLAGS), this.flags)
    this.#copy(group.wide(COLUMN_SEQUENCE), this.sequence)
    this.#copy(group.narrow(COLUMN_OUTCOME_KIND), this.outcomeKind)
    this.#copy(group.narrow(COLUMN_TERM), this.term)
    this.#copy(group.narrow(COLUMN_APPEND_NUMBER), this.appendNumber)
    if (positions === undefined) this.ordinal.fill(ordinal, start, start + count)
    else this.#copy(group.narrow(COLUMN_BLOCK_ORDINAL), this.ordinal)
    this.#addSources()
    this.#addStrings(COLUMN_OUTCOME, this.outcome)
    this.#addStrings(COLUMN_CORRELATION, this.correlation)
    this.#addStrings(COLUMN_CAUSATION, this.causation)
    this.#addTypes()
    this.rowCount = start + count
  }

  #copy(from: Uint32Array | Float64Array, to: Uint32Array | Float64Array): void {
    const kept = this.#kept
    const start = this.rowCount
    for (let index = 0; index < this.#keptCount; index++) to[start + index] = from[kept[index] as number] as number
  }

  #addSources(): void {
    const own = this.#group.narrow(COLUMN_SOURCE)
    const names = this.#group.sourceNames()
    const numbers = names.map((name) => this.#sourceNumber(name))
    for (let index = 0; index < this.#keptCount; index++) {
      const source = own[this.#kept[index] as number] as number
      const number = source === 0 ? 0 : numbers[source - 1]
      if (number === undefined) throw new Damage('a row names a source that is not there')
      this.source[this.rowCount + index] = number
    }
  }

  #sourceNumber(name: Uint8Array): number {
    const key = Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1')
    let number = this.#sourceNumbers.get(key)
    if (number === undefined) {
      number = this.sources.push(name.slice())
      this.#sourceNumbers.set(key, number)
    }
    return number
  }

  #addStrings(column: number, to: StringColumn): void {
    const strings = this.#group.variable(column, this.#strings)
    to.take(strings, this.#kept, this.#keptCount, this.rowCount, this.arena)
  }

  #addTypes(): void {
    const group = this.#group
    const types = group.narrow(COLUMN_TYPE)
    const { rowCount } = group
    let next = 0
    const ranks = new Map<number, number>()
    for (let row = 0; row < rowCount; row++) {
      const type = types[row] as number
      const rank = ranks.get(type) ?? 0
      ranks.set(type, rank + 1)
      if (row !== this.#kept[next] || next >= this.#keptCount) continue
      const at = this.rowCount + next++
      if (type === RECEIPT_TYPE) continue
      this.typeRank[at] = this.#rowsOf(type).keep(rank)
    }
    ranks.delete(RECEIPT_TYPE)
    for (const section of group.sections) {
      if (ranks.get(section.typeNumber) !== section.rowCount) throw new Damage('an event type has other rows than its columns')
      ranks.delete(section.typeNumber)
      const rows = this.#byType.get(section.typeNumber)
      if (rows !== undefined) rows.take(section, group.blockReader, this.#field, this.arena)
    }
    if (ranks.size > 0) throw new Damage('an event type has rows and no columns')
  }

  #rowsOf(typeNumber: number): TypeRows {
    let rows = this.#byType.get(typeNumber)
    if (rows !== undefined) return rows
    const type = this.#types.find((one) => one.number === typeNumber)
    if (type === undefined) throw new Damage(`it has rows of event type ${typeNumber}, which is not known`)
    rows = new TypeRows(type)
    this.#byType.set(typeNumber, rows)
    return rows
  }

  #grow(count: number): void {
    this.shard = grown(this.shard, new Uint32Array(count))
    this.entity = grown(this.entity, new Uint32Array(count))
    this.version = grown(this.version, new Uint32Array(count))
    this.type = grown(this.type, new Uint32Array(count))
    this.at = grown(this.at, new Float64Array(count))
    this.accepted = grown(this.accepted, new Float64Array(count))
    this.flags = grown(this.flags, new Uint32Array(count))
    this.source = grown(this.source, new Uint32Array(count))
    this.sequence = grown(this.sequence, new Float64Array(count))
    this.outcomeKind = grown(this.outcomeKind, new Uint32Array(count))
    this.term = grown(this.term, new Uint32Array(count))
    this.appendNumber = grown(this.appendNumber, new Uint32Array(count))
    this.ordinal = grown(this.ordinal, new Uint32Array(count))
    this.position = grown(this.position, new Float64Array(count))
    this.typeRank = grown(this.typeRank, new Uint32Array(count))
  }
}

function grown<T extends Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}
