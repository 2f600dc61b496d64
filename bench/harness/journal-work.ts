import { type EntityId, entityId, shardOfId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import {
  type AppendHeader,
  appendHeaderBytes,
  OUTCOME_REPLY,
  ROW_HEADER_BYTES,
  writeAppendHeader,
  writeRowHeader,
} from '#journal/append-frame.js'
import type { AppendBatch, EventType, EventTypeDeclaration, Row, Snapshot } from '#journal/journal.js'
import { createCodec, encodePayload, type FieldKind, type FieldSchema } from '#schema/index.js'
import { frameBatch } from '#journal/frame-batch.js'

/** What work on a journal is made of. The same seed gives the same work, step for step and bit for bit. */
export type WorkStep =
  | { readonly kind: 'append'; readonly batch: AppendBatch }
  | { readonly kind: 'snapshots'; readonly snapshots: readonly Snapshot[] }
  | { readonly kind: 'checkpoint'; readonly name: string; readonly value: Uint8Array }
  | { readonly kind: 'seal' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'reopen' }

const ENTITIES = 24
const CHECKPOINTS = 3
const ROWS_MAX = 60
const ROWS_MAX_OF_A_LARGE_BATCH = 900

export const WORK_TYPES: readonly EventTypeDeclaration[] = [
  {
    entity: 'press',
    event: 'Sampled',
    fields: [field('temperature', 'f64'), field('force', 'f64'), field('state', 'label'), field('cycle', 'i32')],
  },
  { entity: 'press', event: 'Noted', fields: [field('text', 'text'), field('detail', 'json')] },
]

/** Doubles that encodings must not touch. */
const ODD_DOUBLES = [Number.NaN, -0, Infinity, -Infinity, 5e-324, Number.MAX_VALUE]

/** Writes appends as a worker would, and mixes them with what else a journal does: snapshots, checkpoints, sealing, retention, closing and opening. */
export class JournalWork {
  readonly #prng: Prng
  readonly #types: readonly EventType[]
  readonly #family: string
  readonly #term: number
  readonly #heads = new Map<EntityId, { version: number; number: number }>()
  #number = 0
  #accepted = 1_700_000_000_000_000

  /** On a log that has rows already, work begins with entities of another family and under a higher term. */
  constructor(seed: number | string, types: readonly EventType[], { family = 'press', term = 1 } = {}) {
    this.#prng = new Prng(`${seed}-work`)
    this.#types = types
    this.#family = family
    this.#term = term
  }

  *steps(count: number): Generator<WorkStep> {
    for (let step = 0; step < count; step++) {
      const dice = this.#prng.next()
      if (dice < 0.72 || step === 0) yield this.append(this.#prng.next() < 0.08 ? ROWS_MAX_OF_A_LARGE_BATCH : ROWS_MAX)
      else if (dice < 0.82) yield this.#snapshots()
      else if (dice < 0.9) yield this.#checkpoint(step)
      else if (dice < 0.95) yield { kind: 'seal' }
      else if (dice < 0.97) yield { kind: 'drop' }
      else yield { kind: 'reopen' }
    }
  }

  append(rowsMax: number): WorkStep & { readonly kind: 'append' } {
    return { kind: 'append', batch: frameBatch(Array.from({ length: 1 + this.#prng.below(rowsMax) }, () => this.#frame())) }
  }

  #snapshots(): WorkStep {
    const snapshots = [...this.#heads].slice(0, 1 + this.#prng.below(4)).map(([entity, { version, number }]) => ({
      entity,
      version,
      term: 1,
      appendNumber: number,
      position: 0,
      bytes: snapshotBytes(entity, version),
    }))
    return { kind: 'snapshots', snapshots }
  }

  #checkpoint(step: number): WorkStep {
    const value = new Uint8Array(8)
    new DataView(value.buffer).setUint32(0, step)
    return { kind: 'checkpoint', name: `reader-${this.#prng.below(CHECKPOINTS)}`, value }
  }

  #frame(): Uint8Array {
    const prng = this.#prng
    const entity = entityId('press', `${this.#family}-${prng.below(ENTITIES)}`)
    const base = this.#heads.get(entity) ?? { version: 0, number: 0 }
    const type = this.#types[prng.next() < 0.9 ? 0 : 1] as EventType
    const value = prng.next() < 0.05 ? prng.pick(ODD_DOUBLES) : Math.round(prng.normal(80, 4) * 10) / 10
    const data =
      type.event === 'Sampled'
        ? { temperature: value, force: prng.next() * 100, state: prng.pick(['idle', 'running', 'stopped']), cycle: base.version }
        : { text: `seen at ${base.version}`, detail: { by: 'shift', n: prng.below(1000) } }
    const payload = encodePayload(createCodec(type.fields), data)
    const utf8 = new TextEncoder()
    const accepted = (this.#accepted += prng.below(2000))
    const header: AppendHeader = {
      number: ++this.#number,
      term: this.#term,
      expectedVersion: base.version,
      baseTerm: base.number === 0 ? 0 : this.#term,
      baseNumber: base.number,
      shard: shardOfId(entity, 64),
      rowCount: 1,
      at: accepted - prng.below(500),
      accepted,
      sequence: this.#number,
      entity: utf8.encode(entity),
      source: utf8.encode('gateway'),
      correlation: new Uint8Array(0),
      causation: new Uint8Array(0),
      outcome: Uint8Array.of(0xc0),
      outcomeKind: OUTCOME_REPLY,
      flags: 0,
    }
    const bytes = new Uint8Array(appendHeaderBytes(header) + ROW_HEADER_BYTES + payload.length)
    const view = new DataView(bytes.buffer)
    const start = writeAppendHeader(header, bytes, view, 0)
    bytes.set(payload, writeRowHeader(type.number, payload.length, view, start))
    this.#heads.set(entity, { version: base.version + 1, number: this.#number })
    return bytes
  }
}

/** What a snapshot of the work holds: a snapshot found later must have just this. */
export function snapshotBytes(entity: EntityId, version: number): Uint8Array {
  return new TextEncoder().encode(`${entity} at ${version} `.repeat(1 + (version % 40)))
}

/** Everything of a row as text, so that equal texts mean equal rows, bit for bit. */
export function rowText(row: Row): string {
  const { position, entity, version, event, at, accepted, isLate, source, sequence, correlation, causation, term, appendNumber } = row
  const bits = Buffer.alloc(8)
  const data = Object.entries(row.data).map(([name, value]) => {
    if (typeof value !== 'number') return `${name}=${JSON.stringify(value)}`
    bits.writeDoubleBE(value)
    return `${name}=${bits.toString('hex')}`
  })
  const fixed = [position, entity, version, event, at, accepted, isLate, source, sequence, correlation, causation, term, appendNumber]
  return [...fixed, row.outcomeKind, Buffer.from(row.outcome).toString('hex'), ...data].join(' ')
}

function field(name: string, kind: FieldKind): FieldSchema {
  return { name, kind, isOptional: false }
}
