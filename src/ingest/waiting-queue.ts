import type { SettleLine, Settlement } from './door.js'
import type { Lane } from './lanes.js'

const CAPACITY_FIRST = 256

/**
 * Commands of one channel in flight, in order of their frames. Their requests follow each other modulo 2^32, so an answer finds its command by
 * subtraction. A ring of places, an array per thing that is known of a command, that grows to the most that was ever in flight, which the channel bounds.
 */
export class WaitingQueue {
  #endPosition = new Int32Array(CAPACITY_FIRST)
  #isAnswerWanted = new Uint8Array(CAPACITY_FIRST)
  #token = new Float64Array(CAPACITY_FIRST)
  #lane: (Lane | undefined)[] = new Array<Lane | undefined>(CAPACITY_FIRST).fill(undefined)
  #settle: (SettleLine | undefined)[] = new Array<SettleLine | undefined>(CAPACITY_FIRST).fill(undefined)
  #settlement: (Settlement | undefined)[] = new Array<Settlement | undefined>(CAPACITY_FIRST).fill(undefined)
  #mask = CAPACITY_FIRST - 1
  #head = 0
  #count = 0
  #firstRequest: number

  /** Requests are numbered from `firstRequest`. */
  constructor(firstRequest: number) {
    this.#firstRequest = firstRequest
  }

  get count(): number {
    return this.#count
  }

  /** What the next one pushed is called. */
  get nextRequest(): number {
    return (this.#firstRequest + this.#count) >>> 0
  }

  /** Of its frame in the commands channel. */
  get firstEndPosition(): number {
    return this.#endPosition[this.#head] as number
  }

  get firstLane(): Lane {
    return this.#lane[this.#head] as Lane
  }

  get firstSettle(): SettleLine {
    return this.#settle[this.#head] as SettleLine
  }

  get firstToken(): number {
    return this.#token[this.#head] as number
  }

  get isFirstAnswerWanted(): boolean {
    return this.#isAnswerWanted[this.#head] === 1
  }

  /** Answered, but not released yet. */
  get firstSettlement(): Settlement | undefined {
    return this.#settlement[this.#head]
  }

  push(endPosition: number, isAnswerWanted: boolean, lane: Lane, settle: SettleLine, token: number): void {
    if (this.#count > this.#mask) this.#grow()
    const index = (this.#head + this.#count++) & this.#mask
    this.#endPosition[index] = endPosition
    this.#isAnswerWanted[index] = isAnswerWanted ? 1 : 0
    this.#token[index] = token
    this.#lane[index] = lane
    this.#settle[index] = settle
  }

  /** Lets go of the first one and of what it holds: read it before. */
  shift(): void {
    const head = this.#head
    this.#lane[head] = undefined
    this.#settle[head] = undefined
    if (this.#settlement[head] !== undefined) this.#settlement[head] = undefined
    this.#head = (head + 1) & this.#mask
    this.#count--
    this.#firstRequest = (this.#firstRequest + 1) >>> 0
  }

  /** Notes what a command came to; nothing for one that is not in flight. */
  answer(request: number, settlement: () => Settlement): void {
    const ahead = (request - this.#firstRequest) >>> 0
    if (ahead < this.#count) this.#settlement[(this.#head + ahead) & this.#mask] = settlement()
  }

  #grow(): void {
    const length = this.#mask + 1
    const order = Array.from({ length }, (_, index) => (this.#head + index) & this.#mask)
    const moved = <T>(from: readonly T[]): (T | undefined)[] => [
      ...order.map((index) => from[index]),
      ...new Array<undefined>(length).fill(undefined),
    ]
    const endPosition = new Int32Array(length * 2)
    const isAnswerWanted = new Uint8Array(length * 2)
    const token = new Float64Array(length * 2)
    for (const [to, from] of order.entries()) {
      endPosition[to] = this.#endPosition[from] as number
      isAnswerWanted[to] = this.#isAnswerWanted[from] as number
      token[to] = this.#token[from] as number
    }
    this.#endPosition = endPosition
    this.#isAnswerWanted = isAnswerWanted
    this.#token = token
    this.#lane = moved(this.#lane)
    this.#settle = moved(this.#settle)
    this.#settlement = moved(this.#settlement)
    this.#mask = length * 2 - 1
    this.#head = 0
  }
}
