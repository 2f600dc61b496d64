import type { EntityId } from '#base/ids.js'
import type { Snapshot } from '#journal/journal.js'
import type { ServedLink } from './served-link.js'
import { type LoadRequest, SNAPSHOT_HEADER_BYTES } from './serving-frames.js'

/** A snapshot that came in a batch. */
export interface ReceivedSnapshot {
  readonly snapshot: Snapshot
  /** In the batch, of the append that made its version; -1 when that came in an earlier one. */
  readonly appendIndex: number
}

const utf8 = new TextDecoder()

/** What one group commit took off one link, besides the appends. */
export class LinkBatch {
  readonly link: ServedLink
  readonly snapshots: ReceivedSnapshot[] = []
  readonly loads: LoadRequest[] = []
  /** End of the last frame read; everything up to there is released once the batch is resolved. */
  readEnd: number | undefined
  /** Of the link's last append in the batch, -1 before the first one. */
  lastAppendIndex = -1

  constructor(link: ServedLink) {
    this.link = link
  }

  clear(): this {
    this.loads.length = 0
    this.snapshots.length = 0
    this.lastAppendIndex = -1
    this.readEnd = undefined
    return this
  }

  /** Reads the snapshot frame at `offset`; `offsets` are those of the batch's appends so far. */
  takeSnapshot(offset: number, offsets: ArrayLike<number>): void {
    const { bytes, view, length } = this.link.appends
    const entityOffset = offset + SNAPSHOT_HEADER_BYTES
    const stateOffset = entityOffset + view.getUint32(offset + 12, true)
    const term = view.getUint32(offset + 4, true)
    const appendNumber = view.getUint32(offset + 8, true)
    const append = this.lastAppendIndex < 0 ? -1 : (offsets[this.lastAppendIndex] as number)
    const isOfLast = append >= 0 && view.getUint32(append, true) === appendNumber && view.getUint32(append + 4, true) === term
    this.snapshots.push({
      snapshot: {
        version: view.getUint32(offset, true),
        term,
        appendNumber,
        entity: utf8.decode(bytes.slice(entityOffset, stateOffset)) as EntityId,
        position: 0,
        bytes: bytes.slice(stateOffset, offset + length),
      },
      appendIndex: isOfLast ? this.lastAppendIndex : -1,
    })
  }
}
