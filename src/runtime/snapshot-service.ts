import type { EntityId } from '#base/ids.js'
import type { EntityHead, Journal, Snapshot } from '#journal/index.js'
import { entityFilterOf } from '#journal/query/entity-filter.js'
import { streamControl } from '#processes/control-client.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { packExact } from './exact-pack.js'

/** A snapshot as it travels to those who fold by themselves: of the entity that has this number in its shard. */
export interface KeptState {
  readonly shard: number
  readonly number: number
  readonly entity: EntityId
  readonly version: number
  /** Takes the place of rows that retention has dropped. */
  readonly isBase: boolean
  readonly bytes: Uint8Array
}

/** Of which shards; and of one entity or of those that match a pattern, where not of all. */
export interface SnapshotsQuery {
  readonly shards: readonly number[]
  readonly entity?: string | undefined
}

const BYTES_PER_ITEM = 1 << 20
/** Entities looked at between two items, each of which waits for its turn. */
const ENTITIES_PER_ITEM = 64

/** What the journal answers to those who want all snapshots of some shards: bases too, and of each entity the newest and the one before it. */
export function snapshotMethods(journal: Journal): Readonly<Record<string, ControlMethod>> {
  return {
    async *snapshots(args: unknown): AsyncGenerator<string> {
      const { shards, entity } = args as SnapshotsQuery
      const wants = entityTest(entity)
      for (const shard of shards) {
        let items: KeptState[] = []
        let byteCount = 0
        let lookedCount = 0
        for (const head of journal.heads(shard)) {
          for (const item of wants(head.entity) ? statesOf(journal, head) : []) {
            items.push(item)
            byteCount += item.bytes.length
          }
          if (++lookedCount % ENTITIES_PER_ITEM !== 0 && byteCount < BYTES_PER_ITEM) continue
          yield packExact(items)
          items = []
          byteCount = 0
        }
        yield packExact(items)
      }
    },
  }
}

/** The other end of the socket: KeptStates as exact-pack.ts has them. */
export async function* snapshotTexts(socket: string, query: SnapshotsQuery): AsyncGenerator<string> {
  for await (const item of streamControl(socket, 'snapshots', query, { aheadMax: 2 })) yield item as string
}

function* statesOf(journal: Journal, { entity, shard, number }: EntityHead): Generator<KeptState> {
  const base = journal.base(entity)
  if (base !== undefined) yield kept(base, shard, number, true)
  const newest = journal.snapshot(entity)
  const older = newest === undefined ? undefined : journal.snapshot(entity, newest.version - 1)
  for (const one of [newest, older]) {
    if (one !== undefined && one.version !== base?.version) yield kept(one, shard, number, false)
  }
}

function kept({ entity, version, bytes }: Snapshot, shard: number, number: number, isBase: boolean): KeptState {
  return { shard, number, entity, version, isBase, bytes }
}

/** Whether an id is the one asked for, or matches the pattern. Throws ERR_ENTITY_ID for what is neither. */
export function entityTest(entity: string | undefined): (id: EntityId) => boolean {
  const filter = entityFilterOf(entity, () => undefined)
  if (filter.kind === 'all') return () => true
  return filter.kind === 'pattern' ? (id) => filter.pattern.test(id) : (id) => id === entity
}
