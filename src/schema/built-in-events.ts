import type { EventSchema } from './entity-schema.js'
import { bool, fieldSchemas, i64, json, label, text, time } from './fields.js'

/**
 * The events that every entity type has without declaring them: the rows of its outbox, and of who its parent and children are. Their names begin with a sign that no
 * declared event can have. What they fold into is not the state but the outbox beside it (entity/outbox.ts), with the kin in it (entity/kin.ts).
 */

/** The entity has told somebody something, or itself for later. */
export const MESSAGE_EVENT = '#message'
/** What became of a message: it is done with, or has another due time. */
export const SETTLED_EVENT = '#settled'
/** Something has happened in the life of the entity, or of one that it has to do with: spawned, started, errored, stopped. */
export const LIFECYCLE_EVENT = '#lifecycle'

/** Messages are numbered per entity, from 1; a target knows them by sender and number. */
export const MESSAGE_FIELDS = {
  number: i64(),
  /** `tell`, `ask`, `timer` or `effect`. */
  kind: label(),
  /** Entity id, or `effect:` with the name of an effect. */
  to: label(),
  command: label(),
  /** What the command's fields are, numbers that JSON lacks included. */
  data: json(),
  /** Of a timer: when it goes off. Of an ask: until when an answer counts. */
  due: time({ optional: true }),
  /** Of a timer that goes off again and again: milliseconds between two times. */
  every: i64({ optional: true }),
  key: label({ optional: true }),
  /** The command of the asking entity that takes the answer. */
  answerCommand: label({ optional: true }),
} as const

export const SETTLED_FIELDS = {
  number: i64(),
  /** What the command came to at its target: `done`, `refused`, `failed` or `forgotten`; or `cancelled` or `timed-out`. */
  outcome: label(),
  /** Why it failed, where it never came to its target. */
  code: label({ optional: true }),
  /** It is not over, but due again. */
  due: time({ optional: true }),
} as const

export const LIFECYCLE_FIELDS = {
  /** Which of its links it is about: `self`, `child`, `watcher` or `watched`. */
  of: label(),
  what: label(),
  /** Entity id of the other end; of `self` that of the parent, empty where there is none. */
  entity: label(),
  /** Of the child: how often its parent had started children by then. 0 where there is none. */
  incarnation: i64(),
  code: label({ optional: true }),
  message: text({ optional: true }),
  /** Of `self`: the state is that of the beginning again. */
  fresh: bool({ optional: true }),
  /** What the link is from now on; the link is no more where it is left out. */
  link: json({ optional: true }),
} as const

export const BUILT_IN_EVENTS: readonly EventSchema[] = [
  { event: MESSAGE_EVENT, fields: fieldSchemas(MESSAGE_FIELDS) },
  { event: SETTLED_EVENT, fields: fieldSchemas(SETTLED_FIELDS) },
  { event: LIFECYCLE_EVENT, fields: fieldSchemas(LIFECYCLE_FIELDS) },
]

/** Whether rows of this name are those of outboxes: shown to who asks for receipts, or for them by name. */
export function isOutboxEvent(event: string): boolean {
  return event === MESSAGE_EVENT || event === SETTLED_EVENT || event === LIFECYCLE_EVENT
}

/** Whether rows of this name are the plant's own: of the outbox, or in the place of rows that repair gave up. */
export function isBuiltIn(event: string): boolean {
  return event.startsWith('#')
}
