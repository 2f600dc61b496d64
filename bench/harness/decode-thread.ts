import { workerData } from 'node:worker_threads'
import { BlockReplay } from '#journal/block-replay.js'
import type { EventType } from '#journal/journal.js'

/** The rows of a block of presses, decoded, as a thread can hand them over without copying. */
export interface DecodedRows {
  readonly shards: Uint16Array
  readonly numbers: Uint32Array
  readonly versions: Uint32Array
  readonly temperatures: Float64Array
  readonly cycles: Int32Array
}

/** @lintignore Loaded by its path. */
export default function decodeBlock(block: Uint8Array): DecodedRows {
  return decodeRows(block, workerData as readonly EventType[])
}

function decodeRows(block: Uint8Array, types: readonly EventType[]): DecodedRows {
  const replay = new BlockReplay(block, types)
  const { rowCount } = replay.header
  const rows: DecodedRows = {
    shards: new Uint16Array(rowCount),
    numbers: new Uint32Array(rowCount),
    versions: new Uint32Array(rowCount),
    temperatures: new Float64Array(rowCount),
    cycles: new Int32Array(rowCount),
  }
  let index = 0
  replay.forEachRowOfShards(() => (row) => {
    const { temperature, cycle } = row.data() as { temperature: number; cycle: number }
    rows.shards[index] = row.shard
    rows.numbers[index] = row.entityNumber
    rows.versions[index] = row.version
    rows.temperatures[index] = temperature
    rows.cycles[index] = cycle
    index++
  })
  return rows
}
