import { assert } from '#base/assert.js'
import { pack } from '#base/pack.js'
import { type Consumer, distance, FRAME_TOO_LARGE, type Producer } from '#bus/index.js'
import {
  LOAD_FRAME,
  type LoadRequest,
  PIECE_FRAME,
  PIECE_HEADER_BYTES,
  REJECTED_BYTES,
  REJECTED_FRAME,
  SNAPSHOT_FRAME,
  SNAPSHOT_HEADER_BYTES,
  WANTED_FRAME,
} from './serving-frames.js'

export interface Rejection {
  readonly appendNumber: number
  readonly term: number
  readonly headVersion: number
  /** REJECTED_CONFLICT or REJECTED_FENCED. */
  readonly kind: number
}

export interface LoadMessage {
  readonly load: number
  /** Of the worker that asked. */
  readonly term: number
  readonly kind: number
  /** The receiver's to keep. */
  readonly bytes: Uint8Array
}

/** A message of which not all pieces have come. */
interface Partial extends LoadMessage {
  receivedBytes: number
}

/**
 * The worker's end of the Journal port. Appends are written straight into claimed frames of `appends`; what the journal answers comes
 * back through `pollRejection` and `pollLoad`. One per worker slot; used by the worker's event loop only.
 *
 * Positions are counted here from when the client was made, in bytes of the appends channel, and never wrap: they are kept for as long as an
 * entity lives, in which time the channel's own 32-bit ones come round.
 */
export class JournalClient {
  readonly appends: Producer
  /** Entities, in UTF-8, of which the journal wants snapshots: found by `pollRejection`, to be emptied by whoever gives them. */
  readonly wanted: Uint8Array[] = []
  readonly #answers: Consumer
  readonly #bulk: Consumer
  #loadNumber = 0
  #message: Partial | undefined
  #released = 0
  #releasedWord: number

  constructor(channels: { readonly appends: Producer; readonly answers: Consumer; readonly bulk: Consumer }) {
    this.appends = channels.appends
    this.#answers = channels.answers
    this.#bulk = channels.bulk
    this.#releasedWord = channels.appends.releasedPosition()
  }

  /** Everything sent before this position is durable or was rejected. Load it before `pollRejection`: what it covers has been answered by then. */
  releasedPosition(): number {
    const word = this.appends.releasedPosition()
    this.#released += distance(this.#releasedWord, word)
    this.#releasedWord = word
    return this.#released
  }

  /** End of everything committed. */
  get sentPosition(): number {
    return this.#released + distance(this.#releasedWord, this.appends.position)
  }

  /** Changes when the journal was replaced: what it owed to a load will not come. 0 before the first one came. */
  get journalTerm(): number {
    return this.#bulk.producerTerm
  }

  get hasRejections(): boolean {
    return this.#answers.hasFrames()
  }

  get hasLoadPieces(): boolean {
    return this.#bulk.hasFrames()
  }

  /**
   * Asks for shards or for one entity; the answer comes after everything sent before is resolved. Returns the load's number,
   * INSUFFICIENT_CAPACITY or FRAME_TOO_LARGE. Visible after `appends.publish()`.
   */
  tryLoad(request: Omit<LoadRequest, 'load'>): number {
    const load = this.#loadNumber + 1
    const numbered: LoadRequest = { ...request, load }
    const bytes = pack(numbered)
    const offset = this.appends.tryClaim(bytes.length, LOAD_FRAME)
    if (offset < 0) return offset
    this.appends.bytes.set(bytes, offset)
    this.appends.commit()
    this.#loadNumber = load
    return load
  }

  /** Hands a snapshot over, best right behind the append that made its version. `never`: it is too large for a frame. It may always be left out. */
  trySnapshot(entity: Uint8Array, version: number, term: number, appendNumber: number, state: Uint8Array): 'sent' | 'no-room' | 'never' {
    const offset = this.appends.tryClaim(SNAPSHOT_HEADER_BYTES + entity.length + state.length, SNAPSHOT_FRAME)
    if (offset === FRAME_TOO_LARGE) return 'never'
    if (offset < 0) return 'no-room'
    const { bytes, view } = this.appends
    view.setUint32(offset, version, true)
    view.setUint32(offset + 4, term, true)
    view.setUint32(offset + 8, appendNumber, true)
    view.setUint32(offset + 12, entity.length, true)
    bytes.set(entity, offset + SNAPSHOT_HEADER_BYTES)
    bytes.set(state, offset + SNAPSHOT_HEADER_BYTES + entity.length)
    this.appends.commit()
    return 'sent'
  }

  /** The next rejected append, of this worker or of its predecessor, or undefined. */
  pollRejection(): Rejection | undefined {
    let offset = this.#answers.next()
    for (; offset >= 0 && this.#answers.type === WANTED_FRAME; offset = this.#answers.next()) {
      this.wanted.push(this.#answers.bytes.slice(offset, offset + this.#answers.length))
      this.#answers.release(this.#answers.endPosition)
    }
    if (offset < 0) return undefined
    assert(this.#answers.type === REJECTED_FRAME, 'the answers channel carries rejections and wishes only')
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

  /**
   * The next whole message of a load, or undefined when there is none yet: also one that a predecessor asked for. Takes at most `piecesMax`
   * pieces off the channel.
   */
  pollLoad(piecesMax = 64): LoadMessage | undefined {
    for (let pieces = 0; pieces < piecesMax; pieces++) {
      const offset = this.#bulk.next()
      if (offset < 0) return undefined
      assert(this.#bulk.type === PIECE_FRAME, 'the bulk channel carries pieces only')
      this.#takePiece(offset, this.#bulk.length)
      this.#bulk.release(this.#bulk.endPosition)
      const message = this.#message
      if (message === undefined || message.receivedBytes < message.bytes.length) continue
      this.#message = undefined
      return message
    }
    return undefined
  }

  /** A piece whose beginning went to a predecessor, or whose end died with a journal, belongs to nobody. */
  #takePiece(offset: number, length: number): void {
    const { view, bytes } = this.#bulk
    const load = view.getUint32(offset, true)
    const term = view.getUint32(offset + 4, true)
    const kind = view.getUint32(offset + 8, true)
    const wholeBytes = view.getUint32(offset + 12, true)
    const at = view.getUint32(offset + 16, true)
    const pieceBytes = length - PIECE_HEADER_BYTES
    if (at === 0) this.#message = { load, term, kind, bytes: new Uint8Array(wholeBytes), receivedBytes: 0 }
    const message = this.#message
    if (message === undefined) return
    const isNext = message.load === load && message.term === term && message.kind === kind && message.receivedBytes === at
    if (!isNext || at + pieceBytes > message.bytes.length) {
      this.#message = undefined
      return
    }
    message.bytes.set(bytes.subarray(offset + PIECE_HEADER_BYTES, offset + length), at)
    message.receivedBytes += pieceBytes
  }
}
