import { COLUMN_VERSION, RowGroup } from '#journal/row-group.js'
import { Damage } from '#journal/bytes.js'
import { type SegmentFile, segmentDamaged } from './segment-file.js'

/** The entities that have rows in a sealed segment, with the version of the newest. Gives way to other work between blocks. Throws ERR_BLOCK_DAMAGED, ERR_SEGMENT_DAMAGED. */
export async function* lastVersions(
  file: SegmentFile,
): AsyncGenerator<{ readonly shard: number; readonly number: number; readonly version: number }> {
  const group = new RowGroup()
  const runs = file.entities()
  let run = runs.next()
  for (let id = 0; id < file.footer.blocks.length; id++) {
    const reader = file.block(id)
    for (const one of reader.header.groups) {
      const first = (file.ranks[id] as number) + one.rank
      const opened = reader.group(one, group)
      const versions = reader.guard(() => opened.narrow(COLUMN_VERSION))
      for (; run.done !== true; run = runs.next()) {
        const { shard, number, rank, rowCount } = run.value
        const last = rank + rowCount - 1 - first
        if (last >= one.rowCount) break
        yield { shard, number, version: versions[last] as number }
      }
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (run.done !== true) throw segmentDamaged(new Damage('its blocks do not have the rows of all its entities'), file.name)
}
