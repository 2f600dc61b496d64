import type { EventSchema } from './entity-schema.js'
import { fieldSchemas, i64, json, label, time } from './fields.js'

/**
 * The events that every entity type has without declaring them: the rows of its outbox. Their names begin with a sign that no declared event can have. What they fold into
 * is not the state but the outbox beside it (entity/outbox.ts).
 */

/** The entity has told somebody something, or itself for later. */
export const MESSAGE_EVENT = '#message'
/** What became of a message: it is done with, or has another due time. */
export const SETTLED_EVENT = '#settled'

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

export const BUILT_IN_EVENTS: readonly EventSchema[] = [
  { event: MESSAGE_EVENT, fields: fieldSchemas(MESSAGE_FIELDS) },
  { event: SETTLED_EVENT, fields: fieldSchemas(SETTLED_FIELDS) },
]

/** Whether rows of this name are those of outboxes: shown to who asks for receipts, or for them by name. */
export function isOutboxEvent(event: string): boolean {
  return event === MESSAGE_EVENT || event === SETTLED_EVENT
}

/** Whether rows of this name are the plant's own: of the outbox, or in the place of rows that repair gave up. */
export function isBuiltIn(event: string): boolean {
  return event.startsWith('#')
}
