import { assert } from '#base/assert.js'
import type { MillraceError } from '#base/errors.js'
import { OUTCOME_NONE, type OutcomeKind, RECEIPT_TYPE, FLAG_LATE } from './append-frame.js'
import type { BlockGroup, BlockHeader } from './block-format.js'
import { BlockPositions } from './block-positions.js'
import { BlockReader, blockDamaged } from './block-reader.js'
import { Damage } from './bytes.js'
import { EventDecoder } from './event-decoder.js'
import type { EventType } from './journal.js'
import { unlessDamaged } from './log-damage.js'
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
  RowGroup,
  type VariableColumn,
} from './row-group.js'

/**
 * The fast way through the rows of a block: for recovery, replay and everything built on them. Columns are decoded per group, one row object
 * serves all rows, and events come from generated decoders. Decoders are kept per array of event types: pass the same array again and again.
 * Throws ERR_BLOCK_DAMAGED where a check fails, before the first row of the group.
 */
export class BlockReplay {
  readonly #reader: BlockReader
  readonly #context: ReplayContext

  constructor(block: Uint8Array, types: readonly EventType[], segment?: string) {
    this.#reader = new BlockReader(block, segment)
    let context = contexts.get(types)
    if (context === undefined) contexts.set(types, (context = new ReplayContext(types)))
    this.#context = context
  }

  get header(): BlockHeader {
    return this.#reader.header
  }

  /**
   * As `forEachRow`, in one pass for all shards of which `eachOf` gives what is to be called with their rows. Groups without such a shard are not decoded.
   * With `onDamaged` a group that is damaged is passed over, and told.
   */
  forEachRowOfShards(eachOf: (shard: number) => ((row: ReplayRow) => void) | undefined, onDamaged?: (damage: MillraceError) => void): void {
    for (const group of this.header.groups) {
      let start = 0
      for (const { shard, rowCount } of group.shards) {
        const each = eachOf(shard)
        if (each !== undefined) {
          if (!this.#tryOpen(group, onDamaged)) break
          this.#context.each(shard, start, start + rowCount, each)
        }
        start += rowCount
      }
    }
  }

  #tryOpen(group: BlockGroup, onDamaged: ((damage: MillraceError) => void) | undefined): boolean {
    const open = (): true => {
      this.#context.open(this.#reader, group)
      return true
    }
    return onDamaged === undefined ? open() : (unlessDamaged(open, onDamaged) ?? false)
  }

  /** The rows of one shard by (entity number, version). The row is valid until `each` returns. Decodes only groups that may have what is wanted. */
  forEachRow(shard: number, each: (row: ReplayRow) => void, wanted: GroupFilter = {}): void {
    const { entity, rankMin = 0, rankMax = Infinity } = wanted
    for (const group of this.header.groups) {
      let start = 0
      for (const { shard: own, rowCount, entityMin, entityMax } of group.shards) {
        const isIn = group.rank <= rankMax && group.rank + group.rowCount > rankMin
        if (own === shard && isIn && (entity === undefined || (entity >= entityMin && entity <= entityMax))) {
          this.#context.open(this.#reader, group)
          this.#context.each(shard, start, start + rowCount, each)
        }
        start += rowCount
        // Shards ascend, and only a clustered block has more of one in its next group.
        if (own > shard) return
      }
    }
  }
}

/** Which groups of a block may have what is wanted. */
export interface GroupFilter {
  /** Number of an entity. */
  readonly entity?: number
  /** Ranks of rows within the block. */
  readonly rankMin?: number
  readonly rankMax?: number
}

/** One row as BlockReplay passes by. Strings, bytes and data are decoded when asked for and may be kept; the row itself may not. */
export class ReplayRow {
  shard = 0
  entityNumber = 0
  version = 0
  /** RECEIPT_TYPE for a receipt. */
  typeNumber = RECEIPT_TYPE as number
  at = 0
  /** Of the writer: which append this row came with. */
  term = 0
  appendNumber = 0
  /** Of the source; 0 when there is none. */
  sequence = 0
  outcomeKind: OutcomeKind = OUTCOME_NONE
  /** Within its group. */
  index = 0
  readonly #context: ReplayContext

  constructor(context: ReplayContext) {
    this.#context = context
  }

