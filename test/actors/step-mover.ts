import type { ShardRelease } from '#actors/shard-moves.js'
import type { Worker } from '#actors/worker.js'
import type { Placement } from '#shards/placement.js'

/** What a mover has of a plant that it looks at from outside. */
export interface MovablePlant {
  readonly placement: Placement
  /** No process is in the middle of a turn. */
  readonly isBetweenTurns: boolean
  /** Undefined while there is none. */
  worker(slot: number): Worker | undefined
  /** What doors have taken can be seen. */
  publish(): void
}

interface Move {
  readonly shard: number
  readonly from: Worker
  readonly to: number
  release: ShardRelease | undefined
}

/** As the supervisor of a plant moves shards, a step at a time, whoever dies in between: after each step every shard has one owner. */
export class StepMover {
  readonly #plant: MovablePlant
  #move: Move | undefined

  constructor(plant: MovablePlant) {
    this.#plant = plant
  }

  /** Goes on with the move that is under way, or begins the one that is given. */
  step(shard: number, to: number): void {
    const move = this.#move
    if (move === undefined) return this.#begin(shard, to)
    // Everybody else hears of it when his turn is over.
    if (!this.#plant.isBetweenTurns) return
    if (move.from !== this.#workerOf(move.shard)) this.#end(move)
    else if (move.release === undefined) move.release = this.#release(move)
    else if (move.release.isOver) this.#handOver(move)
  }

  /** Gives the move up, as when it takes too long. */
  giveUp(): void {
    const move = this.#move
    if (move === undefined || move.release?.isOver === true || !this.#plant.isBetweenTurns) return
    if (move.from === this.#workerOf(move.shard)) move.release?.cancel()
    this.#end(move)
  }

  /** Whatever is under way comes to its end. */
  finish(): void {
    this.giveUp()
    if (this.#move !== undefined) this.step(this.#move.shard, this.#move.to)
  }

  #workerOf(shard: number): Worker | undefined {
    return this.#plant.worker(this.#plant.placement.slotOf(shard))
  }

  #begin(shard: number, to: number): void {
    const { placement } = this.#plant
    const from = this.#workerOf(shard)
    if (from === undefined || placement.slotOf(shard) === to) return
    placement.hold([shard])
    this.#move = { shard, from, to, release: undefined }
  }

  #release({ shard, from }: Move): ShardRelease {
    this.#plant.publish()
    return from.release([shard])
  }

  #handOver(move: Move): void {
    const { shard, to } = move
    this.#plant.placement.move([shard], to)
    void this.#plant.worker(to)?.adopt([shard])
    this.#end(move)
  }

  #end({ shard }: Move): void {
    this.#plant.placement.free([shard])
    this.#move = undefined
  }
}
