import {
  type Codec,
  createCodec,
  type Data,
  fieldSchemas,
  LIFECYCLE_EVENT,
  MESSAGE_EVENT,
  MESSAGE_FIELDS,
  SETTLED_EVENT,
  SETTLED_FIELDS,
} from '#schema/index.js'
import { isFreshStart, Kin, LIFECYCLE_CODEC, type LifecycleData, type PlainKin } from './kin.js'
import { isKinCommand } from './kin-commands.js'

/** How rows of the outbox are written and read. */
export const MESSAGE_CODEC = createCodec(fieldSchemas(MESSAGE_FIELDS))
const SETTLED_CODEC = createCodec(fieldSchemas(SETTLED_FIELDS))

/** Sources that begin so are entities: what stands behind is the id of the sender of a message, and the sequence is the message's number. */
export const ENTITY_SOURCE_PREFIX = 'entity:'
/** Of one entity that are neither done nor gone off: more are refused, since all of them lie in memory. */
export const OUTBOX_MESSAGES_MAX = 1_048_576
/** Settled messages that the list still has, before it is made anew. */
const GONE_MAX = 32
/** With so many messages timers are found by a map of their keys; it would take more memory than all else of an entity that has one. */
const KEYS_FROM = 16

/**
 * `tell`: a command for another entity. `ask`: one whose answer comes back as a command. `timer`: a command for the entity itself, at its time. `effect`: something that a
 * gateway does outside of the plant.
 */
export type MessageKind = 'tell' | 'ask' | 'timer' | 'effect'
/** What becomes of a message. */
export type SettledAs = 'done' | 'refused' | 'failed' | 'forgotten' | 'cancelled' | 'timed-out'

/** A row of the outbox, normalised, as the codecs give it. */
export interface OutboxRow {
  readonly event: typeof MESSAGE_EVENT | typeof SETTLED_EVENT | typeof LIFECYCLE_EVENT
  readonly data: Data
}

/** With `due` the message is due again then, and not over. */
export function settledRow(data: {
  readonly number: number
  readonly outcome: SettledAs
  readonly code?: string | undefined
  readonly due?: number | undefined
}): OutboxRow {
  return { event: SETTLED_EVENT, data: SETTLED_CODEC.normalise(data) }
}

/** A row of the log as one of an outbox; undefined when it is none. */
export function outboxRowOf({ event, data }: { readonly event: string | undefined; readonly data: object }): OutboxRow | undefined {
  return event === MESSAGE_EVENT || event === SETTLED_EVENT || event === LIFECYCLE_EVENT ? { event, data: data as Data } : undefined
}

export function outboxCodec(event: OutboxRow['event']): Codec {
  if (event === MESSAGE_EVENT) return MESSAGE_CODEC
  return event === SETTLED_EVENT ? SETTLED_CODEC : LIFECYCLE_CODEC
}

/** Whether a row makes the state that of the beginning again: whoever folds states gives it a new one then. */
export function isFresh(event: string | undefined, data: object): boolean {
  return event === LIFECYCLE_EVENT && isFreshStart(data as Data)
}

interface MessageData {
  readonly number: number
  readonly kind: MessageKind
  readonly to: string
  readonly command: string
  readonly data: Readonly<Record<string, unknown>>
  readonly due?: number
  readonly every?: number
  readonly key?: string
  readonly answerCommand?: string
}

interface SettledData {
  readonly number: number
  readonly outcome: SettledAs
  readonly due?: number
}

/** A message that is under way, or a timer that has not gone off. */
export class Message {
  readonly number: number
  readonly kind: MessageKind
  /** Entity id; of an effect what MESSAGE_FIELDS say. */
  readonly to: string
  readonly command: string
  readonly data: Readonly<Record<string, unknown>>
  /** Microseconds since 1970: of a timer, and of an ask that is not too late yet; else NaN. */
  due: number
  /** Milliseconds; 0: once. */
  readonly every: number
  readonly key: string
  readonly answerCommand: string
  /** Of the row that it came with. */
  readonly at: number
  readonly correlation: string
  /** Of an ask: it was too late, the answer is not wanted any more. */
  isLate = false
  isGone = false
  /** Of a timer, not folded: it has been sent for this due time. */
  isFired = false

  constructor(data: MessageData, at: number, correlation: string) {
    this.number = data.number
    this.kind = data.kind
    this.to = data.to
    this.command = data.command
    this.data = data.data
    this.due = data.due ?? Number.NaN
    this.every = data.every ?? 0
    this.key = data.key ?? ''
    this.answerCommand = data.answerCommand ?? ''
    this.at = at
    this.correlation = correlation
  }
}

/** As plain data: the next number, then each message in order, then its kin where it has some. */
export type PlainOutbox = readonly [next: number, messages: readonly PlainMessage[], kin?: PlainKin]
type PlainMessage = readonly [...(string | number | boolean | Readonly<Record<string, unknown>>)[]]

/**
 * What an entity has told others and itself and what is not over yet, folded from rows like the state, in the same order, and part of its snapshots and of its
 * hash. An entity that never told anything has none.
 */
