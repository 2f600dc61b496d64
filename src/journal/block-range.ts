import type { BlockShard } from './block-format.js'
import type { BlockRange } from './journal.js'
import type { LogState } from './log-state.js'

/** Whether a block may have rows that the range asks for. Looks at its header, or at its entry in a directory. */
export function isWanted(
  header: { readonly endPosition: number; readonly shards: readonly BlockShard[] },
  range: BlockRange,
  state: LogState,
): boolean {
  if (header.endPosition <= range.from) return false
  const { shards, entity } = range
  if (shards !== undefined && !header.shards.some((own) => shards.has(own.shard))) return false
  if (entity === undefined) return true
  const index = state.entities.findId(entity)
  if (index < 0) return false
  const shard = state.entities.shardOf(index)
  const number = state.entities.numberOf(index)
  return header.shards.some((own) => own.shard === shard && number >= own.entityMin && number <= own.entityMax)
}
