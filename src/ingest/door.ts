import type { EntityId } from '#base/ids.js'

/** A command on its way into the plant, as every source produces it. */
export interface IngestCommand {
  /** Who sends: a file, a device, an HTTP client. Empty when the source numbers nothing: then a resend is a second command. */
  readonly source: string
  /** In order per (source, entity), a safe integer. Ignored when `source` is empty. */
  readonly sequence: number
  readonly entity: EntityId
  /** Command name, such as `sample`. */
  readonly command: string
  readonly data: Readonly<Record<string, unknown>>
  /** When it happened, whole microseconds since 1970; undefined: when it is taken. */
  readonly at: number | undefined
  readonly correlation?: string
}

/** What a command came to, told once it is durable. */
export type Settlement =
  /** Done; `reply` is there only when `answer` was `always` and the entity gave one. `version` is 0 when no answer was asked for. */
  | { readonly kind: 'done'; readonly version: number; readonly reply: unknown }
  | { readonly kind: 'refused'; readonly version: number; readonly code: string; readonly detail: unknown }
  /** Was done before, longer ago than outcomes are remembered. */
  | { readonly kind: 'forgotten' }
  /** Its `decide` threw: nothing was stored. */
  | { readonly kind: 'failed'; readonly message: string }

/** `refused`: only refusals and failures come back one by one, success is counted by release (CSV, MQTT). `always`: HTTP, send. */
export type AnswerWanted = 'refused' | 'always'

/**
 * The way into the plant, the same for a source inside the gateway and for one behind a socket. Offer in order per (source, entity); each
 * accepted command is settled exactly once, in any order across entities, after it is durable.
 */
export interface Door {
  /**
   * Never blocks, never throws for input. `full`: nothing happened, offer it again after `onRoom`, and nothing later of the same source before it.
   * A `rejected` command can never be accepted: an unknown type or command, a field that is wrong; `reason` is for a person.
   */
  offer(command: IngestCommand, answer: AnswerWanted, settle: (settlement: Settlement) => void): Offered
  /** Calls back once when there may be room again. */
  onRoom(callback: () => void): void
  /**
   * Prepares one command of one source to one entity that will be sent many times; a text says why no such command can ever be taken. Only doors
   * in the process that holds the bus have lines: elsewhere a command costs the way there anyway.
   */
  line?(entity: EntityId, source: string, command: string): DoorLine | string
}

/**
 * What a door knows of a device that reports again and again, looked up once: offering costs no look-up, no check but that of the data, and allocates
 * nothing. Keeps a place in the door until it is closed.
 */
export interface DoorLine {
  /**
   * As Door.offer with answer `refused`, at `at` or, when that is NaN, when it is taken. `settle` is called with `token`; one function for many commands
   * makes no garbage. When `accepted` is read from the stored event, it may be some microseconds older than the offer, and never goes back.
   */
  offer(sequence: number, data: Readonly<Record<string, unknown>>, at: number, settle: SettleLine, token: number): Offered
  /** What is in flight is settled all the same. */
  close(): void
}

export type SettleLine = (settlement: Settlement, token: number) => void

export type Offered = 'accepted' | 'full' | { readonly rejected: string }

/** At most so many commands of one (source, entity) are in flight: the number of outcomes an entity remembers per source. */
export const IN_FLIGHT_PER_SOURCE_ENTITY_MAX = 16
