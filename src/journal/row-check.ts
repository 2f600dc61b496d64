import { isMillraceError, messageOf } from '#base/errors.js'
import { BlockReader } from './block-reader.js'
import { BlockReplay } from './block-replay.js'
import type { EventType } from './journal.js'

/** One block to look through, as it crosses to a thread. */
export interface RowCheck {
  readonly bytes: Uint8Array
  readonly types: readonly EventType[]
  readonly segment: string
}

/**
 * Decodes every value of a block whose checksums are right, since those only say that the bytes are the ones that were written. Returns what is wrong, or undefined.
 * Bytes in, words out: runs in any thread.
 */
export function checkRows({ bytes, types, segment }: RowCheck): string | undefined {
  try {
    const replay = new BlockReplay(bytes, types, segment)
    for (const { shard } of new BlockReader(bytes, segment).header.shards) {
      replay.forEachRow(shard, (row) => {
        row.data()
        void row.outcome
        void row.source
      })
    }
    return undefined
  } catch (error) {
    if (isMillraceError(error, 'ERR_FORMAT_NEWER')) return messageOf(error)
    return `its rows cannot be decoded, since ${messageOf(error)}`
  }
}

/** What piscina calls in its threads. */
export default checkRows