  get position(): number {
    return this.#context.position(this.index)
  }
  /** Empty when the row has none. */
  get source(): string {
    return this.#context.source(this.index)
  }
  get outcome(): Uint8Array {
    return this.#context.bytes(COLUMN_OUTCOME, this.index)
  }
  get correlation(): string {
    return this.#context.text(COLUMN_CORRELATION, this.index)
  }
  get causation(): string {
    return this.#context.text(COLUMN_CAUSATION, this.index)
  }
  get accepted(): number {
    return this.#context.columns?.accepted[this.index] as number
  }
  get isLate(): boolean {
    return ((this.#context.columns?.flags[this.index] as number) & FLAG_LATE) !== 0
  }

  /** The event, as the schema's codec would give it; an empty object for a receipt. */
  data(): Record<string, unknown> {
    return this.typeNumber === RECEIPT_TYPE ? {} : this.#context.event(this.typeNumber, this.index)
  }
}

const utf8 = new TextDecoder()
const contexts = new WeakMap<readonly EventType[], ReplayContext>()
const NOTHING = new Uint8Array(0)

/** What replaying blocks of one set of event types needs again and again. Serves one group at a time, of whichever block asked last. */
class ReplayContext {
  readonly group = new RowGroup()
  columns: GroupColumns | undefined
  #isBusy = false
  readonly #types: readonly EventType[]
  readonly #row = new ReplayRow(this)
  readonly #decoders: (EventDecoder | undefined)[] = []
  /** Decoders that have a section of the group at hand open, by type number. */
  readonly #openSections = new Map<number, EventDecoder>()
  #reader: BlockReader | undefined
  #opened: BlockGroup | undefined
  /** Position of the first row of the group, when the block is not clustered. */
  #firstPosition = 0
  /** Of the block at hand, when it is clustered; and of the group, once asked for. */
  #clustered: BlockPositions | undefined
  #positions: Float64Array | undefined
  /** Per row its rank among the rows of its type. */
  #ranks = new Uint32Array(0)
  #sources: Uint8Array[] = []
  #sourceTexts: (string | undefined)[] = []
  /** By column, once asked for; null where all are empty. */
  readonly #variables: (VariableColumn | null | undefined)[] = []

  constructor(types: readonly EventType[]) {
    this.#types = types
  }

  open(reader: BlockReader, group: BlockGroup): void {
    if (this.#reader === reader && this.#opened === group) return
    this.#opened = undefined
    this.#positions = undefined
    if (this.#reader !== reader) this.#clustered = reader.header.isClustered ? new BlockPositions(reader) : undefined
    this.#firstPosition = reader.header.basePosition + group.rank
    reader.group(group, this.group)
    reader.guard(() => {
      this.#rank()
      this.#sources = this.group.sourceNames()
      this.columns = decodeColumns(this.group)
    })
    this.#sourceTexts = []
    this.#variables.length = 0
    this.#openSections.clear()
    this.#reader = reader
    this.#opened = group
  }

  each(shard: number, start: number, end: number, each: (row: ReplayRow) => void): void {
    assert(!this.#isBusy, 'blocks of the same event types are replayed one after the other')
    this.#isBusy = true
    try {
      this.#each(shard, start, end, each)
    } finally {
      this.#isBusy = false
    }
  }

  #each(shard: number, start: number, end: number, each: (row: ReplayRow) => void): void {
    const { entities, versions, types, ats, terms, numbers, sequences, outcomeKinds } = this.columns as GroupColumns
    const row = this.#row
    for (let index = start; index < end; index++) {
      row.index = index
      row.shard = shard
      row.entityNumber = entities[index] as number
      row.version = versions[index] as number
      row.typeNumber = types[index] as number
      row.at = ats[index] as number
      row.term = terms[index] as number
      row.appendNumber = numbers[index] as number
      row.sequence = sequences[index] as number
      row.outcomeKind = outcomeKinds[index] as OutcomeKind
      each(row)
    }
  }

  position(index: number): number {
    if (this.#clustered === undefined) return this.#firstPosition + index
    const reader = this.#reader as BlockReader
    this.#positions ??= this.#clustered.of(reader.header.groups.indexOf(this.#opened as BlockGroup), this.group)
    return this.#positions[index] as number
  }

  event(typeNumber: number, index: number): Record<string, unknown> {
    const decoder = this.#openSections.get(typeNumber) ?? this.#openSection(typeNumber)
    try {
      return decoder.event(this.#ranks[index] as number)
    } catch (error) {
      throw blockDamaged(error, this.#segment, this.#block)
    }
  }

  source(index: number): string {
    const number = this.columns?.sources[index] as number
    if (number === 0) return ''
    const known = this.#sourceTexts[number]
    if (known !== undefined) return known
    const bytes = this.#sources[number - 1]
    if (bytes === undefined) throw blockDamaged(new Damage('a row names a source that is not there'), this.#segment, this.#block)
    const text = utf8.decode(bytes)
    this.#sourceTexts[number] = text
    return text
  }

  text(column: number, index: number): string {
    const bytes = this.bytes(column, index)
    return bytes.length === 0 ? '' : utf8.decode(bytes)
  }

  /** A copy, so that what is kept of a row does not keep its block. */
  bytes(column: number, index: number): Uint8Array {
    let variable = this.#variables[column]
    if (variable === undefined) this.#variables[column] = variable = this.#openVariable(column)
    if (variable === null) return NOTHING
    if (variable.isConstant) return variable.bytes.slice()
    const [start, end] = [variable.starts[index] as number, variable.starts[index + 1] as number]
    return start === end ? NOTHING : variable.bytes.slice(start, end)
  }

  #openVariable(column: number): VariableColumn | null {
    const empty = { bytes: NOTHING, starts: new Uint32Array(0), isConstant: false }
    return (this.#reader as BlockReader).guard(() => this.group.variable(column, empty)) ?? null
  }

  #rank(): void {
    const { rowCount, sections } = this.group
    const types = this.group.narrow(COLUMN_TYPE)
    if (this.#ranks.length < rowCount) this.#ranks = new Uint32Array(rowCount * 2)
    const ranks = this.#ranks
    const seen = new Map<number, number>()
    let lastType = RECEIPT_TYPE as number
    let rank = 0
    for (let index = 0; index < rowCount; index++) {
      const type = types[index] as number
      if (type !== lastType) {
        seen.set(lastType, rank)
        rank = seen.get(type) ?? 0
        lastType = type
      }
      ranks[index] = rank++
    }
    seen.set(lastType, rank)
    seen.delete(RECEIPT_TYPE)
    for (const section of sections) {
      if (seen.get(section.typeNumber) !== section.rowCount) throw new Damage('an event type has other rows than its columns')
      seen.delete(section.typeNumber)
    }
    if (seen.size > 0) throw new Damage('an event type has rows and no columns')
  }

  #openSection(typeNumber: number): EventDecoder {
    return (this.#reader as BlockReader).guard(() => {
      const section = this.group.sections.find((one) => one.typeNumber === typeNumber)
      const type = this.#types.find((one) => one.number === typeNumber)
      if (section === undefined || type === undefined) throw new Damage(`it has rows of event type ${typeNumber}, which is not known`)
      let decoder = this.#decoders[typeNumber]
      if (decoder === undefined) this.#decoders[typeNumber] = decoder = new EventDecoder(type)
      decoder.open(section, this.group.blockReader)
      this.#openSections.set(typeNumber, decoder)
      return decoder
    })
  }

  get #segment(): string {
    return (this.#reader as BlockReader).segment
  }

  get #block(): number {
    return (this.#reader as BlockReader).header.basePosition
  }
}

type GroupColumns = ReturnType<typeof decodeColumns>

/** The shared columns that every row shows. */
function decodeColumns(group: RowGroup) {
  return {
    entities: group.narrow(COLUMN_ENTITY),
    versions: group.narrow(COLUMN_VERSION),
    types: group.narrow(COLUMN_TYPE),
    ats: group.wide(COLUMN_AT),
    terms: group.narrow(COLUMN_TERM),
    numbers: group.narrow(COLUMN_APPEND_NUMBER),
    sequences: group.wide(COLUMN_SEQUENCE),
    accepted: group.wide(COLUMN_ACCEPTED),
    flags: group.narrow(COLUMN_FLAGS),
    sources: group.narrow(COLUMN_SOURCE),
    outcomeKinds: group.narrow(COLUMN_OUTCOME_KIND),
  }
}
