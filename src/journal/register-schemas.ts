import { MillraceError } from '#base/errors.js'
import {
  BUILT_IN_EVENTS,
  type EntitySchema,
  fieldsKey,
  isBuiltIn,
  readingOf,
  STEPPED,
  TRANSITIONED,
  whyNotReadable,
} from '#schema/index.js'
import type { EventType, Journal } from './journal.js'

/**
 * Registers the events of a plant, once everything that the log has of its entity types can be read by it. Throws ERR_SCHEMA_CHANGED naming type and
 * field and what to declare, and ERR_SCHEMA_NEWER when the log was written under a later form of an event than the plant has; then nothing has changed.
 * Entity types that the plant does not have are let be, and so are rows that repair has fenced.
 */
export async function registerSchemas(journal: Pick<Journal, 'eventTypes' | 'register'>, schemas: readonly EntitySchema[]): Promise<void> {
  for (const schema of schemas) {
    const stored = journal.eventTypes.filter(({ entity, event }) => entity === schema.entity && !isBuiltIn(event))
    for (const type of stored) if (readingOf(schema, type, stored) === undefined) throw unreadable(schema, type, stored)
  }
  const declared = schemas.flatMap(({ entity, events }) => events.map(({ event, fields }) => ({ entity, event, fields })))
  await journal.register([...declared, ...schemas.flatMap(({ entity }) => BUILT_IN_EVENTS.map((one) => ({ entity, ...one })))])
}

function unreadable(schema: EntitySchema, type: EventType, stored: readonly EventType[]): MillraceError {
  const name = `${type.entity}.${type.event}`
  const present = schema.events.find(({ event }) => event === type.event)
  const change = present === undefined ? undefined : whyNotReadable(type.fields, present.fields)
  if (present === undefined || change === undefined) {
    return new MillraceError('ERR_SCHEMA_CHANGED', {
      fact: 'the log has events that the entity type has no more',
      action: 'operator',
      values: { type: name },
      next:
        `if ${type.event} has another name now, declare it as a former shape of that: upcast: { NewName: [{ event: '${type.event}', from: { … }, to: (old) => … }] }; ` +
        `if it is gone for good: dropped: ['${type.event}']; if this is an older version of the plant, start the newer one`,
    })
  }
  const { field, how } = change
  const key = fieldsKey(present.fields)
  const known = stored.find((one) => one.event === type.event && fieldsKey(one.fields) === key)
  if (known !== undefined && known.number < type.number) {
    return new MillraceError('ERR_SCHEMA_NEWER', {
      fact: 'the log has events of a newer form than the entity type declares',
      action: 'operator',
      values: { type: name, field, how, storedAs: type.number, declaredAs: known.number },
      next: 'start the version of the plant that wrote them, or declare how they are turned back under upcast',
    })
  }
  const namesOf = (fields: EventType['fields']) => fields.find(({ name: one }) => one === field)?.oneOf ?? []
  const declared = new Set([present, ...(present.former ?? [])].flatMap((shape) => namesOf(shape.fields)))
  const isOfMachine = type.event === TRANSITIONED || type.event === STEPPED
  const lost = isOfMachine ? namesOf(type.fields).find((one) => !declared.has(one)) : undefined
  if (lost !== undefined) {
    return new MillraceError('ERR_SCHEMA_CHANGED', {
      fact: 'the log has transitions of a state that the entity type has no more',
      action: 'operator',
      values: { type: name, state: lost },
      next: `say which of its states that is now: renamedStates: { ${/^\w+$/.test(lost) ? lost : `'${lost}'`}: '…' }, or bring the state back`,
    })
  }
  return new MillraceError('ERR_SCHEMA_CHANGED', {
    fact: 'an event with stored rows came with other fields',
    action: 'operator',
    values: { type: name, field, how },
    next: `declare the former shape: upcast: { ${type.event}: [{ from: { ${type.fields.map(({ name: one, kind }) => `${one}: ${kind}(…)`).join(', ')} }, to: (old) => ({ … }) }] }, or give the event a new name`,
  })
}
