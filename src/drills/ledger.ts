import { type Values, ValuePrints } from './value-print.js'

/** What is wrong with the log, as the sending side sees it. Everything is 0 when nothing is. */
export interface LedgerVerdict {
  readonly sent: number
  /** Commands whose sender was told that they are durable. */
  readonly acked: number
  /** Commands found in the log, each counted once. */
  readonly durable: number
  readonly ackedMissing: number
  readonly duplicated: number
  readonly outOfOrder: number
  /** Found in the log with other values than were sent. */
  readonly torn: number
  /** Found in the log without ever having been sent. */
  readonly invented: number
  /** The first few of each kind, for a person: `lost machine/… at …`. */
  readonly examples: readonly string[]
}

/** One command in the log: the row that ends it. Rows come in order of version per entity. */
export interface LoggedCommand {
  readonly entity: string
  readonly version: number
  /** `at` of the command, microseconds since 1970. */
  readonly at: number
  /** What the events say that it led to; none of one that was refused. Undefined where that is not to be compared. */
  readonly events?: readonly Values[]
}

const EXAMPLES_MAX = 10

/**
 * The sending side's own book, which knows nothing of sequences, positions or recoveries. A command is known by its entity and its event time,
 * which the sender never gives twice to one entity, so that the book also sees faults of the plant's own numbering.
 */
export class Ledger {
  readonly #entities = new Map<string, EntityPage>()
  readonly #prints = new ValuePrints()
  readonly #ackMicros: number[] = []
  #onAck: ((micros: number) => void) | undefined
  #sent = 0
  #acked = 0

  get sent(): number {
    return this.#sent
  }

  get acked(): number {
    return this.#acked
  }

  /** Commands sent and not yet acknowledged. */
  get openCount(): number {
    return this.#sent - this.#acked
  }

  /** Tells each acknowledgement from now on, with the microseconds that it took. One listener at a time. */
  onAck(listener: (micros: number) => void): void {
    this.#onAck = listener
  }

  /** Acknowledgement times since the last call, in microseconds. */
  takeAckMicros(): number[] {
    return this.#ackMicros.splice(0)
  }

  /** Before the command leaves, in the order in which they must take effect; without its values these are not compared. Returns its number within the entity. */
  recordSent(entity: string, at: number, values?: Values): number {
    let page = this.#entities.get(entity)
    if (page === undefined) this.#entities.set(entity, (page = new EntityPage()))
    this.#sent++
    return page.add(at, values === undefined ? Number.NaN : this.#prints.of(values))
  }

  /** When the sender has been told that it is durable. */
  recordAcked(entity: string, number: number, micros: number): void {
    const page = this.#entities.get(entity)
    if (page?.acknowledge(number) !== true) return
    this.#acked++
    this.#ackMicros.push(micros)
    this.#onAck?.(micros)
  }

  /** Holds the log against the book. */
  async check(log: AsyncIterable<LoggedCommand>): Promise<LedgerVerdict> {
    const examples: string[] = []
    const found = new Map<string, EntityFinding>()
    let durable = 0
    let duplicated = 0
    let outOfOrder = 0
    let invented = 0
    let torn = 0
    const note = (what: string, entity: string, at: number) => {
      if (examples.length < EXAMPLES_MAX) examples.push(`${what} ${entity} at ${at}`)
    }
    for await (const { entity, at, events } of log) {
      const page = this.#entities.get(entity)
      const number = page?.find(at)
      if (page === undefined || number === undefined) {
        invented++
        note('invented', entity, at)
        continue
      }
      let finding = found.get(entity)
      if (finding === undefined) found.set(entity, (finding = { seen: new Set(), latest: -1 }))
      if (finding.seen.has(number)) {
        duplicated++
        note('twice', entity, at)
        continue
      }
      finding.seen.add(number)
      durable++
      if (number < finding.latest) {
        outOfOrder++
        note('out of order', entity, at)
      }
      finding.latest = Math.max(finding.latest, number)
      if (this.#isTorn(page.print(number), events)) {
        torn++
        note('torn', entity, at)
      }
    }
    let ackedMissing = 0
    for (const [entity, page] of this.#entities) {
      for (const at of page.acknowledgedBut(found.get(entity)?.seen)) {
        ackedMissing++
        note('lost', entity, at)
      }
    }
    return { sent: this.#sent, acked: this.#acked, durable, ackedMissing, duplicated, outOfOrder, torn, invented, examples }
  }

  #isTorn(print: number, events: readonly Values[] | undefined): boolean {
    return events !== undefined && events.length > 0 && !Number.isNaN(print) && !this.#prints.isSaid(print, events)
  }
}

interface EntityFinding {
  readonly seen: Set<number>
  latest: number
}

/** The commands of one entity in sending order, a few bytes each: an hour of drills sends some ten million. */
class EntityPage {
  readonly #ats: number[] = []
  /** Only of an entity whose times do not ascend: those of devices do. */
  #numbers: Map<number, number> | undefined
  readonly #isAcknowledged: boolean[] = []
  readonly #prints: number[] = []

  add(at: number, print: number): number {
    if (at < (this.#ats.at(-1) ?? at)) this.#numbers ??= new Map(this.#ats.map((earlier, number) => [earlier, number]))
    this.#numbers?.set(at, this.#ats.length)
    this.#isAcknowledged.push(false)
    this.#prints.push(print)
    return this.#ats.push(at) - 1
  }

  find(at: number): number | undefined {
    if (this.#numbers !== undefined) return this.#numbers.get(at)
    let low = 0
    let high = this.#ats.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ats[middle] as number) < at) low = middle + 1
      else high = middle
    }
    return this.#ats[low] === at ? low : undefined
  }

  /** NaN without one. */
  print(number: number): number {
    return this.#prints[number] as number
  }

  /** False when it was acknowledged before. */
  acknowledge(number: number): boolean {
    if (this.#isAcknowledged[number] !== false) return false
    this.#isAcknowledged[number] = true
    return true
  }

  *acknowledgedBut(seen: ReadonlySet<number> | undefined): Generator<number> {
    for (const [number, isAcknowledged] of this.#isAcknowledged.entries())
      if (isAcknowledged && seen?.has(number) !== true) yield this.#ats[number] as number
  }
}
