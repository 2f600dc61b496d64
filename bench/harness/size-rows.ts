import { Prng } from '#base/prng.js'
import type { FieldSchema } from '#schema/index.js'

/** Events of a public data set, as a plant would have stored them. */
export interface SizeData {
  readonly name: string
  readonly types: readonly SizeType[]
  /** In the order in which they were taken in. */
  readonly rows: readonly SizeRow[]
  /** Measured values and states: cells of the source, not rows. */
  readonly samples: number
}

export interface SizeType {
  readonly entity: string
  readonly event: string
  readonly fields: readonly FieldSchema[]
}

/** One event with all that the log keeps of it. */
export interface SizeRow {
  readonly entity: string
  readonly type: SizeType
  readonly version: number
  readonly at: number
  readonly accepted: number
  readonly source: string
  readonly sequence: number
  readonly appendNumber: number
  readonly data: Readonly<Record<string, unknown>>
}

/** What a plant adds to an event: every command has one event and a reply without content, no correlation, nothing is late, and the worker has term 1. */
export const TERM = 1
/** Commands that a gateway takes from one read of a file. */
const ROWS_PER_READ = 512

/** Puts rows into the order of intake, giving each what ingest and worker give it: version, sequence, append number, and when it was accepted. */
export class Intake {
  readonly rows: SizeRow[] = []
  readonly #versions = new Map<string, number>()
  readonly #sequences = new Map<string, number>()
  readonly #prng: Prng
  #accepted = Date.UTC(2026, 4, 11, 6) * 1000

  constructor(name: string) {
    this.#prng = new Prng(name)
  }

  /** `source` is what a door calls the file or the adapter that the event came from. */
  take(entity: string, type: SizeType, at: number, source: string, data: Readonly<Record<string, unknown>>): void {
    const version = (this.#versions.get(entity) ?? 0) + 1
    const sequence = (this.#sequences.get(source) ?? 0) + 1
    this.#versions.set(entity, version)
    this.#sequences.set(source, sequence)
    this.#accepted += this.#step()
    this.rows.push({ entity, type, version, at, accepted: this.#accepted, source, sequence, appendNumber: this.rows.length + 1, data })
  }

  /** A row takes some microseconds, sometimes many, and a read of the file some hundred. */
  #step(): number {
    const work = 3 - Math.log(1 - this.#prng.next()) * 2.5
    const pause = this.rows.length % ROWS_PER_READ === 0 ? 200 + this.#prng.below(900) : 0
    return Math.round(work + pause)
  }
}
