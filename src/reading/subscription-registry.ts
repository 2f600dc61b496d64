import { type Clock, systemClock } from '#base/clock.js'
import type { MillraceError } from '#base/errors.js'
import { pack, unpack } from '#base/pack.js'
import type { Journal } from '#journal/index.js'
import { fenced, resetMeanwhile, taken, unknownSubscription, wrongSubscription } from './subscription-errors.js'
import { checkStart, type StartPosition, startIn } from './subscription-start.js'

/** What a named subscription has had. */
export interface SubscriptionState {
  readonly name: string
  /** Its checkpoint: the first position that it has not settled. */
  readonly position: number
  /** When that was stored, microseconds since 1970. */
  readonly updatedAt: number
  /** When its reader last asked for rows, as far as this process knows; never before `updatedAt`. */
  readonly seenAt: number
  /** Somebody reads under the name right now, if only by waiting for rows to come. */
  readonly isRead: boolean
  readonly isFenced: boolean
  /** Why it is fenced. */
  readonly reason?: string
}

/** Who reads under a name: a later one has a higher term. */
export interface SubscriptionHolder {
  readonly name: string
  readonly term: number
}

/** Where a named subscription begins. */
export interface NamedStart {
  /** `checkpoint` goes on where it was; anything else starts over from there, also when it is fenced. */
  readonly from: StartPosition | 'checkpoint'
  /** Where one begins that has no checkpoint yet. */
  readonly initial: StartPosition
}

/** As it stands in the journal, as msgpack under `subscription/NAME`. */
interface Stored {
  readonly position: number
  readonly term: number
  readonly updatedAt: number
  /** Why it is fenced, if it is. */
  readonly fenced?: string
  /** Reset, and not opened since. */
  readonly isReset?: boolean
}

const PREFIX = 'subscription/'
const registries = new WeakMap<Journal, SubscriptionRegistry>()

/** The subscriptions of a journal: one registry for all who ask in its process. */
export function subscriptionsOf(journal: Journal, clock: Clock = systemClock): SubscriptionRegistry {
  let registry = registries.get(journal)
  if (registry === undefined) registries.set(journal, (registry = new SubscriptionRegistry(journal, clock)))
  return registry
}

/**
 * Named subscriptions with their checkpoints, kept in the journal and so as durable as the log. Retention reads from it what is still needed. The
 * journal has one process that writes, so what stands here is what holds; each change is durable when its promise resolves.
 */
