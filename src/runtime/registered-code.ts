import type { EventType, Journal } from '#journal/index.js'
import { registerSchemas } from '#journal/register-schemas.js'
import { fieldsKey } from '#schema/index.js'
import { schemasOf } from './plant-code.js'
import { readPlantRecord } from './plant-record.js'

type Registry = Pick<Journal, 'eventTypes' | 'register'>

/**
 * As registerSchemas, for the journal of a plant. Events that the log was told of for code that was then given up, as the plant's record has them, need not be readable:
 * hardly ever are there rows of them, and the entities that have some are fenced when they are loaded.
 */
export function registerCode(journal: Registry, schemas: readonly string[], dataDirectory: string): Promise<void> {
  return registerSchemas(withoutAbandoned(journal, dataDirectory), schemasOf(schemas))
}

/** The events, as PlantRecord names them, that `registerCode` would tell the log of. Throws what that throws for code that does not fit. */
export async function newEventsOf(journal: Registry, schemas: readonly string[], dataDirectory: string): Promise<readonly string[]> {
  const known = new Set(journal.eventTypes.map(nameOf))
  const news: string[] = []
  const { eventTypes } = withoutAbandoned(journal, dataDirectory)
  const register: Registry['register'] = (declared) => {
    news.push(...declared.map(nameOf).filter((name) => !known.has(name)))
    return Promise.resolve([])
  }
  await registerSchemas({ eventTypes, register }, schemasOf(schemas))
  return news
}

function withoutAbandoned(journal: Registry, dataDirectory: string): Registry {
  const abandoned = new Set(readPlantRecord(dataDirectory)?.abandonedEvents)
  return {
    eventTypes: journal.eventTypes.filter((type) => !abandoned.has(nameOf(type))),
    register: (declared) => journal.register(declared),
  }
}

function nameOf({ entity, event, fields }: Pick<EventType, 'entity' | 'event' | 'fields'>): string {
  return `${entity}.${event} ${fieldsKey(fields)}`
}
