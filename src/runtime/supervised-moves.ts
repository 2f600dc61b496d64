import type { Clock } from '#base/clock.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { changeStopped } from '#processes/editions.js'
import type { ChildRole, Seat } from '#processes/process-role.js'
import type { Supervision } from '#processes/supervision.js'
import { type MovedPlant, type MovedShards, moveShards } from '#recovery/shard-mover.js'
import type { Placement } from '#shards/placement.js'

/** A process that dies is replaced in some tenths of a second, a journal that finds its disk full is not. */
const READY_WITHIN_MS = 30_000
/** More than that is not worth waiting. */
const SNAPSHOTS_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 5

export interface SupervisedMovesOptions {
  readonly supervision: Supervision
  readonly placement: Placement
  readonly clock: Clock
  /** Throws when waiting is of no use any more. */
  readonly mustGoOn?: () => void
}

/** Moves shards between the workers of a plant that its supervisor watches over. */
export class SupervisedMoves {
  readonly #options: SupervisedMovesOptions
  readonly #plant: MovedPlant

  constructor(options: SupervisedMovesOptions) {
    const { supervision, placement } = options
    this.#options = options
    this.#plant = {
      placement,
      senders: () => {
        if (!supervision.isReady) throw notReady()
        return supervision.seats.filter(({ role }) => role !== 'journal')
      },
      call: (seat, name, args, withinMs) => supervision.call(seat, name, args, withinMs),
      whenReady: (seat) => this.until(() => isReady(supervision, seat), Number.POSITIVE_INFINITY, notReady),
      kill: (seat) => {
        try {
          supervision.kill(seat)
        } catch (error) {
          if (!isMillraceError(error, 'ERR_SEAT_EMPTY')) throw error
        }
      },
      ring: () => supervision.ringAll(),
    }
  }

  move(shards: readonly number[], from: number, to: number): Promise<MovedShards> {
    return moveShards(this.#plant, this.#options.clock, shards, { from, to })
  }

  /**
   * Has a worker save what has changed of its entities, so that less of that is left when shards of it move; a release of no shards comes back when the journal has it. Only
   * of use: what goes wrong with it is no matter.
   */
  async save(slot: number): Promise<void> {
    const seat: Seat<ChildRole> = { role: 'worker', slot }
    try {
      await this.#plant.call(seat, 'snapshots', {}, SNAPSHOTS_WITHIN_MS)
      await this.#plant.call(seat, 'release', { shards: [] }, SNAPSHOTS_WITHIN_MS)
    } catch (error) {
      if (!isMillraceError(error)) throw error
    }
  }

  /** Resolves when every seat works; rejects with ERR_PLANT_NOT_READY when they do not in time. */
  whenReady(): Promise<void> {
    return this.until(() => this.#options.supervision.isReady, READY_WITHIN_MS, notReady)
  }

  /** Rejects with ERR_PLANT_STOPPING besides. */
  async until(condition: () => boolean, withinMs: number, otherwise: () => Error): Promise<void> {
    const { clock, supervision, mustGoOn } = this.#options
    const deadlineMs = clock.monotonicMs() + withinMs
    while (!condition()) {
      if (supervision.isStopping) throw changeStopped()
      mustGoOn?.()
      if (clock.monotonicMs() > deadlineMs) throw otherwise()
      await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve))
    }
  }
}

function isReady(supervision: Supervision, { role, slot }: Seat<ChildRole>): boolean {
  return supervision.processes().some((one) => one.role === role && one.slot === slot && one.state === 'ready')
}

/** Of a change that wants everybody there. */
export function notReady(): MillraceError {
  return new MillraceError('ERR_PLANT_NOT_READY', {
    fact: 'some process of the plant does not work at the moment',
    action: 'retry',
    next: 'look at millrace status, and try again when the plant is ready',
  })
}
