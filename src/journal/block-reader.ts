import { MillraceError } from '#base/errors.js'
import { type BlockGroup, type BlockHeader, readHeader } from './block-format.js'
import { Damage } from './bytes.js'
import { RowGroup } from './row-group.js'

/** Turns Damage into ERR_BLOCK_DAMAGED with names; a MillraceError passes, a bug is thrown on. */
export function blockDamaged(cause: unknown, segment: string, block: number | undefined): MillraceError {
  if (cause instanceof MillraceError) return cause
  // A RangeError comes from lengths that no memory could hold.
  if (!(cause instanceof Damage) && !(cause instanceof RangeError)) throw cause
  return new MillraceError('ERR_BLOCK_DAMAGED', {
    fact: `a block of the log is damaged, ${cause.message}`,
    action: 'operator',
    values: { segment, block: block ?? 'unknown' },
    next: 'run millrace log verify on the data directory',
    cause,
  })
}

/** Opens a block: checks its header and, as groups are opened, their checksums. */
export class BlockReader {
  readonly bytes: Uint8Array
  readonly header: BlockHeader
  readonly segment: string

  /** Throws ERR_BLOCK_DAMAGED, or ERR_FORMAT_NEWER. `segment` and `block`, the position that the block should begin at, are for the message. */
  constructor(bytes: Uint8Array, segment = 'unknown', block?: number) {
    // A Buffer's `slice` is no copy.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    this.segment = segment
    try {
      this.header = readHeader(this.bytes)
      if (block !== undefined && block !== this.header.basePosition)
        throw new Damage(`it says that it begins at ${this.header.basePosition}`)
    } catch (error) {
      throw blockDamaged(error, segment, block)
    }
  }

  /** Points `into` at a group of this block. */
  group(group: BlockGroup, into: RowGroup): RowGroup {
    return this.guard(() => into.open(this.bytes, group))
  }

  /** Checks every group, or the one with an index. */
  check(index?: number): this {
    scratch ??= new RowGroup()
    const { groups } = this.header
    for (const one of index === undefined ? groups : groups.slice(index, index + 1)) this.group(one, scratch)
    return this
  }

  /** Runs something that decodes, and names the block if it fails. */
  guard<T>(decode: () => T): T {
    try {
      return decode()
    } catch (error) {
      throw blockDamaged(error, this.segment, this.header.basePosition)
    }
  }
}

/** Opening a group leaves nothing that the next one would see. Making one costs more than checking a small block. */
let scratch: RowGroup | undefined
