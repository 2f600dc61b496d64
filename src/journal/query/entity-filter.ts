import { parseEntityId } from '#base/ids.js'
import type { EntityHead, Journal } from '#journal/journal.js'

/** Which entities a query wants. */
export type EntityFilter =
  | { readonly kind: 'all' }
  /** Not in the log: nothing matches. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'one'; readonly head: EntityHead }
  /** `type` when the pattern is `type/*`: then the event type of a row tells whether it matches. */
  | { readonly kind: 'pattern'; readonly pattern: RegExp; readonly type: string | undefined; readonly isWholeType: boolean }

/** Reads the `entity` of a query. Throws ERR_ENTITY_ID when it is neither a pattern nor an entity id. */
export function entityFilterOf(entity: string | undefined, head: (entity: EntityHead['entity']) => EntityHead | undefined): EntityFilter {
  if (entity === undefined || entity === '*') return { kind: 'all' }
  if (!entity.includes('*')) {
    parseEntityId(entity)
    const found = head(entity as EntityHead['entity'])
    return found === undefined ? { kind: 'unknown' } : { kind: 'one', head: found }
  }
  const parts = entity.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const type = /^([^*/]+)\//.exec(entity)?.[1]
  return {
    kind: 'pattern',
    pattern: new RegExp(`^${parts.join('.*')}$`, 'u'),
    type,
    isWholeType: type !== undefined && entity === `${type}/*`,
  }
}

/** Whether the entities of a shard match a pattern, by number. Each name is looked at once. */
export class PatternMatches {
  readonly #pattern: RegExp
  readonly #journal: Pick<Journal, 'entityName'>
  readonly #shards = new Map<number, Uint8Array>()

  constructor(pattern: RegExp, journal: Pick<Journal, 'entityName'>) {
    this.#pattern = pattern
    this.#journal = journal
  }

  has(shard: number, number: number): boolean {
    let known = this.#shards.get(shard)
    if (known === undefined || known.length <= number) {
      const grown = new Uint8Array(Math.max(64, 2 ** Math.ceil(Math.log2(number + 1))))
      if (known !== undefined) grown.set(known)
      this.#shards.set(shard, (known = grown))
    }
    if (known[number] === UNSEEN) known[number] = this.#pattern.test(this.#journal.entityName(shard, number) ?? '') ? MATCHES : DIFFERS
    return known[number] === MATCHES
  }
}

const UNSEEN = 0
const MATCHES = 1
const DIFFERS = 2
