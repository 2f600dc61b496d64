import type { EntityId } from '#base/ids.js'
import { FLAG_LATE, RECEIPT_TYPE } from '#journal/append-frame.js'
import type { BlockGroup } from '#journal/block-format.js'
import type { BlockReader } from '#journal/block-reader.js'
import { Damage } from '#journal/bytes.js'
import type { ZoneMap } from '#journal/columns/zone-map.js'
import type { EventType, Journal } from '#journal/journal.js'
import type { ScanCounts } from '#journal/log-query.js'
import {
  COLUMN_ACCEPTED,
  COLUMN_APPEND_NUMBER,
  COLUMN_AT,
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
  PART_VALUES,
  PARTS,
  RowGroup,
  type VariableColumn,
} from '#journal/row-group.js'
import type { ColumnRef, SharedName } from './columns.js'
import { FieldValues } from './field-values.js'
import type { OpenBlock } from './open-block.js'
import type { TypeRows } from './type-rows.js'

/** Numbers of a column: those of pick p are `values[p]`, or `values[at[p]]` where `at` is given. Valid until the next group. */
export interface NumberColumn {
  readonly values: Float64Array
  readonly at: Uint32Array | undefined
}

const WIDE: Readonly<Partial<Record<SharedName, number>>> = { at: COLUMN_AT, accepted: COLUMN_ACCEPTED, sequence: COLUMN_SEQUENCE }
const NARROW: Readonly<Partial<Record<SharedName, number>>> = {
  version: COLUMN_VERSION,
  typeNumber: COLUMN_TYPE,
  term: COLUMN_TERM,
  appendNumber: COLUMN_APPEND_NUMBER,
  outcomeKind: COLUMN_OUTCOME_KIND,
  isLate: COLUMN_FLAGS,
}
const BYTES: Readonly<Partial<Record<SharedName, number>>> = {
  correlation: COLUMN_CORRELATION,
  causation: COLUMN_CAUSATION,
  outcome: COLUMN_OUTCOME,
}
const NOTHING = new Uint8Array(0)
const utf8 = new TextDecoder()

/**
 * The columns of one row group and, within it, of the rows of one event type; a pick is the rank of a row among these. Decodes what it is asked for, once per
 * group, and counts the values. Made once and pointed at group after group. Throws Damage: call it under BlockReader.guard.
 */
export class GroupColumns {
  readonly group = new RowGroup()
  readonly #journal: Pick<Journal, 'entityName'>
  #counts: ScanCounts
  #reader: BlockReader | undefined
  #block: OpenBlock | undefined
  #opened: BlockGroup | undefined
  #groupIndex = 0
  #rows: TypeRows | undefined
  #type: EventType | undefined
  #stored: EventType | undefined
  readonly #decoded = new Set<number>()
  readonly #shared = new Map<SharedName, Float64Array>()
  readonly #sharedKnown = new Set<SharedName>()
  readonly #variables = new Map<number, VariableColumn | undefined>()
  #positions: Float64Array | undefined
  #sources: (string | undefined)[] | undefined
  readonly #fields = new Map<number, FieldValues>()
  readonly #openFields = new Set<number>()
  #runStart = 0
  #runEnd = 0
  #runShard = 0
  #lastShard = -1
  #lastNumber = -1
  #lastName: EntityId = '/'

  constructor(journal: Pick<Journal, 'entityName'>, counts: ScanCounts) {
    this.#journal = journal
    this.#counts = counts
  }

  /** Starts over for another query: with its counts, and without the blocks of the last one. */
  begin(counts: ScanCounts): this {
    this.#counts = counts
    this.#reader = undefined
    this.#block = undefined
    return this
  }

