import { type EntityId, shardOfId } from '#base/ids.js'
import { type Consumer, type Producer } from '#bus/index.js'
import { APPEND_HEADER_BYTES, OUTCOME_NONE, ROW_HEADER_BYTES, writeAppendHeader, writeRowHeader } from '#journal/append-frame.js'
import type { EntityHead } from '#journal/index.js'
import { type Codec, encodePayload } from '#schema/index.js'
import { APPEND_FRAME } from '#serving/serving-frames.js'

const NO_BYTES = new Uint8Array(0)

/**
 * Somebody who appends to entities that a worker owns, over a ring of its own: against the rules, and what the worker then has to find out by the row
 * that its next append builds on. Without such a one nothing is ever in conflict, and the rules for that would not be tried.
 */
export class ForeignWriter {
  readonly #appends: Producer
  readonly #answers: Consumer
  readonly #term: number
  readonly #shardCount: number
  readonly #typeNumber: number
  readonly #codec: Codec
  #number = 0

  constructor(options: {
    readonly appends: Producer
    readonly answers: Consumer
    readonly term: number
    readonly shardCount: number
    /** Of the event that it appends. */
    readonly typeNumber: number
    readonly codec: Codec
  }) {
    this.#appends = options.appends
    this.#answers = options.answers
    this.#term = options.term
    this.#shardCount = options.shardCount
    this.#typeNumber = options.typeNumber
    this.#codec = options.codec
  }

  /** That its appends were not taken is all the same to it, but what it is told must not fill the ring. */
  listen(): void {
    if (this.#answers.poll(() => undefined, Number.POSITIVE_INFINITY) > 0) this.#answers.release(this.#answers.readPosition)
  }

  /** Sends one row that builds on `head`, as far as there is room. */
  interfere(entity: EntityId, head: EntityHead | undefined, id: number): void {
    const name = new TextEncoder().encode(entity)
    const payload = encodePayload(this.#codec, { id })
    const length = APPEND_HEADER_BYTES + name.length + ROW_HEADER_BYTES + payload.length
    const offset = this.#appends.tryClaim(length, APPEND_FRAME)
    if (offset < 0) return
    const { bytes, view } = this.#appends
    const header = {
      number: ++this.#number,
      term: this.#term,
      expectedVersion: head?.version ?? 0,
      baseTerm: head?.term ?? 0,
      baseNumber: head?.appendNumber ?? 0,
      shard: shardOfId(entity, this.#shardCount),
      rowCount: 1,
      at: 0,
      accepted: 1,
      sequence: 0,
      entity: name,
      source: NO_BYTES,
      correlation: NO_BYTES,
      causation: NO_BYTES,
      outcome: NO_BYTES,
      outcomeKind: OUTCOME_NONE,
      flags: 0,
    } as const
    const rows = writeAppendHeader(header, bytes, view, offset)
    bytes.set(payload, writeRowHeader(this.#typeNumber, payload.length, view, rows))
    this.#appends.commit()
    this.#appends.publish()
  }
}
