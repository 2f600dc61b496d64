/**
 * What the ends of a channel under fault write down beside it, in a mapping of their own that survives them. Every end writes its intent before a
 * call of the bus and the completion after it, so that the parent knows of each frame, whenever the process dies: it was certainly published,
 * certainly not, or the process died in the act.
 *
 *      0  lane words (i32), then lane times (f64), one cache line apart by writer
 *   1024  a record per producer: i32 intended, i32 published
 *  17408  a record per consumer, in turns: i32 runs, release intended, released, torn, then torn ids, then runs as pairs of ids
 *
 * Frames have ids: the incarnation of their producer (from 1) and their number in it (from 1), as one word that grows.
 */
export const LEDGER_BYTES = 65_536

export const INCARNATIONS_MAX = 2047
export const NUMBER_MAX = 2 ** 20 - 1
export const RUNS_MAX = 700
export const TORN_MAX = 32

const STOP_WORD = 0
const SABOTAGED_WORD = 64
const STOPPED_WORD = 65
const FAILED_WORD = { producer: 96, consumer: 128 }
const DIED_AT_WORD = { producer: 97, consumer: 129 }
const ATTACHED_WORD = { producer: 98, consumer: 130 }
/** How often the end was told that the other has a successor; how often it went on after that; and when. */
const NOTICED_WORD = { producer: 160, consumer: 192 }
const RESUMED_WORD = { producer: 99, consumer: 131 }
const NOTICED_TIME = { producer: 160 / 2 + 1, consumer: 192 / 2 + 1 }
const RESUMED_TIME = { producer: 100 / 2, consumer: 132 / 2 }

const PRODUCERS_WORD = 1024 / 4
const PRODUCER_WORDS = 2
const CONSUMERS_WORD = PRODUCERS_WORD + (INCARNATIONS_MAX + 1) * PRODUCER_WORDS
const CONSUMER_WORDS = 4 + TORN_MAX + 2 * RUNS_MAX
/** A consumer's record is judged before the one after the next begins. */
const CONSUMER_RECORDS = 4

/** Why an end ended by itself. */
export const FAILED_DAMAGED = 1
export const FAILED_OTHERWISE = 2

export type FaultRole = 'producer' | 'consumer'

export function frameId(incarnation: number, number: number): number {
  return incarnation * (NUMBER_MAX + 1) + number
}

export function incarnationOf(id: number): number {
  return id >>> 20
}

export function numberOf(id: number): number {
  return id & NUMBER_MAX
}

/** What one consumer wrote down. */
export interface ConsumerRecord {
  /** Frames that came in a row: first and last id. */
  readonly runs: readonly (readonly [first: number, last: number])[]
  /** The last frame that it began to release, and the last whose release returned. 0: none. */
  readonly releaseIntended: number
  readonly released: number
  readonly torn: readonly number[]
}

/** What one producer wrote down: numbers of its frames, 0 for none. */
export interface ProducerRecord {
  readonly intended: number
  readonly published: number
}

/** The parent's view. */
export class FaultLedger {
  protected readonly words: Int32Array
  protected readonly times: Float64Array

  constructor(buffer: ArrayBuffer) {
    this.words = new Int32Array(buffer)
    this.times = new Float64Array(buffer)
  }

  producer(incarnation: number): ProducerRecord {
    const at = PRODUCERS_WORD + incarnation * PRODUCER_WORDS
    return { intended: Atomics.load(this.words, at), published: Atomics.load(this.words, at + 1) }
  }

  consumer(incarnation: number): ConsumerRecord {
    const at = consumerWord(incarnation)
    const { words } = this
    const runCount = Atomics.load(words, at)
    const tornCount = Atomics.load(words, at + 3)
    const runsWord = at + 4 + TORN_MAX
    return {
      runs: Array.from({ length: runCount }, (_, run) => [words[runsWord + 2 * run] as number, words[runsWord + 2 * run + 1] as number]),
      releaseIntended: Atomics.load(words, at + 1),
      released: Atomics.load(words, at + 2),
      torn: [...words.subarray(at + 4, at + 4 + tornCount)],
    }
  }

  clearConsumer(incarnation: number): void {
    this.words.fill(0, consumerWord(incarnation), consumerWord(incarnation) + CONSUMER_WORDS)
  }

  stopProducing(): void {
    Atomics.store(this.words, STOP_WORD, 1)
  }

  get isStopping(): boolean {
    return Atomics.load(this.words, STOP_WORD) !== 0
  }

  get isSabotaged(): boolean {
    return Atomics.load(this.words, SABOTAGED_WORD) !== 0
  }

  get hasStopped(): boolean {
    return Atomics.load(this.words, STOPPED_WORD) !== 0
  }

