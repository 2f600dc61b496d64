import { type EntityId, shardOfId } from '#base/ids.js'
import {
  type AppendHeader,
  appendHeaderBytes,
  OUTCOME_NONE,
  type OutcomeKind,
  ROW_HEADER_BYTES,
  writeAppendHeader,
  writeRowHeader,
} from '#journal/append-frame.js'
import type { AppendBatch, EventType, EventTypeDeclaration } from '#journal/journal.js'
import { type Codec, createCodec, encodePayload, type FieldKind, type FieldSchema } from '#schema/index.js'

export function field(name: string, kind: FieldKind, more: Partial<FieldSchema> = {}): FieldSchema {
  return { name, kind, isOptional: false, ...more }
}

export const SAMPLED: EventTypeDeclaration = {
  entity: 'press',
  event: 'Sampled',
  fields: [field('temperature', 'f64'), field('force', 'f64')],
}
export const ALARM_RAISED: EventTypeDeclaration = {
  entity: 'press',
  event: 'AlarmRaised',
  fields: [field('code', 'label'), field('value', 'f64')],
}

export interface TestRow {
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

export interface TestAppend {
  readonly entity: EntityId
  /** The row it builds on; taken from what this writer wrote last when left out. */
  readonly expectedVersion?: number
  readonly baseTerm?: number
  readonly baseNumber?: number
  readonly number?: number
  readonly term?: number
  /** None: a receipt. */
  readonly rows: readonly TestRow[]
  readonly at?: number
  readonly accepted?: number
  readonly source?: string
  readonly sequence?: number
  readonly correlation?: string
  readonly causation?: string
  readonly outcomeKind?: OutcomeKind
  readonly outcome?: Uint8Array
  readonly flags?: number
}

/** Writes append frames as a worker would: numbers its appends and remembers where each entity stands. */
export class TestWriter {
  readonly slot: number
  readonly shardCount: number
  term: number
  number = 0
  readonly #types: readonly EventType[]
  readonly #heads = new Map<string, { version: number; term: number; number: number }>()
  #accepted = 1_700_000_000_000_000

  constructor(types: readonly EventType[], options: { slot?: number; term?: number; shardCount?: number } = {}) {
    this.#types = types
    this.slot = options.slot ?? 0
    this.term = options.term ?? 1
    this.shardCount = options.shardCount ?? 64
  }

  /** A sample of a press: the most ordinary append. */
  sample(entity: EntityId, temperature: number, more: Partial<TestAppend> = {}): Uint8Array {
    return this.append({ entity, rows: [{ event: 'Sampled', data: { temperature, force: temperature / 2 } }], ...more })
  }

  append(append: TestAppend): Uint8Array {
    const base = this.#heads.get(append.entity) ?? { version: 0, term: 0, number: 0 }
    const number = append.number ?? ++this.number
    const term = append.term ?? this.term
    const expectedVersion = append.expectedVersion ?? base.version
    const rows = append.rows.map(({ event, data }) => {
      const type = this.#types.find((one) => one.entity === append.entity.split('/')[0] && one.event === event)
      if (type === undefined) throw new Error(`no type ${event}`)
      return { type: type.number, payload: encodePayload(codecOf(type), data) }
    })
    if (rows.length === 0) rows.push({ type: 0, payload: new Uint8Array(0) })
    const accepted = append.accepted ?? this.#accepted++
    const utf8 = new TextEncoder()
    const header: AppendHeader = {
      number,
      term,
      expectedVersion,
      baseTerm: append.baseTerm ?? base.term,
      baseNumber: append.baseNumber ?? base.number,
      shard: shardOfId(append.entity, this.shardCount),
      rowCount: rows.length,
      at: append.at ?? accepted,
      accepted,
      sequence: append.sequence ?? 0,
      entity: utf8.encode(append.entity),
      source: utf8.encode(append.source ?? ''),
      correlation: utf8.encode(append.correlation ?? ''),
      causation: utf8.encode(append.causation ?? ''),
      outcome: append.outcome ?? new Uint8Array(0),
      outcomeKind: append.outcomeKind ?? OUTCOME_NONE,
      flags: append.flags ?? 0,
    }
    const bytes = new Uint8Array(appendHeaderBytes(header) + rows.reduce((sum, row) => sum + ROW_HEADER_BYTES + row.payload.length, 0))
    const view = new DataView(bytes.buffer)
    let end = writeAppendHeader(header, bytes, view, 0)
    for (const row of rows) {
      end = writeRowHeader(row.type, row.payload.length, view, end)
      bytes.set(row.payload, end)
      end += row.payload.length
    }
    this.#heads.set(append.entity, { version: expectedVersion + rows.length, term, number })
    return bytes
  }
}

/** Made once per type: making one takes longer than a thousand rows. */
const codecs = new WeakMap<EventType, Codec>()

function codecOf(type: EventType): Codec {
  const known = codecs.get(type) ?? createCodec(type.fields)
  codecs.set(type, known)
  return known
}

/** Frames of one slot, or of the slot given per frame, as a batch in one piece of memory at odd offsets. */
export function batchOf(frames: readonly Uint8Array[], slots: number | readonly number[] = 0): AppendBatch {
  const gap = 3
  const bytes = new Uint8Array(new SharedArrayBuffer(frames.reduce((sum, frame) => sum + frame.length + gap, gap)))
  const offsets: number[] = []
  let end = gap
  for (const frame of frames) {
    offsets.push(end)
    bytes.set(frame, end)
    end += frame.length + gap
  }
  return {
    count: frames.length,
    memories: [{ bytes, view: new DataView(bytes.buffer) }],
    memory: frames.map(() => 0),
    offsets,
    lengths: frames.map((frame) => frame.length),
    slots: frames.map((_, index) => (typeof slots === 'number' ? slots : (slots[index] as number))),
  }
}
