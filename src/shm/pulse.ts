import { checkWhole } from './argument.js'
import { closedError, explain } from './failure.js'
import { type Mapping, nativeOf } from './mapping.js'
import { addon } from './native.js'

/** The slowest pulse. */
export const PULSE_PERIOD_MS_MAX = 60_000

/** A counter that shows others that this process is scheduled, even while its event loop is busy. */
export class Pulse {
  readonly #native: { stop(): void }
  readonly #path: string
  #isStopped = false

  /** By `startPulse`. */
  constructor(native: { stop(): void }, path: string) {
    this.#native = native
    this.#path = path
  }

  /** Waits for the thread to end: microseconds. The counter keeps its last value. ERR_SHM_CLOSED when called again. */
  stop(): void {
    if (this.#isStopped) throw closedError('pulse', this.#path)
    this.#isStopped = true
    this.#native.stop()
  }
}

export interface PulseOptions {
  /** Of the int32 in the mapping, in bytes, a multiple of 4. */
  readonly offset: number
  readonly periodMs: number
}

/**
 * Starts a thread that adds 1 to the int32 at `offset`, at once and then every `periodMs`; it wraps around after 2^32 beats. It goes on until `stop` or the end of the process, also when the mapping is closed or the Pulse forgotten. While the process is
 * stopped or starved it stands still, and it does not catch up afterwards. The mapping must be open for writing.
 *
 * SYNC pulse: each beat is a release store; the watcher reads the word with Atomics.load.
 */
export function startPulse(mapping: Mapping, options: PulseOptions): Pulse {
  const { offset, periodMs } = options
  const nativeMapping = nativeOf(mapping)
  checkWhole('offset', offset, 0, mapping.byteLength - Int32Array.BYTES_PER_ELEMENT)
  checkWhole('periodMs', periodMs, 1, PULSE_PERIOD_MS_MAX)
  try {
    return new Pulse(new (addon().Pulse)(nativeMapping, offset, periodMs), mapping.path)
  } catch (error) {
    throw explain(error, { fact: 'a pulse cannot be started', values: { mapping: mapping.path, offset, periodMs } })
  }
}
