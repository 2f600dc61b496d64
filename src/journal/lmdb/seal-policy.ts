import { type Clock, systemClock } from '#base/clock.js'
import { isMillraceError } from '#base/errors.js'
import { fileBytes } from './environment.js'
import type { Segment } from './segment.js'

export interface SealPolicyOptions {
  readonly segmentRowsMax?: number
  readonly segmentBytesMax?: number
  readonly segmentAgeMs?: number
  readonly clock?: Clock
  readonly isReadOnly: boolean
}

const ROWS_MAX_DEFAULT = 1_000_000
const BYTES_MAX_DEFAULT = 64 * 2 ** 20
const AGE_MS_DEFAULT = 3_600_000
/** How often an idle log is looked at. */
const LOOK_EVERY_MS_MAX = 60_000
const POSTPONED_MS = 10_000

/** When the active segment has had enough. */
export class SealPolicy {
  readonly #rowsMax: number
  readonly #bytesMax: number
  readonly #ageMs: number
  readonly #clock: Clock
  readonly #look: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #bytes = 0
  /** When the oldest row was stored, microseconds since 1970; infinity while there is none. */
  #oldest = Infinity
  #notBefore = 0

  /** `look` is called now and then, so that a log without appends is sealed as well. */
  constructor(options: SealPolicyOptions, look: () => void) {
    this.#rowsMax = options.segmentRowsMax ?? ROWS_MAX_DEFAULT
    this.#bytesMax = options.segmentBytesMax ?? BYTES_MAX_DEFAULT
    this.#ageMs = options.segmentAgeMs ?? AGE_MS_DEFAULT
    this.#clock = options.clock ?? systemClock
    this.#look = !options.isReadOnly && this.#ageMs < Infinity ? look : undefined
  }

  /** A block is being stored. */
  stored(bytes: number): void {
    this.#bytes += bytes
    if (this.#oldest === Infinity) this.#oldest = this.#clock.nowMicros()
  }

  /** A new active segment: empty, or as it was found at opening. */
  began(found?: Segment): void {
    this.#bytes = 0
    this.#oldest = Infinity
    if (this.#look !== undefined) this.#timer ??= setInterval(this.#look, Math.min(this.#ageMs, LOOK_EVERY_MS_MAX)).unref()
    if (found === undefined || found.last() < 0) return
    this.#bytes = fileBytes(found.file)
    this.#oldest = this.#beginningOf(found)
  }

  /** A damaged block is for who reads it; without it the age is not known. */
  #beginningOf(found: Segment): number {
    try {
      return found.block(found.firstPosition).header.acceptedMin
    } catch (error) {
      if (isMillraceError(error, 'ERR_BLOCK_DAMAGED')) return this.#clock.nowMicros()
      throw error
    }
  }

  /** It could not be closed now: not before so much more time. */
  postpone(): void {
    this.#notBefore = this.#clock.nowMicros() + POSTPONED_MS * 1000
  }

  /** Half of what makes it due by size is there. */
  isNear(rowCount: number): boolean {
    return rowCount * 2 >= this.#rowsMax || this.#bytes * 2 >= this.#bytesMax
  }

  isDue(rowCount: number): boolean {
    if (rowCount === 0 || this.#clock.nowMicros() < this.#notBefore) return false
    return rowCount >= this.#rowsMax || this.#bytes >= this.#bytesMax || this.#clock.nowMicros() - this.#oldest >= this.#ageMs * 1000
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
