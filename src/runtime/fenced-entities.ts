import type { FencedEntity } from '#actors/worker.js'

export type { FencedEntity }

const NAMED_MAX = 5

/** What an operator is told when entities are found that cannot be rebuilt. */
export function fencedMessage(entities: readonly FencedEntity[], damages: readonly string[]): string {
  const named = entities.slice(0, NAMED_MAX).map(({ entity }) => entity)
  const more = entities.length > named.length ? ` and ${entities.length - named.length} more` : ''
  const subject = entities.length === 1 ? 'an entity cannot be rebuilt and is' : `${entities.length} entities cannot be rebuilt and are`
  const why = damages.length === 0 ? '' : ` (${damages[0]}${damages.length === 1 ? '' : `; and ${damages.length - 1} more`})`
  return `${subject} fenced, all others work: ${named.join(', ')}${more}${why}; see millrace status --fenced`
}
