import type { EntityId } from '#base/ids.js'
import type { Journal, LogQuery } from '#journal/index.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { backupMethods } from './backup-service.js'
import { blockMethods } from './block-service.js'
import { packExact } from './exact-pack.js'
import { queryItems } from './query-service.js'
import { segmentMethods } from './segment-service.js'
import { snapshotMethods } from './snapshot-service.js'
import { subscriptionMethods } from './subscription-service.js'
import { verifyItems } from './verify-service.js'

/** What the log holds, in numbers. */
export interface JournalSummary {
  readonly endPosition: number
  readonly entities: number
  readonly storedBytes: number
  readonly shardCount: number
}

/**
 * What the journal answers on its control socket. Rows and snapshots travel as exact-pack.ts has them.
 */
export function journalMethods(journal: Journal): Readonly<Record<string, ControlMethod>> {
  return {
    ...subscriptionMethods(journal),
    ...segmentMethods(journal),
    ...blockMethods(journal),
    ...backupMethods(journal),
    ...snapshotMethods(journal),
    summary: (): JournalSummary => summarise(journal),
    query: (args: unknown, signal: AbortSignal) => queryItems(journal, args as LogQuery, signal),
    snapshot(args: unknown) {
      const { entity, versionMax } = args as { entity: EntityId; versionMax: number }
      return packExact(journal.snapshot(entity, versionMax))
    },
    base: (args: unknown) => packExact(journal.base((args as { entity: EntityId }).entity)),
    eventTypes: () => packExact(journal.eventTypes),
    entities(args: unknown) {
      const { prefix = '', limit = 1000 } = args as { prefix?: string; limit?: number }
      const found: string[] = []
      for (let shard = 0; shard < journal.shardCount && found.length < limit; shard++) {
        for (const head of journal.heads(shard)) if (head.entity.startsWith(prefix)) found.push(head.entity)
      }
      return found.slice(0, limit)
    },
    verify: () => verifyItems((progress) => journal.verify(progress)),
    opened: () => true,
  }
}

function summarise(journal: Journal): JournalSummary {
  let entities = 0
  for (let shard = 0; shard < journal.shardCount; shard++) entities += [...journal.heads(shard)].length
  return { endPosition: journal.endPosition, entities, storedBytes: journal.storedBytes(), shardCount: journal.shardCount }
}
