import { assert } from '#base/assert.js'
import type { Row } from '#journal/index.js'

export interface DeliveryWindowOptions<M> {
  /** Rows taken and not settled. */
  readonly rowsMax: number
  /** Of these, how many of one entity may be on their way at once. With 1 no refusal and no lost answer can put them in another order. */
  readonly perEntityMax: number
  /** Sends a row's message. The answer comes through `delivered`, `refused` or `release`. */
  readonly send: (delivery: Delivery<M>) => void
  /** Everything below the position is delivered. */
  readonly onSettled: (position: number) => void
}

/** A row on its way. */
export interface Delivery<M> {
  readonly row: Row
  readonly message: M
  /** How often it was sent. */
  attempts: number
  state: 'waiting' | 'sent' | 'held' | 'done'
}

/**
 * Rows on their way to another side that answers each, in any order: who may be sent now, and up to which position all have arrived. Rows of an entity are
 * sent in their order, and a row is only sent while fewer than `perEntityMax` of its entity are unanswered. Holds at most `rowsMax` rows.
 */
export class DeliveryWindow<M> {
  /** Rows that may be unanswered at one time, at most `rowsMax`. */
  sentMax: number
  readonly #options: DeliveryWindowOptions<M>
  #rows: Delivery<M>[] = []
  #head = 0
  readonly #lanes = new Map<string, Delivery<M>[]>()
  #sentCount = 0
  #heldCount = 0
  /** Rows that could go otherwise wait for others to be answered. */
  #isLimited = false
  #isEnded = false
  #position: number
  #looked: number
  #onRoom: (() => void) | undefined

  constructor(position: number, options: DeliveryWindowOptions<M>) {
    this.#options = options
    this.#position = position
    this.#looked = position
    this.sentMax = options.rowsMax
  }

  get position(): number {
    return this.#position
  }

  /** Rows taken and not settled, those that wait for one before them among them. */
  get openCount(): number {
    return this.#rows.length - this.#head
  }

  get sentCount(): number {
    return this.#sentCount
  }

  /** Whether rows were refused and are not sent again yet. */
  get isHeld(): boolean {
    return this.#heldCount > 0
  }

  /** The oldest row that was sent and has no answer. */
  get oldestSent(): Delivery<M> | undefined {
    for (let index = this.#head; index < this.#rows.length; index++) if (this.#rows[index]?.state === 'sent') return this.#rows[index]
    return undefined
  }

  /** Resolves when there is room for a row. One caller. */
  async room(): Promise<void> {
    while (this.openCount >= this.#options.rowsMax && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve
      })
    }
  }

  /** Takes the next row of the log. It goes with the next `pump`. */
  add(row: Row, message: M): void {
    assert(row.position >= this.#looked, 'rows come in the order of the log')
    const delivery: Delivery<M> = { row, message, attempts: 0, state: 'waiting' }
    this.#rows.push(delivery)
    this.#looked = row.position + 1
    const lane = this.#lanes.get(row.entity)
    if (lane === undefined) this.#lanes.set(row.entity, [delivery])
    else lane.push(delivery)
  }

  /** The log was looked at up to here: all rows below that are wanted were added. */
  looked(position: number): void {
    this.#looked = Math.max(this.#looked, position)
    this.#settle()
  }

  /** Sends what may be sent, in order of the log. */
  pump(): void {
    this.#isLimited = false
    for (let index = this.#head; index < this.#rows.length && !this.#isLimited; index++) this.#trySend(this.#rows[index] as Delivery<M>)
  }

  /** It arrived, or was given up. The next of its entity goes at once. */
  done(delivery: Delivery<M>): void {
    assert(delivery.state === 'sent', 'what is answered was sent')
    this.#sentCount--
    delivery.state = 'done'
    const { entity } = delivery.row
    const lane = (this.#lanes.get(entity) as Delivery<M>[]).filter((other) => other !== delivery)
    if (lane.length === 0) this.#lanes.delete(entity)
    else this.#lanes.set(entity, lane)
    this.#settle()
    if (this.#isLimited) return this.pump()
    const next = lane.find(({ state }) => state !== 'sent')
    if (next !== undefined) this.#trySend(next)
  }

  /** It was refused, but may be taken later: it waits for `release`, and all of its entity behind it. */
  hold(delivery: Delivery<M>): void {
    assert(delivery.state === 'sent', 'what is refused was sent')
    this.#sentCount--
    this.#heldCount++
    delivery.state = 'held'
  }

  /** Lets what was held be sent again. */
  release(): void {
    for (let index = this.#head; index < this.#rows.length; index++) {
      const delivery = this.#rows[index] as Delivery<M>
      if (delivery.state === 'held') delivery.state = 'waiting'
    }
    this.#heldCount = 0
  }

  /** Nothing that was sent will be answered any more: all of it is to be sent again, in order. */
  lost(): void {
    for (let index = this.#head; index < this.#rows.length; index++) {
      const delivery = this.#rows[index] as Delivery<M>
      if (delivery.state === 'sent') delivery.state = 'waiting'
    }
    this.#sentCount = 0
  }

  /** Sends nothing more, and lets whoever waits for room go. */
  end(): void {
    this.#isEnded = true
    this.sentMax = 0
    this.#onRoom?.()
  }

  /** Whether nothing of its entity that stands before it waits or is held, and few enough are on their way. */
  #mayGo(delivery: Delivery<M>): boolean {
    let sent = 0
    for (const other of this.#lanes.get(delivery.row.entity) as Delivery<M>[]) {
      if (other === delivery) return sent < this.#options.perEntityMax
      if (other.state !== 'sent') return false
      sent++
    }
    return false
  }

  #trySend(delivery: Delivery<M>): void {
    if (delivery.state !== 'waiting' || !this.#mayGo(delivery)) return
    this.#isLimited = this.#sentCount >= this.sentMax
    if (this.#isLimited) return
    delivery.state = 'sent'
    delivery.attempts++
    this.#sentCount++
    this.#options.send(delivery)
  }

  #settle(): void {
    while (this.#rows[this.#head]?.state === 'done') this.#head++
    const position = this.#rows[this.#head]?.row.position ?? this.#looked
    if (this.#head >= 1024 && this.#head * 2 >= this.#rows.length) {
      this.#rows = this.#rows.slice(this.#head)
      this.#head = 0
    }
    if (position > this.#position) {
      this.#position = position
      this.#options.onSettled(position)
    }
    if (this.openCount < this.#options.rowsMax) {
      this.#onRoom?.()
      this.#onRoom = undefined
    }
  }
}