  /** `group` is one of the block's. Its checksum was checked with the block's. */
  open(block: OpenBlock, index: number): void {
    const { reader } = block
    this.#block = block
    this.#reader = reader
    this.#groupIndex = index
    this.#opened = reader.header.groups[index] as BlockGroup
    this.group.openUnchecked(reader.bytes, this.#opened)
    this.#decoded.clear()
    this.#sharedKnown.clear()
    this.#variables.clear()
    this.#openFields.clear()
    this.#positions = undefined
    this.#sources = undefined
    this.#runEnd = 0
  }

  /** Points at the rows of one event type of the group: as queries see it, and as it was stored, which is what `data` gives. */
  select(rows: TypeRows, type: EventType, stored: EventType): void {
    this.#rows = rows
    this.#type = type
    this.#stored = stored
  }

  get rows(): TypeRows {
    return this.#rows as TypeRows
  }

  get type(): EventType {
    return this.#type as EventType
  }

  row(pick: number): number {
    const { rowOf } = this.rows
    return rowOf === undefined ? pick : (rowOf[pick] as number)
  }

  /** Runs of rows. */
  get shards(): BlockGroup['shards'] {
    return (this.#opened as BlockGroup).shards
  }

  /** What the group's directory knows of a column of the event type at hand, and of how many values; undefined when it knows nothing. */
  zone(column: ColumnRef): { readonly zone: ZoneMap; readonly count: number } | undefined {
    if (column.kind === 'shared') {
      const wide = WIDE[column.name]
      const zone = wide === undefined || column.name === 'sequence' ? undefined : this.group.zone(wide)
      return zone === undefined ? undefined : { zone, count: this.group.rowCount }
    }
    const index = column.indexes.get(this.type.number) ?? -1
    const zone = this.rows.section?.chunks[index * PARTS + PART_VALUES]?.zone
    return zone === undefined ? undefined : { zone, count: this.rows.rowCount }
  }

  /** Numbers within the shard, by row. */
  entities(): Uint32Array {
    return this.#narrow(COLUMN_ENTITY)
  }

  shardOf(row: number): number {
    if (row >= this.#runStart && row < this.#runEnd) return this.#runShard
    let end = 0
    for (const { shard, rowCount } of (this.#opened as BlockGroup).shards) {
      this.#runStart = end
      end += rowCount
      if (row >= end) continue
      this.#runEnd = end
      this.#runShard = shard
      return shard
    }
    throw new Damage('a row group has more rows than its shards')
  }

  /** Gives shard × `scale` + number of the entity of a pick: what tells entities apart without their names. */
  entityKeys(scale: number): (pick: number) => number {
    const numbers = this.entities()
    return (pick) => {
      const row = this.row(pick)
      return this.shardOf(row) * scale + (numbers[row] as number)
    }
  }

  /** Of all rows of the group; undefined in a block that is not clustered, where they are dense from `firstPosition`. */
  clusteredPositions(): Float64Array | undefined {
    const positions = this.#block?.positions
    if (positions === undefined) return undefined
    if (this.#positions === undefined) this.#counts.valuesScanned += this.group.rowCount
    return (this.#positions ??= positions.of(this.#groupIndex, this.group))
  }

  get firstPosition(): number {
    return (this.#reader as BlockReader).header.basePosition + (this.#opened as BlockGroup).rank
  }

  position(row: number): number {
    return this.clusteredPositions()?.[row] ?? this.firstPosition + row
  }

  /** A column of numbers or truths (0 and 1). Undefined values of a field are anything: see `presence`. */
  numbers(column: ColumnRef): NumberColumn {
    if (column.kind === 'field') return { values: this.field(column.indexes.get(this.type.number) as number).numbers(), at: undefined }
    const at = this.rows.rowOf
    const { name } = column
    const wide = WIDE[name]
    if (wide !== undefined) return { values: this.#wide(wide), at }
    return { values: this.#asNumbers(name), at }
  }

  /** 1 = there, per pick; undefined when all are. Shared columns of numbers always are, but `sequence`. */
  presence(column: ColumnRef): Uint8Array | undefined {
    if (column.kind === 'field') return this.field(column.indexes.get(this.type.number) as number).presence
    if (column.name !== 'sequence') return undefined
    const sources = this.#narrow(COLUMN_SOURCE)
    const { rowCount } = this.rows
    const there = new Uint8Array(rowCount)
    for (let pick = 0; pick < rowCount; pick++) there[pick] = sources[this.row(pick)] === 0 ? 0 : 1
    return there
  }

  /** Gives the values of a column one by one, as rows of a result have them; undefined where there is none. */
  reader(column: ColumnRef): (pick: number) => unknown {
    if (column.kind === 'field') {
      const index = column.indexes.get(this.type.number)
      if (index === undefined) return () => undefined
      const field = this.field(index)
      return (pick) => field.value(pick)
    }
    switch (column.name) {
      case 'position':
        return (pick) => this.position(this.row(pick))
      case 'entity': {
        const numbers = this.entities()
        return (pick) => this.#entityOf(this.row(pick), numbers)
      }
      case 'event': {
        const event = this.type.number === RECEIPT_TYPE ? undefined : this.type.event
        return () => event
      }
      case 'data':
        return this.#dataReader()
      case 'source':
        return (pick) => this.#source(this.row(pick))
      case 'correlation':
      case 'causation': {
        const id = BYTES[column.name] as number
        return (pick) => utf8.decode(this.#bytes(id, this.row(pick)))
      }
      case 'outcome':
        return (pick) => this.#bytes(COLUMN_OUTCOME, this.row(pick)).slice()
      case 'isLate': {
        const flags = this.#narrow(COLUMN_FLAGS)
        return (pick) => ((flags[this.row(pick)] as number) & FLAG_LATE) !== 0
      }
      case 'sequence': {
        const { values } = this.numbers(column)
        const sources = this.#narrow(COLUMN_SOURCE)
        return (pick) => (sources[this.row(pick)] === 0 ? undefined : values[this.row(pick)])
      }
      default: {
        const { values } = this.numbers(column)
        return (pick) => values[this.row(pick)]
      }
    }
  }

  field(index: number): FieldValues {
    return this.#open(index, this.type)
  }

  #open(index: number, type: EventType): FieldValues {
    const key = (type.number * 2 + (type === this.#type ? 0 : 1)) * 1024 + index
    let field = this.#fields.get(key)
    if (field === undefined) this.#fields.set(key, (field = new FieldValues()))
    if (this.#openFields.has(key)) return field
    const { section } = this.rows
    if (section === undefined) throw new Damage('a receipt has no fields')
    this.#counts.valuesScanned += field.open(section, index, type, this.group.blockReader)
    this.#openFields.add(key)
    return field
  }

  #dataReader(): (pick: number) => unknown {
    const type = this.#stored as EventType
    if (type.number === RECEIPT_TYPE) return () => ({})
    const columns = type.fields.map(({ name }, index) => ({ name, field: this.#open(index, type) }))
    return (pick) => {
      const data: Record<string, unknown> = {}
      for (const { name, field } of columns) {
        const value = field.value(pick)
        if (value !== undefined) data[name] = value
      }
      return data
    }
  }

  #entityOf(row: number, numbers: Uint32Array): EntityId {
    const number = numbers[row] as number
    const shard = this.shardOf(row)
    if (shard === this.#lastShard && number === this.#lastNumber) return this.#lastName
    const name = this.#journal.entityName(shard, number)
    if (name === undefined) throw new Damage('it has rows of an entity that the log does not name')
    this.#lastShard = shard
    this.#lastNumber = number
    this.#lastName = name
    return name
  }

  #source(row: number): string {
    const number = this.#narrow(COLUMN_SOURCE)[row] as number
    if (number === 0) return ''
    this.#sources ??= this.group.sourceNames().map((name) => utf8.decode(name))
    const source = this.#sources[number - 1]
    if (source === undefined) throw new Damage('a row names a source that is not there')
    return source
  }

  #bytes(column: number, row: number): Uint8Array {
    if (!this.#variables.has(column)) {
      this.#counts.valuesScanned += this.group.rowCount
      this.#variables.set(column, this.group.variable(column, { bytes: NOTHING, starts: new Uint32Array(0), isConstant: false }))
    }
    const variable = this.#variables.get(column)
    if (variable === undefined) return NOTHING
    return variable.isConstant ? variable.bytes : variable.bytes.subarray(variable.starts[row], variable.starts[row + 1])
  }

  /** A narrow column, or positions, as numbers. */
  #asNumbers(name: SharedName): Float64Array {
    const { rowCount } = this.group
    const clustered = name === 'position' ? this.clusteredPositions() : undefined
    if (clustered !== undefined) return clustered
    let numbers = this.#shared.get(name)
    if (numbers === undefined || numbers.length < rowCount) this.#shared.set(name, (numbers = new Float64Array(rowCount * 2)))
    if (this.#sharedKnown.has(name)) return numbers
    this.#sharedKnown.add(name)
    if (name === 'position') {
      const { firstPosition } = this
      for (let row = 0; row < rowCount; row++) numbers[row] = firstPosition + row
      return numbers
    }
    const from = this.#narrow(NARROW[name] as number)
    if (name === 'isLate') for (let row = 0; row < rowCount; row++) numbers[row] = (from[row] as number) & FLAG_LATE
    else for (let row = 0; row < rowCount; row++) numbers[row] = from[row] as number
    return numbers
  }

  #narrow(column: number): Uint32Array {
    this.#count(column)
    return this.group.narrow(column)
  }

  #wide(column: number): Float64Array {
    this.#count(column)
    return this.group.wide(column)
  }

  #count(column: number): void {
    if (this.#decoded.has(column)) return
    this.#decoded.add(column)
    this.#counts.valuesScanned += this.group.rowCount
  }
}