  /** The incarnation that attached last. */
  attachedLast(role: FaultRole): number {
    return Atomics.load(this.words, ATTACHED_WORD[role])
  }

  /** Whether the end has gone on since it was last told of the other's successor. */
  hasResumed(role: FaultRole): boolean {
    return Atomics.load(this.words, RESUMED_WORD[role]) === Atomics.load(this.words, NOTICED_WORD[role])
  }

  /** How often the end was told, and how long it took the last time. */
  notices(role: FaultRole): number {
    return Atomics.load(this.words, NOTICED_WORD[role])
  }

  resumeMs(role: FaultRole): number {
    return (this.times[RESUMED_TIME[role]] as number) - (this.times[NOTICED_TIME[role]] as number)
  }

  /** Site of the step at which the last process of the role killed itself, -1 when it did not; then as if it had not. */
  takeDiedAt(role: FaultRole): number {
    return Atomics.exchange(this.words, DIED_AT_WORD[role], 0) - 1
  }

  /** Why the last process of the role ended by itself: 0 when it did not. */
  takeFailed(role: FaultRole): number {
    return Atomics.exchange(this.words, FAILED_WORD[role], 0)
  }
}

/** An end's view: of the role it has, in its incarnation. */
export class LedgerWriter extends FaultLedger {
  readonly #role: FaultRole
  readonly #other: FaultRole
  readonly #incarnation: number
  readonly #at: number
  #noticed = 0
  #run = -1
  #last = 0

  constructor(buffer: ArrayBuffer, role: FaultRole, incarnation: number) {
    super(buffer)
    this.#role = role
    this.#incarnation = incarnation
    this.#other = role === 'producer' ? 'consumer' : 'producer'
    this.#at = role === 'producer' ? PRODUCERS_WORD + incarnation * PRODUCER_WORDS : consumerWord(incarnation)
  }

  /** This end is attached: the other, if it lives, may go on. */
  attached(nowMs: number): void {
    this.#noticed = Atomics.load(this.words, NOTICED_WORD[this.#role])
    Atomics.store(this.words, RESUMED_WORD[this.#role], this.#noticed)
    this.times[NOTICED_TIME[this.#other]] = nowMs
    Atomics.add(this.words, NOTICED_WORD[this.#other], 1)
    Atomics.store(this.words, ATTACHED_WORD[this.#role], this.#incarnation)
  }

  /** To be called whenever something got through. */
  wentOn(nowMs: () => number): void {
    const noticed = Atomics.load(this.words, NOTICED_WORD[this.#role])
    if (noticed === this.#noticed) return
    this.#noticed = noticed
    this.times[RESUMED_TIME[this.#role]] = nowMs()
    Atomics.store(this.words, RESUMED_WORD[this.#role], noticed)
  }

  intendPublish(number: number): void {
    Atomics.store(this.words, this.#at, number)
  }

  published(number: number): void {
    Atomics.store(this.words, this.#at + 1, number)
  }

  sabotaged(): void {
    Atomics.store(this.words, SABOTAGED_WORD, 1)
  }

  /** Of what came last, 0 at first. */
  get last(): number {
    return this.#last
  }

  received(id: number): void {
    const runs = this.#at + 4 + TORN_MAX
    if (this.#run < 0 || id !== this.#last + 1) {
      this.#run++
      if (this.#run >= RUNS_MAX) throw new RangeError('a consumer lived through too many producers')
      this.words[runs + 2 * this.#run] = id
      this.words[runs + 2 * this.#run + 1] = id
      Atomics.store(this.words, this.#at, this.#run + 1)
    } else Atomics.store(this.words, runs + 2 * this.#run + 1, id)
    this.#last = id
  }

  torn(id: number): void {
    const count = this.words[this.#at + 3] as number
    if (count >= TORN_MAX) return
    this.words[this.#at + 4 + count] = id
    Atomics.store(this.words, this.#at + 3, count + 1)
  }

  intendRelease(id: number): void {
    Atomics.store(this.words, this.#at + 1, id)
  }

  released(id: number): void {
    Atomics.store(this.words, this.#at + 2, id)
  }

  diesAt(site: number): void {
    Atomics.store(this.words, DIED_AT_WORD[this.#role], site + 1)
  }

  failed(reason: number): void {
    Atomics.store(this.words, FAILED_WORD[this.#role], reason)
  }

  /** The producer has published all that it ever will. */
  stopped(): void {
    Atomics.store(this.words, STOPPED_WORD, 1)
  }
}

function consumerWord(incarnation: number): number {
  return CONSUMERS_WORD + (incarnation % CONSUMER_RECORDS) * CONSUMER_WORDS
}
