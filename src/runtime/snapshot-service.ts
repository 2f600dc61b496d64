import type { EntityId } from '#base/ids.js'
import type { EntityHead, Journal, Snapshot } from '#journal/index.js'
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

const BYTES_PER_ITEM = 1 << 20
/** Entities looked at between two items, each of which waits for its turn. */
const ENTITIES_PER_ITEM = 64

/** What the journal answers to those who want all snapshots of some shards: bases too, and of each entity the newest and the one before it. */
export function snapshotMethods(journal: Journal): Readonly<Record<string, ControlMethod>> {
  return {
    async *snapshots(args: unknown): AsyncGenerator<string> {
      for (const shard of (args as { readonly shards: readonly number[] }).shards) {
        let items: KeptState[] = []
        let byteCount = 0
        let lookedCount = 0
        for (const head of journal.heads(shard)) {
          for (const item of statesOf(journal, head)) {
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
export async function* snapshotTexts(socket: string, shards: readonly number[]): AsyncGenerator<string> {
  for await (const item of streamControl(socket, 'snapshots', { shards }, { aheadMax: 2 })) yield item as string
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
