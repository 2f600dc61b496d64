/**
 * The slow twin of a channel: the specification of Producer, Consumer and FrameCursor as lists of frames. Positions are plain numbers
 * that never wrap; compare them modulo 2^32. Nothing here is fast and nothing is shared.
 */
export interface ModelFrame {
  readonly start: number
  readonly end: number
  readonly type: number
  readonly payload: Uint8Array
}

export class RingModel {
  readonly capacityBytes: number
  readonly checksumBytes: number
  /** Frames not yet released, committed ones last. */
  frames: ModelFrame[] = []
  position: number
  published: number
  read: number
  released: number
  refusals = 0
  framesPublished = 0
  claim: { readonly start: number; readonly type: number; readonly payloadBytes: number } | undefined

  constructor(capacityBytes: number, position: number, checksumBytes = 0) {
    this.capacityBytes = capacityBytes
    this.checksumBytes = checksumBytes
    this.position = position
    this.published = position
    this.read = position
    this.released = position
  }

  /** The position at which the claimed frame begins, or why there is none. */
  tryClaim(payloadBytes: number, type: number): number | 'insufficient capacity' | 'frame too large' {
    if (this.#frameBytes(payloadBytes) > this.capacityBytes / 4) return 'frame too large'
    if (!this.hasRoom(payloadBytes)) {
      this.refusals++
      return 'insufficient capacity'
    }
    const start = this.#startOf(payloadBytes)
    this.claim = { start, type, payloadBytes }
    return start
  }

  hasRoom(payloadBytes: number): boolean {
    return this.#startOf(payloadBytes) + this.#frameBytes(payloadBytes) - this.released <= this.capacityBytes
  }

  commit(payload: Uint8Array): void {
    if (this.claim === undefined) throw new Error('no claim')
    const end = this.claim.start + this.#frameBytes(payload.length)
    this.frames.push({ start: this.claim.start, end, type: this.claim.type, payload })
    this.position = end
    this.claim = undefined
  }

  abort(): void {
    this.claim = undefined
  }

  publish(): void {
    this.framesPublished += this.frames.filter((frame) => frame.end > this.published).length
    this.published = this.position
  }

  next(): ModelFrame | undefined {
    const frame = this.frames.find((candidate) => candidate.start >= this.read && candidate.end <= this.published)
    if (frame !== undefined) this.read = frame.end
    return frame
  }

  /** Read and not released, in order: what a cursor may visit. */
  unreleased(): readonly ModelFrame[] {
    return this.frames.filter((frame) => frame.end <= this.read)
  }

  release(position: number): void {
    this.released = position
    this.frames = this.frames.filter((frame) => frame.end > position)
  }

  replaceProducer(): void {
    this.claim = undefined
    this.frames = this.frames.filter((frame) => frame.end <= this.published)
    this.position = this.published
  }

  replaceConsumer(): void {
    this.read = this.released
  }

  /** Where a frame would begin: a frame that does not fit before the end of the ring begins the next lap. */
  #startOf(payloadBytes: number): number {
    const untilEnd = this.capacityBytes - (this.position % this.capacityBytes)
    return this.#frameBytes(payloadBytes) <= untilEnd ? this.position : this.position + untilEnd
  }

  #frameBytes(payloadBytes: number): number {
    return Math.ceil((8 + payloadBytes + this.checksumBytes) / 8) * 8
  }
}
