import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '#base/clock.js'
import type { Door, IngestCommand, Settlement } from './door.js'
import type { RoomBell } from './room-bell.js'

/** One command's end as the client reads it. */
export type CommandAnswer =
  | { readonly ok: true; readonly version: number; readonly reply?: unknown }
  | { readonly ok: false; readonly version: number; readonly refused: string; readonly detail?: unknown }
  | { readonly ok: false; readonly error: string }
  /** Done before, whatever it came to, longer ago than that is remembered. */
  | { readonly ok: null; readonly forgotten: true }

/** How far an offer came. `full`: there was no room for the next command in time; `left`: nobody waits for an answer any more. */
export type OfferEnd = 'whole' | 'full' | 'left' | { readonly rejected: string }

export interface CommandRequestOptions {
  readonly door: Door
  readonly room: RoomBell
  readonly clock: Clock
  /** Waits for room as long as some command was taken within this time. */
  readonly roomMs: number
  /** Asked after each wait for room: whether to go on. */
  readonly isWanted: () => boolean
}

/** Commands offered between two turns of the event loop: a large request must not keep the others waiting. */
const OFFERED_AT_ONCE_MAX = 512

/** The commands of one request on their way through the door: offered in order, none behind one that was not taken. */
export class CommandRequest {
  readonly #commands: readonly IngestCommand[]
  readonly #options: CommandRequestOptions
  readonly #answers: CommandAnswer[] = []
  #takenCount = 0
  #settledCount = 0
  #onSettled: () => void = () => undefined

  constructor(commands: readonly IngestCommand[], options: CommandRequestOptions) {
    this.#commands = commands
    this.#options = options
  }

  get takenCount(): number {
    return this.#takenCount
  }

  /** Offers the commands, waiting where the door is full. Once; what was taken by then stays taken. */
  async offer(): Promise<OfferEnd> {
    const { clock, roomMs, isWanted } = this.#options
    let takenMs = clock.monotonicMs()
    for (;;) {
      const before = this.#takenCount
      const end = this.#offerSome()
      if (this.#takenCount > before) takenMs = clock.monotonicMs()
      if (end === 'more') await nextTurn()
      else if (end !== 'full') return end
      else if (!(await this.#hasRoom(takenMs + roomMs - clock.monotonicMs()))) return 'full'
      else if (!isWanted()) return 'left'
    }
  }

  /** Resolves with the answers of all that was taken, in order, once all of it is durable. */
  async answers(): Promise<readonly CommandAnswer[]> {
    if (this.#settledCount < this.#takenCount) {
      await new Promise<void>((resolve) => {
        this.#onSettled = resolve
      })
    }
    return this.#answers
  }

  #offerSome(): OfferEnd | 'more' {
    for (let count = 0; count < OFFERED_AT_ONCE_MAX; count++) {
      const index = this.#takenCount
      const command = this.#commands[index]
      if (command === undefined) return 'whole'
      const offered = this.#options.door.offer(command, 'always', (settlement) => this.#settle(index, settlement))
      if (offered !== 'accepted') return offered
      this.#takenCount++
    }
    return 'more'
  }

  /** False when there was none in time. */
  #hasRoom(withinMs: number): Promise<boolean> {
    const { room, clock } = this.#options
    if (withinMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const cancelTimer = clock.after(withinMs, () => {
        stopWaiting()
        resolve(false)
      })
      const stopWaiting = room.wait(() => {
        cancelTimer()
        resolve(true)
      })
    })
  }

  #settle(index: number, settlement: Settlement): void {
    this.#answers[index] = answerOf(settlement)
    this.#settledCount++
    if (this.#settledCount === this.#takenCount) this.#onSettled()
  }
}

function answerOf(settlement: Settlement): CommandAnswer {
  switch (settlement.kind) {
    case 'done':
      return { ok: true, version: settlement.version, ...(settlement.reply === undefined ? {} : { reply: settlement.reply }) }
    case 'refused':
      return {
        ok: false,
        version: settlement.version,
        refused: settlement.code,
        ...(settlement.detail === undefined ? {} : { detail: settlement.detail }),
      }
    case 'forgotten':
      return { ok: null, forgotten: true }
    case 'failed':
      return { ok: false, error: settlement.message }
  }
}
