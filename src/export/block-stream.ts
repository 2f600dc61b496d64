import { MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { BlockEntry } from '#journal/block-entry.js'
import type { EntityHead, EventType, Journal } from '#journal/journal.js'
import type { LogQuery } from '#journal/log-query.js'
import { entityFilterOf } from '#journal/query/entity-filter.js'
import { planScan, type QuerySchema } from '#journal/query/index.js'

/** Which rows an export has. */
export type ExportQuery = Pick<LogQuery, 'entity' | 'event' | 'from' | 'to' | 'since' | 'until' | 'receipts' | 'where'>

/** What a process needs that decodes blocks by itself. */
export interface BlocksBegin {
  readonly eventTypes: readonly EventType[]
  /** Of the log at the time: what was before it is gone. */
  readonly firstPosition: number
  /** Of the log at the time: what comes later is not streamed. */
  readonly endPosition: number
  /** Of the one entity that is asked for. */
  readonly head: EntityHead | undefined
  /** Rows in all blocks to come, wanted or not. */
  readonly rowCount: number
}

/** In this order: begin, names, blocks. A block goes with the range of positions that it is good for: the rest came, or will, with other blocks. */
export type BlocksItem =
  | { readonly kind: 'begin'; readonly begin: BlocksBegin }
  /** Of entities of a shard by number, from `first` on. */
  | { readonly kind: 'names'; readonly shard: number; readonly first: number; readonly names: readonly EntityId[] }
  | { readonly kind: 'block'; readonly entry: BlockEntry; readonly from: number; readonly to: number; readonly bytes: Uint8Array }

const NAMES_PER_ITEM = 4096

/**
 * The blocks of a log that may have rows of the query, as they are: whoever holds the journal only reads them, and somebody else decodes. Each wanted row is in
 * one of them, once. Rows of an entity come in order of version; all rows do in order of position, but within a sealed segment. Throws ERR_QUERY, ERR_ENTITY_ID,
 * ERR_BLOCK_DAMAGED, and ERR_SEGMENT_GONE when retention drops what was to come.
 */
export async function* streamBlocks(journal: Journal, query: ExportQuery, signal?: AbortSignal): AsyncGenerator<BlocksItem> {
  const { eventTypes, firstPosition, endPosition } = journal
  const entity = entityFilterOf(query.entity, (id) => journal.head(id))
  const schema: QuerySchema = { eventTypes, endPosition, entity }
  const plan = (from: number) => planScan({ ...query, from }, journal.directory(), schema)
  const first = plan(query.from ?? 0)
  const head = entity.kind === 'one' ? entity.head : undefined
  const rowCount = first.shown.rowsToRead
  yield { kind: 'begin', begin: { eventTypes, firstPosition, endPosition, head, rowCount } }
  yield* namesOf(journal, head)

  const { to } = first.resolved
  let from = first.resolved.from
  let blocks = first.units.flatMap((unit) => unit.blocks)
  for (let next = 0; next < blocks.length; next++) {
    if (signal?.aborted === true) return
    const entry = blocks[next] as BlockEntry
    const bytes = await journal.readBlock(entry)
    if (bytes === undefined) {
      if (entry.isClustered) throw segmentGone(entry)
      // The active segment was sealed meanwhile: its rows from here on are in other blocks.
      blocks = plan(from).units.flatMap((unit) => unit.blocks)
      next = -1
      continue
    }
    yield { kind: 'block', entry, from, to, bytes }
    if (!entry.isClustered) from = entry.endPosition
    else if (blocks[next + 1]?.segment !== entry.segment) from = Math.max(from, endOf(blocks, entry.segment))
  }
}

function endOf(blocks: readonly BlockEntry[], segment: string): number {
  return blocks.reduce((end, entry) => (entry.segment === segment ? Math.max(end, entry.endPosition) : end), 0)
}

function* namesOf(journal: Journal, head: EntityHead | undefined): Generator<BlocksItem> {
  if (head !== undefined) {
    yield { kind: 'names', shard: head.shard, first: head.number, names: [head.entity] }
    return
  }
  for (let shard = 0; shard < journal.shardCount; shard++) {
    let names: EntityId[] = []
    let first = 0
    for (const { entity } of journal.heads(shard)) {
      names.push(entity)
      if (names.length < NAMES_PER_ITEM) continue
      yield { kind: 'names', shard, first, names }
      first += names.length
      names = []
    }
    if (names.length > 0) yield { kind: 'names', shard, first, names }
  }
}

function segmentGone({ segment }: BlockEntry): MillraceError {
  return new MillraceError('ERR_SEGMENT_GONE', {
    fact: 'a segment was dropped from the log while it was read',
    action: 'retry',
    values: { segment },
    next: 'do it again: it begins with what the log still has',
  })
}
