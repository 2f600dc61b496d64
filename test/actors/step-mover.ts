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
  /** The other one has not been asked to take it. */
  isPlaced: boolean
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
    if (move.isPlaced) this.#handOver(move)
    else if (move.from !== this.#workerOf(move.shard)) this.#end(move)
    else if (move.release === undefined) move.release = this.#release(move)
    else if (move.release.isOver) this.#place(move)
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
    const move = this.#move
    for (let steps = 2; move !== undefined && this.#move === move && steps > 0; steps--) this.step(move.shard, move.to)
  }

  #workerOf(shard: number): Worker | undefined {
    return this.#plant.worker(this.#plant.placement.slotOf(shard))
  }

  #begin(shard: number, to: number): void {
    const { placement } = this.#plant
    const from = this.#workerOf(shard)
    if (from === undefined || placement.slotOf(shard) === to) return
    placement.hold([shard])
    this.#move = { shard, from, to, release: undefined, isPlaced: false }
  }

  #release({ shard, from }: Move): ShardRelease {
    this.#plant.publish()
    return from.release([shard])
  }

  /** What is sent from now on comes before the call, which takes its time. */
  #place(move: Move): void {
    const { placement } = this.#plant
    placement.move([move.shard], move.to)
    placement.free([move.shard])
    move.isPlaced = true
  }

  #handOver({ shard, to }: Move): void {
    void this.#plant.worker(to)?.adopt([shard])
    this.#move = undefined
  }

  #end({ shard }: Move): void {
    this.#plant.placement.free([shard])
    this.#move = undefined
  }
}
