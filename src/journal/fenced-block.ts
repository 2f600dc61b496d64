import { MillraceError } from '#base/errors.js'
import { type AppendHeader, appendHeaderBytes, OUTCOME_NONE, ROW_HEADER_BYTES, writeAppendHeader, writeRowHeader } from './append-frame.js'
import { BlockBuilder } from './block-builder.js'
import type { BlockEntities } from './block-format.js'
import type { EventTypes } from './event-types.js'

/** The event that takes the place of a row that is gone. It has no fields, and no plant can declare it: whoever folds it fails, and knows why. */
export const FENCED_EVENT = '#fenced'

/** Why the state of an entity cannot be had: this row of it cannot be read, or repair gave it up, and no snapshot covers it. */
export function rowsFenced(entity: string, version: number): MillraceError {
  return new MillraceError('ERR_ROWS_FENCED', {
    fact: 'rows of an entity are damaged, and what they said is gone',
    action: 'operator',
    values: { entity, version },
    next: 'stop the plant and run millrace log verify and millrace log repair, or restore a backup that has them; the entity takes no commands, and all others work',
  })
}

/** A row that is gone, as far as it is known which it was. */
export interface LostRow {
  readonly entity: string
  readonly shard: number
  /** Of the entity within its shard. */
  readonly number: number
  readonly version: number
  readonly term: number
  readonly appendNumber: number
}

export interface FencedBlockParts {
  readonly basePosition: number
  readonly previousHash: Uint8Array
  readonly rows: readonly LostRow[]
  readonly newEntities: readonly BlockEntities[]
  /** Of the rows, microseconds since 1970. */
  readonly accepted: number
  /** The number of the fenced event of an entity's type. */
  readonly typeOf: (entity: string) => number
}

/** A block of fenced rows, as many as the block had whose place it takes: positions and versions go on as they were. */
export function fencedBlock(types: EventTypes, parts: FencedBlockParts): Buffer {
  const builder = new BlockBuilder(types)
  const frames = parts.rows.map((row) => frameOf(row, parts.accepted, parts.typeOf(row.entity)))
  const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0))
  builder.rows.memories = [{ bytes, view: new DataView(bytes.buffer) }]
  let end = 0
  for (const [index, frame] of frames.entries()) {
    const { shard, number } = parts.rows[index] as LostRow
    bytes.set(frame, end)
    builder.rows.add(0, end, frame.length, 1, shard, number)
    end += frame.length
  }
  const { basePosition, previousHash, newEntities } = parts
  return Buffer.from(builder.finish({ basePosition, previousHash, marks: [], newEntities }))
}

function frameOf({ entity, shard, version, term, appendNumber }: LostRow, accepted: number, type: number): Uint8Array {
  const none = new Uint8Array(0)
  const header: AppendHeader = {
    number: appendNumber,
    term,
    expectedVersion: version - 1,
    baseTerm: 0,
    baseNumber: 0,
    shard,
    rowCount: 1,
    at: accepted,
    accepted,
    sequence: 0,
    entity: new TextEncoder().encode(entity),
    source: none,
    correlation: none,
    causation: none,
    outcome: none,
    outcomeKind: OUTCOME_NONE,
    flags: 0,
  }
  const bytes = new Uint8Array(appendHeaderBytes(header) + ROW_HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  writeRowHeader(type, 0, view, writeAppendHeader(header, bytes, view, 0))
  return bytes
}
