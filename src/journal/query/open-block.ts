import { BlockPositions } from '#journal/block-positions.js'
import { BlockReader } from '#journal/block-reader.js'

/** A block that is read: its header taken apart, and what is known of where its rows stand in the log. */
export class OpenBlock {
  readonly reader: BlockReader
  #positions: BlockPositions | undefined

  /** Throws ERR_BLOCK_DAMAGED. */
  constructor(bytes: Uint8Array, segment: string) {
    this.reader = new BlockReader(bytes, segment)
  }

  /** Undefined when the block is not clustered: then its rows are dense. */
  get positions(): BlockPositions | undefined {
    if (!this.reader.header.isClustered) return undefined
    return (this.#positions ??= new BlockPositions(this.reader))
  }
}

/** Bytes of blocks that are kept. */
const WARM_BYTES_MAX = 8 << 20

/**
 * The blocks that questions about single entities read last. Such a question reads one row group of a block, so that reading, checking and opening the block would
 * be most of the work. Blocks never change, and what is gone from the log is not in its directory.
 */
export class WarmBlocks {
  readonly #blocks = new Map<string, OpenBlock>()
  #bytes = 0

  get(segment: string, id: number): OpenBlock | undefined {
    const key = `${segment} ${id}`
    const block = this.#blocks.get(key)
    if (block === undefined) return undefined
    // A Map is in order of entry: what was used last goes to its end.
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    return block
  }

  add(segment: string, id: number, block: OpenBlock): void {
    const key = `${segment} ${id}`
    if (this.#blocks.has(key) || block.reader.bytes.length > WARM_BYTES_MAX) return
    this.#blocks.set(key, block)
    this.#bytes += block.reader.bytes.length
    for (const [oldest, { reader }] of this.#blocks) {
      if (this.#bytes <= WARM_BYTES_MAX) return
      this.#blocks.delete(oldest)
      this.#bytes -= reader.bytes.length
    }
  }
}
