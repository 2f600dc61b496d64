import { type ConsumerRecord, frameId, incarnationOf, numberOf, type ProducerRecord } from './fault-ledger.js'

/** What was wrong, by frame: a frame that comes twice torn to two consumers is one. */
export interface Verdict {
  readonly lost: ReadonlySet<number>
  readonly torn: ReadonlySet<number>
  readonly duplicated: ReadonlySet<number>
  readonly invented: ReadonlySet<number>
}

/**
 * Judges what consumers got, one after the other, by what producers wrote down. Frames come in the order of their ids: each next in its
 * incarnation, which is over only where its last publish may have ended it. A consumer starts behind the last frame that its predecessors
 * released; one of two frames when a predecessor died between the intent to release and the return.
 */
export class FaultJudge {
  readonly #producerOf: (incarnation: number) => ProducerRecord
  readonly #lost = new Set<number>()
  readonly #torn = new Set<number>()
  readonly #duplicated = new Set<number>()
  readonly #invented = new Set<number>()
  /** The frame that was released last: one of these. */
  #releasedLast: readonly number[] = [0]

  constructor(producerOf: (incarnation: number) => ProducerRecord) {
    this.#producerOf = producerOf
  }

  get verdict(): Verdict {
    return { lost: this.#lost, torn: this.#torn, duplicated: this.#duplicated, invented: this.#invented }
  }

  /** A consumer that has ended, before its successor starts. */
  judge({ runs, torn, released, releaseIntended }: ConsumerRecord): void {
    for (const id of torn) this.#torn.add(id)
    let before = this.#releasedLast
    for (const [first, last] of runs) {
      before = [Math.max(last, this.#judgeStart(before, first, last))]
      for (let id = last; numberOf(id) > this.#producerOf(incarnationOf(id)).intended && id >= first; id--) this.#invented.add(id)
    }
    if (releaseIntended === 0) return
    if (released === 0) this.#releasedLast = [...this.#releasedLast, releaseIntended]
    else this.#releasedLast = released === releaseIntended ? [released] : [released, releaseIntended]
  }

  /** Every producer up to this incarnation is done and the last consumer, judged already, has released all: what is missing is lost. */
  finish(incarnation: number): void {
    for (const id of this.#between(Math.max(...this.#releasedLast), frameId(incarnation + 1, 1))) this.#lost.add(id)
  }

  /** Answers which of the frames that may have been the last one before was it. */
  #judgeStart(before: readonly number[], first: number, last: number): number {
    const follows = before.find((id) => first > id && this.#between(id, first).length === 0)
    if (follows !== undefined) return follows
    const certain = Math.min(...before)
    if (first <= certain) {
      for (let id = first; id <= Math.min(last, certain); id++) this.#duplicated.add(id)
      return certain
    }
    const reached = Math.max(...before.filter((id) => id < first))
    for (const id of this.#between(reached, first)) this.#lost.add(id)
    return reached
  }

  /** What had to come after `id` and before `next`. */
  #between(id: number, next: number): number[] {
    const missing: number[] = []
    for (let incarnation = incarnationOf(id); incarnation <= incarnationOf(next); incarnation++) {
      const from = incarnation === incarnationOf(id) ? numberOf(id) + 1 : 1
      const to = incarnation === incarnationOf(next) ? numberOf(next) - 1 : this.#producerOf(incarnation).published
      for (let number = from; number <= to; number++) missing.push(frameId(incarnation, number))
    }
    return missing
  }
}
