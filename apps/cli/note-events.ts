import { isMillraceError } from '#base/errors.js'
import type { EventType } from '#journal/index.js'
import { callControl } from '#processes/control-client.js'
import { dataPaths } from '#runtime/data-directory.js'
import { unpackExact } from '#runtime/exact-pack.js'
import type { Output } from './output.js'

const JOURNAL_WITHIN_MS = 1000

/** Says which of the events that somebody waits for the log of a running plant has never heard of: a later plant may bring them, but most are misspelt. */
export async function noteUnknownEvents(dataDirectory: string, events: readonly string[], output: Output): Promise<void> {
  if (events.length === 0) return
  const types = await eventTypesOf(dataDirectory)
  const known = new Set(types?.flatMap(({ entity, event }) => [event, `${entity}.${event}`]))
  const unknown = types === undefined ? [] : events.filter((event) => !known.has(event))
  if (unknown.length === 0) return
  output.note(
    `the log has no event ${unknown.join(' and no ')} yet; it has ${[...known].filter((name) => name.includes('.')).join(', ') || 'none'}`,
  )
}

/** Undefined when the journal does not answer now. */
async function eventTypesOf(dataDirectory: string): Promise<readonly EventType[] | undefined> {
  try {
    return unpackExact<readonly EventType[]>(
      (await callControl(dataPaths(dataDirectory).journalSocket, 'eventTypes', {}, JOURNAL_WITHIN_MS)) as string,
    )
  } catch (error) {
    if (isMillraceError(error)) return undefined
    throw error
  }
}