export class SubscriptionRegistry {
  readonly #journal: Journal
  readonly #clock: Clock
  #records: Map<string, Stored> | undefined
  readonly #seen = new Map<string, number>()
  /** How many read under a name: for a moment a successor beside the one before. */
  readonly #readers = new Map<string, number>()
  readonly #watchers = new Set<{ readonly name: string; readonly callback: () => void }>()

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal
    this.#clock = clock
  }

  /** By name. Throws ERR_CATALOG_DAMAGED where a checkpoint cannot be read. */
  list(): SubscriptionState[] {
    const states = [...this.#all()].map(([name, { position, updatedAt, fenced: reason }]) => ({
      name,
      position,
      updatedAt,
      seenAt: Math.max(updatedAt, this.#seen.get(name) ?? 0),
      isRead: this.#readers.has(name),
      isFenced: reason !== undefined,
      ...(reason === undefined ? {} : { reason }),
    }))
    return states.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * Makes the caller the reader of that name, and whoever was it before no longer. Throws ERR_SUBSCRIPTION_FENCED, ERR_SUBSCRIPTION_AHEAD and
   * ERR_SUBSCRIPTION_BEHIND when it cannot go on from its checkpoint.
   */
  async open(name: string, { from, initial }: NamedStart): Promise<{ readonly position: number; readonly term: number }> {
    checkName(name)
    const known = this.#all().get(name)
    let position: number
    if (from !== 'checkpoint') position = startIn(this.#journal, from, name)
    else if (known === undefined) position = startIn(this.#journal, initial, name)
    else {
      if (known.fenced !== undefined) throw this.#fenced(name, known.position, known.fenced)
      position = known.position
      checkStart(this.#journal, position, name)
    }
    const term = (known?.term ?? 0) + 1
    await this.#change(name, { position, term, updatedAt: this.#clock.nowMicros() })
    return { position, term }
  }

  /** Throws when the holder may not read any more: ERR_SUBSCRIPTION_FENCED, ERR_SUBSCRIPTION_RESET, ERR_SUBSCRIPTION_TAKEN. */
  check({ name, term }: SubscriptionHolder): void {
    const known = this.#all().get(name)
    if (known === undefined || known.term !== term) throw known?.isReset === true ? resetMeanwhile(name) : taken(name)
    if (known.fenced !== undefined) throw this.#fenced(name, known.position, known.fenced)
    this.#seen.set(name, this.#clock.nowMicros())
  }

  /** Counts a reader of that name until the answer is called, once. */
  enter(name: string): () => void {
    this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1)
    return () => {
      const left = (this.#readers.get(name) ?? 1) - 1
      if (left === 0) this.#readers.delete(name)
      else this.#readers.set(name, left)
    }
  }

  /** Calls back when the subscription was fenced, reset, removed or opened by another, until the answer is called: look at `check`. */
  watch(name: string, callback: () => void): () => void {
    const watcher = { name, callback }
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  /** Moves the checkpoint, never back. Throws as `check`. */
  async save(holder: SubscriptionHolder, position: number): Promise<void> {
    this.check(holder)
    const { name, term } = holder
    const known = this.#all().get(name) as Stored
    await this.#store(name, { position: Math.max(position, known.position), term, updatedAt: this.#clock.nowMicros() })
  }

  /** Keeps a subscription from reading on until it is reset: its next read or save is ERR_SUBSCRIPTION_FENCED. `reason` is a clause: "it held 2 GB". */
  async fence(name: string, reason: string): Promise<void> {
    await this.#change(name, { ...this.#need(name), fenced: reason })
  }

  /** Sets the checkpoint and lifts a fence; a reader under that name ends. Returns the position. */
  async reset(name: string, start: StartPosition): Promise<number> {
    const { term } = this.#need(name)
    const position = startIn(this.#journal, start, name)
    await this.#change(name, { position, term: term + 1, updatedAt: this.#clock.nowMicros(), isReset: true })
    return position
  }

  /** Forgets it; a reader under that name ends. */
  async remove(name: string): Promise<void> {
    this.#need(name)
    this.#all().delete(name)
    this.#seen.delete(name)
    this.#tell(name)
    await this.#journal.removeCheckpoint(PREFIX + name)
  }

  #fenced(name: string, position: number, reason: string): MillraceError {
    return fenced(name, position, reason, this.#journal.firstPosition)
  }

  #need(name: string): Stored {
    const known = this.#all().get(name)
    if (known === undefined) throw unknownSubscription(name)
    return known
  }

  /** As `store`, and whoever reads under the name hears of it once it is durable. */
  async #change(name: string, stored: Stored): Promise<void> {
    await this.#store(name, stored)
    this.#tell(name)
  }

  #tell(name: string): void {
    for (const watcher of [...this.#watchers]) if (watcher.name === name) watcher.callback()
  }

  async #store(name: string, stored: Stored): Promise<void> {
    this.#all().set(name, stored)
    await this.#journal.saveCheckpoint(PREFIX + name, pack(stored))
  }

  #all(): Map<string, Stored> {
    if (this.#records !== undefined) return this.#records
    const records = new Map<string, Stored>()
    for (const key of this.#journal.checkpointNames(PREFIX)) {
      const bytes = this.#journal.checkpoint(key)
      if (bytes !== undefined) records.set(key.slice(PREFIX.length), unpack<Stored>(bytes))
    }
    this.#records = records
    return records
  }
}

function checkName(name: string): void {
  if (/^[\w.-]{1,100}$/.test(name)) return
  throw wrongSubscription('not a name for a subscription', { name }, 'use at most 100 letters, digits, dots, dashes and underscores')
}
