import type { Door, IngestCommand, Settlement } from './door.js'

/** Something that carries a command. */
export interface Offerable {
  readonly command: IngestCommand
}

/**
 * Offers commands to a door in order per source, and keeps those that found no room in lanes, one per source: a source that is full holds up
 * nobody else, and nothing of it goes before what waits. Commands without a source keep their order per entity.
 */
export class OfferLanes<C extends Offerable> {
  readonly #door: Door
  readonly #onSettled: (one: C, settlement: Settlement) => void
  readonly #onRejected: (one: C, reason: string) => void
  readonly #lanes = new Map<string, C[]>()
  #isAwaitingRoom = false
  #inFlight = 0
  #full = 0

  constructor(options: {
    readonly door: Door
    readonly onSettled: (one: C, settlement: Settlement) => void
    /** It can never be taken. */
    readonly onRejected: (one: C, reason: string) => void
  }) {
    this.#door = options.door
    this.#onSettled = options.onSettled
    this.#onRejected = options.onRejected
  }

  get inFlightCount(): number {
    return this.#inFlight
  }

  /** Times the door had no room. */
  get fullCount(): number {
    return this.#full
  }

  take(one: C): void {
    const key = one.command.source === '' ? `\0${one.command.entity}` : one.command.source
    const lane = this.#lanes.get(key)
    if (lane !== undefined) lane.push(one)
    else if (!this.#tryOffer(one)) {
      this.#lanes.set(key, [one])
      this.#awaitRoom()
    }
  }

  /** Forgets all that was not offered. */
  clear(): void {
    this.#lanes.clear()
  }

  #tryOffer(one: C): boolean {
    const offered = this.#door.offer(one.command, 'refused', (settlement) => {
      this.#inFlight--
      this.#onSettled(one, settlement)
    })
    if (offered === 'full') {
      this.#full++
      return false
    }
    if (offered === 'accepted') this.#inFlight++
    else this.#onRejected(one, offered.rejected)
    return true
  }

  #awaitRoom(): void {
    if (this.#isAwaitingRoom) return
    this.#isAwaitingRoom = true
    this.#door.onRoom(() => {
      this.#isAwaitingRoom = false
      for (const [key, lane] of this.#lanes) this.#drain(key, lane)
      if (this.#lanes.size > 0) this.#awaitRoom()
    })
  }

  #drain(key: string, lane: C[]): void {
    let offered = 0
    while (offered < lane.length && this.#tryOffer(lane[offered] as C)) offered++
    if (offered === lane.length) this.#lanes.delete(key)
    else lane.splice(0, offered)
  }
}
