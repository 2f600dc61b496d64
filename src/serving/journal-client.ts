import { pack } from '#base/pack.js'
import { assert } from '#base/assert.js'
import { type Consumer, INSUFFICIENT_CAPACITY, type Producer } from '#bus/index.js'
import {
  LOAD_FRAME,
  type LoadRequest,
  PIECE_FRAME,
  PIECE_HEADER_BYTES,
  REJECTED_BYTES,
  REJECTED_FRAME,
  SNAPSHOT_FRAME,
  SNAPSHOT_HEADER_BYTES,
} from './serving-frames.js'

export interface Rejection {
  readonly appendNumber: number
  readonly term: number
  readonly headVersion: number
  readonly kind: number
}

export interface LoadMessage {
  readonly load: number
  readonly kind: number
  /** The receiver's to keep. */
  readonly bytes: Uint8Array
}

/**
 * The worker's end of the Journal port. Appends are written straight into claimed frames of `appends`; what the journal answers comes
 * back through `pollRejections` and `pollLoads`. One per worker slot; used by the worker's event loop only.
 */
export class JournalClient {
  readonly appends: Producer
  readonly #answers: Consumer
  readonly #bulk: Consumer
  #loadNumber = 0
  #message: Uint8Array | undefined
  #received = 0

  constructor(channels: { readonly appends: Producer; readonly answers: Consumer; readonly bulk: Consumer }) {
    this.appends = channels.appends
    this.#answers = channels.answers
    this.#bulk = channels.bulk
  }

  /** Everything sent before this position of the appends channel is durable or was rejected. Load it before `pollRejections`. */
  releasedPosition(): number {
    return this.appends.releasedPosition()
  }

  /** Changes when the journal was replaced: what it owed to a load will not come. */
  get journalTerm(): number {
    return this.#bulk.producerTerm
  }

  get hasAnswers(): boolean {
    return this.#answers.hasFrames() || this.#bulk.hasFrames()
  }

  /**
   * Asks for shards or for one entity; the answer comes after everything sent before is resolved. Returns the load's number, or
   * INSUFFICIENT_CAPACITY. Visible after `appends.publish()`.
   */
  tryLoad(what: { readonly shards: readonly number[] } | { readonly entity: string }): number {
    const load = this.#loadNumber + 1
    const request: LoadRequest = { load, shards: 'shards' in what ? what.shards : [], entity: 'entity' in what ? what.entity : undefined }
    const bytes = pack(request)
    const offset = this.appends.tryClaim(bytes.length, LOAD_FRAME)
    if (offset < 0) return INSUFFICIENT_CAPACITY
    this.appends.bytes.set(bytes, offset)
    this.appends.commit()
    this.#loadNumber = load
    return load
  }

  /**
   * Hands a snapshot over; call it right behind the append that made its version. False when there is no room or when it is too large for a frame:
   * a snapshot may always be left out.
   */
  trySnapshot(entity: Uint8Array, version: number, term: number, appendNumber: number, state: Uint8Array): boolean {
    const offset = this.appends.tryClaim(SNAPSHOT_HEADER_BYTES + entity.length + state.length, SNAPSHOT_FRAME)
    if (offset < 0) return false
    const { bytes, view } = this.appends
    view.setUint32(offset, version, true)
    view.setUint32(offset + 4, term, true)
    view.setUint32(offset + 8, appendNumber, true)
    view.setUint32(offset + 12, entity.length, true)
    bytes.set(entity, offset + SNAPSHOT_HEADER_BYTES)
    bytes.set(state, offset + SNAPSHOT_HEADER_BYTES + entity.length)
    this.appends.commit()
    return true
  }

  /** The next rejected append, or undefined. */
  pollRejection(): Rejection | undefined {
    const offset = this.#answers.next()
    if (offset < 0) return undefined
    assert(this.#answers.type === REJECTED_FRAME, 'the answers channel carries rejections only')
    assert(this.#answers.length >= REJECTED_BYTES, 'a rejection is whole')
    const view = this.#answers.view
    const rejection = {
      appendNumber: view.getUint32(offset, true),
      term: view.getUint32(offset + 4, true),
      headVersion: view.getUint32(offset + 8, true),
      kind: view.getUint32(offset + 12, true),
    }
    this.#answers.release(this.#answers.endPosition)
    return rejection
  }

  /** The next whole message of a load, or undefined when there is none yet. Takes at most `piecesMax` pieces off the channel. */
  pollLoad(piecesMax = 64): LoadMessage | undefined {
    for (let pieces = 0; pieces < piecesMax; pieces++) {
      const offset = this.#bulk.next()
      if (offset < 0) return undefined
      assert(this.#bulk.type === PIECE_FRAME, 'the bulk channel carries pieces only')
      const view = this.#bulk.view
      const load = view.getUint32(offset, true)
      const kind = view.getUint32(offset + 4, true)
      const wholeBytes = view.getUint32(offset + 8, true)
      const at = view.getUint32(offset + 12, true)
      const pieceBytes = this.#bulk.length - PIECE_HEADER_BYTES
      if (at === 0) {
        this.#message = new Uint8Array(wholeBytes)
        this.#received = 0
      }
      const message = this.#message
      // A piece whose beginning went to a predecessor, or to a journal that died in the middle, belongs to nobody.
      if (message !== undefined && at === this.#received && at + pieceBytes <= message.length) {
        message.set(this.#bulk.bytes.subarray(offset + PIECE_HEADER_BYTES, offset + PIECE_HEADER_BYTES + pieceBytes), at)
        this.#received += pieceBytes
      } else {
        this.#message = undefined
      }
      this.#bulk.release(this.#bulk.endPosition)
      if (message !== undefined && this.#message === message && this.#received === message.length) {
        this.#message = undefined
        return { load, kind, bytes: message }
      }
    }
    return undefined
  }
}
