import type { EntityId } from '#base/ids.js'
import type { BlockEntry } from '#journal/block-entry.js'
import type { ScanCounts } from '#journal/log-query.js'
import { entityFilterOf } from '#journal/query/entity-filter.js'
import { planScan } from '#journal/query/index.js'
import { Pace } from '#journal/query/pace.js'
import { Scan, type Visit } from '#journal/query/scan.js'
import type { BlocksBegin, BlocksItem, ExportQuery } from './block-stream.js'

/** The other end of `streamBlocks`: finds the rows of the query in blocks that came from elsewhere. */
export class BlockScan {
  readonly begin: BlocksBegin
  readonly counts: ScanCounts = {
    blocksRead: 0,
    groupsRead: 0,
    groupsSkipped: 0,
    valuesScanned: 0,
    rowsScanned: 0,
    rowsMatched: 0,
    rowsFenced: 0,
  }
  readonly #names: EntityId[][] = []
  readonly #scan: Scan
  #bytes: Uint8Array | undefined

  constructor(query: ExportQuery, begin: BlocksBegin) {
    this.begin = begin
    const entity = entityFilterOf(query.entity, () => begin.head)
    const { resolved } = planScan(query, [], { eventTypes: begin.eventTypes, endPosition: begin.endPosition, entity })
    const source = {
      readBlock: () => Promise.resolve(this.#bytes),
      entityName: (shard: number, number: number) => this.#names[shard]?.[number],
    }
    this.#scan = new Scan(source, resolved, this.counts, new Pace(undefined))
  }

  learn({ shard, first, names }: Extract<BlocksItem, { kind: 'names' }>): void {
    const known = (this.#names[shard] ??= [])
    for (const [index, name] of names.entries()) known[first + index] = name
  }

  /** Visits the rows of the block that the query wants, by row group and event type. Throws ERR_BLOCK_DAMAGED. */
  async block(entry: BlockEntry, bytes: Uint8Array, from: number, to: number, visit: Visit): Promise<void> {
    this.#bytes = bytes
    await this.#scan.block(entry, from, to, visit)
    this.#bytes = undefined
  }
}
