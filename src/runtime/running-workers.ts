import type { Cancel, Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { clearLevels } from '#processes/process-counters.js'
import { type Seat, seatName } from '#processes/process-role.js'
import type { ProcessTable } from '#processes/process-table.js'
import type { Supervision } from '#processes/supervision.js'
import type { PlantWorkers, WorkersStatus } from '#recovery/plant-workers.js'
import { changeWorkers, type CountedPlant, type CountStep } from '#recovery/worker-count.js'
import type { Placement } from '#shards/placement.js'
import { stepsOf } from './step-feed.js'
import { notReady, SupervisedMoves } from './supervised-moves.js'

export interface RunningWorkersOptions {
  /** Slots that have channels. */
  readonly max: number
  readonly clock: Clock
  /** Not before the plant is ready. */
  readonly placement: () => Placement
  /** Throws while something else about the plant changes. */
  readonly mustBeFree: () => void
  /** Remembers for later starts of the plant that it has so many. */
  readonly keep: (workers: number) => void
}

/** Process start, imports and all, on a machine that is busy. */
const ADDED_WITHIN_MS = 60_000
const LEAVES_WITHIN_MS = 2000

/** How many workers a plant has, and how that is changed while it runs: the supervisor's side of `millrace workers`. */
export class RunningWorkers implements PlantWorkers {
  readonly #options: RunningWorkersOptions
  #supervision: Supervision | undefined
  #table: ProcessTable | undefined
  #change: WorkersStatus['change'] = null

  constructor(options: RunningWorkersOptions) {
    this.#options = options
  }

  bind(supervision: Supervision, table: ProcessTable): void {
    this.#supervision = supervision
    this.#table = table
  }

  get status(): WorkersStatus {
    return { count: this.#slots.length, max: this.#options.max, change: this.#change }
  }

  /** Throws ERR_WORKERS_CHANGE while their number changes. */
  mustBeIdle(): void {
    if (this.#change !== null) throw changeRuns(this.#change.to)
  }

  change(args: unknown): AsyncGenerator<CountStep, void> {
    const { clock } = this.#options
    return stepsOf(async (onStep: (step: CountStep) => void) => {
      const workers = this.#begin((args as { readonly count?: unknown }).count)
      this.#change = { to: workers, moves: 0, moved: 0 }
      try {
        await changeWorkers({ plant: this.#counted(), clock, workers, onStep: (step) => onStep(this.#noted(step)) })
      } finally {
        this.#change = null
      }
    })
  }

  #begin(count: unknown): number {
    const { max, mustBeFree } = this.#options
    if (typeof count !== 'number' || !Number.isInteger(count) || count < 1) throw noCount(count)
    if (count > max) throw tooMany(count, max)
    this.mustBeIdle()
    mustBeFree()
    if (!this.#bound.isReady) throw notReady()
    return count
  }

  get #bound(): Supervision {
    return this.#supervision as Supervision
  }

  get #slots(): readonly number[] {
    return this.#bound.seats.flatMap(({ role, slot }) => (role === 'worker' ? [slot] : []))
  }

  #noted(step: CountStep): CountStep {
    if (this.#change === null) return step
    if (step.kind === 'planned') this.#change = { ...this.#change, moves: step.moves }
    else if (step.kind === 'moved') this.#change = { ...this.#change, moved: step.done }
    return step
  }

  #counted(): CountedPlant {
    const { clock, placement, keep } = this.#options
    const supervision = this.#bound
    const moves = new SupervisedMoves({ supervision, placement: placement(), clock })
    return {
      placement: placement(),
      slots: () => this.#slots,
      add: (slot) => this.#add(slot),
      remove: (slot) => this.#remove(slot),
      shorten: (slot) => moves.save(slot),
      move: ({ shard, from, to }) => moves.move([shard], from, to),
      whenReady: () => moves.whenReady(),
      keep,
    }
  }

  async #add(slot: number): Promise<void> {
    let cancel: Cancel = () => undefined
    const late = new Promise<never>((_, reject) => {
      cancel = this.#options.clock.after(ADDED_WITHIN_MS, () => reject(notAdded(slot)))
    })
    try {
      await Promise.race([this.#bound.add({ role: 'worker', slot }), late])
    } finally {
      cancel()
    }
  }

  async #remove(slot: number): Promise<void> {
    const seat: Seat<'worker'> = { role: 'worker', slot }
    await this.#bound.remove(seat, LEAVES_WITHIN_MS)
    clearLevels((this.#table as ProcessTable).counters(seat))
  }
}

function noCount(count: unknown): MillraceError {
  return new MillraceError('ERR_WORKERS_COUNT', {
    fact: 'a plant has one worker at least',
    action: 'operator',
    values: { count },
    next: 'name a whole number from 1 on',
  })
}

function tooMany(count: number, max: number): MillraceError {
  return new MillraceError('ERR_WORKERS_MAX', {
    fact: 'the plant was started with room for fewer workers',
    action: 'operator',
    values: { count, max },
    next: `set workers.max to ${count} in the configuration and start the plant again`,
  })
}

function changeRuns(to: number): MillraceError {
  return new MillraceError('ERR_WORKERS_CHANGE', {
    fact: 'the number of workers is being changed already',
    action: 'retry',
    values: { to },
    next: 'wait for its end: millrace workers shows how far it is',
  })
}

function notAdded(slot: number): MillraceError {
  return new MillraceError('ERR_WORKER_LATE', {
    fact: 'a new worker did not get to work in time',
    action: 'operator',
    values: { worker: seatName({ role: 'worker', slot }), withinMs: ADDED_WITHIN_MS },
    next: 'look at its log in the logs folder; nothing has changed',
  })
}
