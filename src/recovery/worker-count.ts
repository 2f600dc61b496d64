import type { Clock } from '#base/clock.js'
import { isMillraceError, messageOf } from '#base/errors.js'
import { seatName } from '#processes/process-role.js'
import type { Placement } from '#shards/placement.js'
import { planMoves, type ShardMove } from '#shards/plan-moves.js'
import { type ChangeFailure, changeFailure } from './change-failure.js'
import { tryPatiently } from './patience.js'
import { distribution, type Distribution } from './report.js'
import type { MovedShards } from './shard-mover.js'

/** The plant as a change of the number of its workers sees it. Everything rejects with ERR_PLANT_STOPPING when that is so. */
export interface CountedPlant {
  readonly placement: Pick<Placement, 'shardCount' | 'slotOf' | 'shardsOf'>
  /** Of the workers that there are, ascending from 0 on. */
  slots(): readonly number[]
  /** Resolves when another worker works there; rejects when none gets so far in time. */
  add(slot: number): Promise<void>
  /** Resolves when the worker there is gone for good. */
  remove(slot: number): Promise<void>
  /** Has a worker that is to give shards away do beforehand what makes each of these moves shorter. */
  shorten(slot: number): Promise<void>
  /** Rejects when nothing has changed. */
  move(move: ShardMove): Promise<MovedShards>
  /** Resolves when every seat works; rejects when they do not in time. */
  whenReady(): Promise<void>
  /** From now on the plant starts with so many. */
  keep(workers: number): void
}

export interface CountOptions {
  readonly plant: CountedPlant
  readonly clock: Clock
  /** So many workers there are to be. */
  readonly workers: number
  readonly onStep: (step: CountStep) => void
}

/** What a change has come to. Plain JSON; milliseconds. */
export type CountStep =
  | { readonly kind: 'planned'; readonly from: number; readonly to: number; readonly moves: number }
  | { readonly kind: 'added'; readonly worker: string; readonly workers: number }
  | ({
      readonly kind: 'moved'
      readonly shard: number
      readonly from: string
      readonly to: string
      readonly done: number
      readonly moves: number
    } & MovedShards)
  /** The shard stays where it is for the moment. */
  | { readonly kind: 'postponed'; readonly shard: number; readonly from: string; readonly to: string; readonly message: string }
  | { readonly kind: 'removed'; readonly worker: string; readonly workers: number }
  | { readonly kind: 'ended'; readonly report: CountReport }

/** Plain JSON; milliseconds. */
export interface CountReport {
  readonly ok: boolean
  readonly from: number
  /** That there were to be. */
  readonly to: number
  /** That there are. */
  readonly workers: number
  readonly ms: number
  /** Shards that changed their worker. */
  readonly moves: number
  /** Moves that were given up for the moment, for a process that died or was busy, and tried again. */
  readonly repeated: number
  /** Shards that were to move and have not. */
  readonly failed: number
  /** How long commands to a shard were held up by its move. */
  readonly pauseMs: Distribution
  /** Why there are not as many as there were to be, or not all of them have their share. */
  readonly failure: ChangeFailure | null
}

/**
 * Changes how many workers a running plant has: new ones start empty and take shards one after the other, those that are to go give all theirs away before they end. The rest of
 * the plant goes on, and so does each worker with the shards that do not move at that moment.
 *
 *   add seats ─▶ move shard by shard ─▶ remove those without shards ─▶ keep the count
 *
 * Rejects when a new worker does not get to work, with nothing changed. When later a shard cannot be moved, the plant stays with the workers that have shards.
 */
export async function changeWorkers(options: CountOptions): Promise<CountReport> {
  const change = new CountChange(options)
  await change.addSeats()
  return change.moveShards()
}

class CountChange {
  readonly #options: CountOptions
  readonly #startedMs: number
  readonly #from: number
  readonly #pauses: number[] = []
  readonly #shortened = new Set<number>()
  #repeated = 0

  constructor(options: CountOptions) {
    this.#options = options
    this.#startedMs = options.clock.monotonicMs()
    this.#from = options.plant.slots().length
  }

  async addSeats(): Promise<void> {
    const { plant, workers, onStep } = this.#options
    let count = this.#from
    const added = Array.from({ length: Math.max(0, workers - this.#from) }, async (_, index) => {
      const slot = this.#from + index
      await plant.add(slot)
      onStep({ kind: 'added', worker: nameOf(slot), workers: ++count })
    })
    const failed = (await Promise.allSettled(added)).find((one) => one.status === 'rejected')
    if (failed === undefined) return
    await this.#removeIdle(this.#from)
    throw failed.reason
  }

  async moveShards(): Promise<CountReport> {
    const { plant, workers, onStep } = this.#options
    const moves = planMoves(plant.placement, plant.slots().slice(0, workers))
    onStep({ kind: 'planned', from: this.#from, to: workers, moves: moves.length })
    let failure: ChangeFailure | null = null
    try {
      for (const move of moves) {
        const moved = await this.#move(move)
        this.#pauses.push(moved.pauseMs)
        onStep({ kind: 'moved', ...named(move), ...moved, done: this.#pauses.length, moves: moves.length })
        await this.#removeIdle(workers)
      }
    } catch (error) {
      if (isMillraceError(error, 'ERR_PLANT_STOPPING')) throw error
      failure = changeFailure(error)
    }
    await this.#removeIdle(failure === null ? workers : Math.min(workers, this.#from))
    const count = plant.slots().length
    plant.keep(count)
    const report: CountReport = {
      ok: failure === null,
      from: this.#from,
      to: workers,
      workers: count,
      ms: this.#options.clock.monotonicMs() - this.#startedMs,
      moves: this.#pauses.length,
      repeated: this.#repeated,
      failed: moves.length - this.#pauses.length,
      pauseMs: distribution(this.#pauses),
      failure,
    }
    onStep({ kind: 'ended', report })
    return report
  }

  #move(move: ShardMove): Promise<MovedShards> {
    const { plant, clock, onStep } = this.#options
    return tryPatiently(
      async () => {
        if (!this.#shortened.has(move.from)) await plant.shorten(move.from)
        this.#shortened.add(move.from)
        return plant.move(move)
      },
      {
        clock,
        whenReady: () => plant.whenReady(),
        onPostponed: (error) => {
          this.#repeated++
          onStep({ kind: 'postponed', ...named(move), message: messageOf(error) })
        },
      },
    )
  }

  /** Of more workers than so many the last ones, as long as they have no shards. */
  async #removeIdle(workers: number): Promise<void> {
    const { plant, onStep } = this.#options
    for (;;) {
      const slots = plant.slots()
      const last = slots.at(-1)
      if (last === undefined || slots.length <= workers || plant.placement.shardsOf(last).length > 0) return
      await plant.remove(last)
      onStep({ kind: 'removed', worker: nameOf(last), workers: slots.length - 1 })
    }
  }
}

function named({ shard, from, to }: ShardMove): { readonly shard: number; readonly from: string; readonly to: string } {
  return { shard, from: nameOf(from), to: nameOf(to) }
}

function nameOf(slot: number): string {
  return seatName({ role: 'worker', slot })
}