export class Outbox {
  #next = 1
  /** In order of their numbers, those that are gone among them for a while. */
  #list: Message[] = []
  #goneCount = 0
  #timerCount = 0
  #effectCount = 0
  #keys: Map<string, number> | undefined
  /** Parent, children and watchers; undefined when it never had any. */
  kin: Kin | undefined

  /** The number that the next message gets. */
  get next(): number {
    return this.#next
  }

  /** Messages that are not over, timers included. */
  get count(): number {
    return this.#list.length - this.#goneCount
  }

  /** Those that an entity is to get as soon as that is possible. */
  get underWayCount(): number {
    return this.count - this.#timerCount - this.#effectCount
  }

  get effectCount(): number {
    return this.#effectCount
  }

  get(number: number): Message | undefined {
    const found = this.#list[this.#indexOf(number)]
    return found?.number === number && !found.isGone ? found : undefined
  }

  /** The pending timer of a key. */
  timerOf(key: string): number | undefined {
    if (this.#keys !== undefined) return this.#keys.get(key)
    return this.#list.findLast((one) => one.kind === 'timer' && one.key === key && !one.isGone)?.number
  }

  /** In order of their numbers. */
  forEach(each: (message: Message) => void): void {
    for (const message of this.#list) if (!message.isGone) each(message)
  }

  /** Folds one row, whose data becomes the outbox's own. `at` and `correlation` are those of the row. */
  take(row: OutboxRow, at: number, correlation: string): void {
    if (row.event === MESSAGE_EVENT) this.#add(new Message(row.data as unknown as MessageData, at, correlation))
    else if (row.event === SETTLED_EVENT) this.#settle(row.data as unknown as SettledData)
    else this.#live(row.data)
  }

  toPlain(): PlainOutbox {
    const messages: PlainMessage[] = []
    this.forEach((one) => {
      const { number, kind, to, command, data, due, every, key, answerCommand, at, correlation, isLate } = one
      messages.push([number, kind, to, command, data, due, every, key, answerCommand, at, correlation, isLate])
    })
    return this.kin === undefined ? [this.#next, messages] : [this.#next, messages, this.kin.toPlain()]
  }

  static fromPlain([next, messages, kin]: PlainOutbox): Outbox {
    const outbox = new Outbox()
    outbox.kin = kin === undefined ? undefined : Kin.fromPlain(kin)
    for (const plain of messages) {
      const [number, kind, to, command, data, due, every, key, answerCommand, at, correlation, isLate] = plain as [
        ...[number, MessageKind, string, string, Record<string, unknown>, number, number, string, string, number, string, boolean],
      ]
      const message = new Message({ number, kind, to, command, data, due, every, key, answerCommand }, at, correlation)
      message.isLate = isLate
      outbox.#add(message)
    }
    outbox.#next = next
    return outbox
  }

  /** An entity that begins anew, or has stopped, waits for nothing that it had in mind before: its own timers, and answers. What it told others is on its way. */
  #live(data: Data): void {
    this.kin ??= new Kin()
    this.kin.take(data as unknown as LifecycleData)
    if (!isFreshStart(data) && data['what'] !== 'stopped') return
    for (const message of [...this.#list]) {
      const { number, kind, command } = message
      if (kind === 'timer' && !message.isGone && !isKinCommand(command)) this.#settle({ number, outcome: 'cancelled' })
      else if (kind === 'ask' && !message.isLate) this.#settle({ number, outcome: 'timed-out' })
    }
  }

  #add(message: Message): void {
    // A list that is made for one has no room for more: most never have two.
    if (this.#list.length === 0) this.#list = [message]
    else this.#list.push(message)
    this.#next = message.number + 1
    if (message.kind === 'effect') this.#effectCount++
    if (message.kind !== 'timer') return
    this.#timerCount++
    if (this.#keys !== undefined && message.key !== '') this.#keys.set(message.key, message.number)
    else if (this.#list.length === KEYS_FROM) this.#keys = this.#keysOfTimers()
  }

  #keysOfTimers(): Map<string, number> {
    const keys = new Map<string, number>()
    for (const { kind, key, number, isGone } of this.#list) if (kind === 'timer' && key !== '' && !isGone) keys.set(key, number)
    return keys
  }

  #settle({ number, outcome, due }: SettledData): void {
    const message = this.get(number)
    if (message === undefined) return
    if (due !== undefined) {
      message.due = due
      message.isFired = false
      return
    }
    if (outcome === 'timed-out') {
      message.isLate = true
      message.due = Number.NaN
      return
    }
    message.isGone = true
    this.#goneCount++
    if (message.kind === 'effect') this.#effectCount--
    if (message.kind === 'timer') {
      this.#timerCount--
      if (message.key !== '' && this.#keys?.get(message.key) === number) this.#keys.delete(message.key)
    }
    if (this.#goneCount === this.#list.length) this.#list = []
    else if (this.#goneCount > GONE_MAX && this.#goneCount * 2 > this.#list.length) this.#list = this.#list.filter((one) => !one.isGone)
    else return
    this.#goneCount = 0
  }

  /** Where a message of this number is, or would be. */
  #indexOf(number: number): number {
    const list = this.#list
    let low = 0
    let high = list.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((list[middle] as Message).number < number) low = middle + 1
      else high = middle
    }
    return low
  }
}
