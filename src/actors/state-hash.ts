import { PlantHash } from '#entity/index.js'
import type { Reads } from './reads.js'
import type { SlotTable } from './slot-table.js'

/** Over all entities that a worker knows now and owns when their turn comes, loading those that are passive one after the other. */
export async function stateHashOf(slots: SlotTable, reads: Reads, owns: (shard: number) => boolean): Promise<PlantHash> {
  const hash = new PlantHash()
  const { count } = slots
  for (let index = 0; index < count; index++) {
    if (!owns(slots.shardAt(index))) continue
    const one = await reads.read(slots.at(index), ({ id, version, state, outbox, lostVersion }) => {
      const own = new PlantHash()
      if (version > 0 && lostVersion === 0) own.add(id, version, state, outbox)
      return own
    })
    hash.merge(one)
  }
  return hash
}
