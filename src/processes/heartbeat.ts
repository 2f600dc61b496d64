/**
 * What a watcher saw of two counters that a living process keeps moving: its pulse (the process is scheduled) and its turn (its event loop is
 * alive). Only a change between two looks counts, never a clock of the watched process.
 */
export class Heartbeat {
  #pulse: number
  #turn: number
  #pulseAtMs: number
  #turnAtMs: number

  constructor(nowMs: number, pulse: number, turn: number) {
    this.#pulse = pulse
    this.#turn = turn
    this.#pulseAtMs = nowMs
    this.#turnAtMs = nowMs
  }

  /** Whether the turn has moved. */
  observe(nowMs: number, pulse: number, turn: number): boolean {
    if (pulse !== this.#pulse) {
      this.#pulse = pulse
      this.#pulseAtMs = nowMs
    }
    const hasTurned = turn !== this.#turn
    if (hasTurned) {
      this.#turn = turn
      this.#turnAtMs = nowMs
    }
    return hasTurned
  }

  /** The watcher was away: whatever was not seen is not held against the process. */
  forgive(nowMs: number): void {
    this.#pulseAtMs = nowMs
    this.#turnAtMs = nowMs
  }

  pulseAgeMs(nowMs: number): number {
    return nowMs - this.#pulseAtMs
  }

  turnAgeMs(nowMs: number): number {
    return nowMs - this.#turnAtMs
  }
}
