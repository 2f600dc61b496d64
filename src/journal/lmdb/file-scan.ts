import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { sha256 } from '#base/hash.js'
import { BLOCK_FIXED_BYTES, BLOCK_MAGIC, type BlockHeader, readHeader } from '#journal/block-format.js'
import { BlockReader } from '#journal/block-reader.js'

/** Something in a data file that begins like a block and whose header is right. */
export interface FoundBlock {
  readonly offset: number
  readonly bytes: number
  readonly basePosition: number
  readonly rowCount: number
  /** Every checksum in it is right. */
  readonly isIntact: boolean
}

const WINDOW_BYTES = 8 * 2 ** 20
const BLOCK_BYTES_MAX = 2 ** 31

/**
 * Reads an LMDB data file as plain bytes, since a damaged page makes LMDB crash or drop rows in silence. Blocks lie in one piece, on
 * overflow pages or, when small, in a leaf page; pages given up may hold further copies. Finds all by their magic.
 */
export class FileScan {
  readonly #descriptor: number
  readonly #fileBytes: number

  constructor(file: string) {
    this.#descriptor = openSync(file, 'r')
    this.#fileBytes = fstatSync(this.#descriptor).size
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  /** All blocks in the file by base position, in order of their place in the file. */
  blocks(progress?: (done: number, total: number) => void): Map<number, FoundBlock[]> {
    const found = new Map<number, FoundBlock[]>()
    const window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
    let start = 0
    while (start < this.#fileBytes) {
      const length = readSync(this.#descriptor, window, 0, WINDOW_BYTES, start)
      const seen = window.subarray(0, length)
      let next = start + length
      if (next < this.#fileBytes) next -= BLOCK_MAGIC.length - 1
      for (let at = seen.indexOf(BLOCK_MAGIC); at >= 0; at = seen.indexOf(BLOCK_MAGIC, at)) {
        const block = this.#blockAt(start + at)
        if (block !== undefined) {
          const others = found.get(block.basePosition)
          if (others === undefined) found.set(block.basePosition, [block])
          else others.push(block)
        }
        // What lies inside an intact block is its own business.
        const end = block?.isIntact ? start + at + block.bytes : start + at + BLOCK_MAGIC.length
        if (end >= start + length) {
          next = Math.max(next, end)
          break
        }
        at = end - start
      }
      start = next
      progress?.(Math.min(start, this.#fileBytes), this.#fileBytes)
    }
    return found
  }

  read(block: FoundBlock): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(block.bytes)
    readSync(this.#descriptor, bytes, 0, block.bytes, block.offset)
    return bytes
  }

  #blockAt(offset: number): FoundBlock | undefined {
    const fixed = Buffer.allocUnsafeSlow(BLOCK_FIXED_BYTES)
    if (readSync(this.#descriptor, fixed, 0, BLOCK_FIXED_BYTES, offset) < BLOCK_FIXED_BYTES) return undefined
    const bytes = fixed.readUInt32LE(12) + fixed.readUInt32LE(20)
    if (bytes > BLOCK_BYTES_MAX || offset + bytes > this.#fileBytes) return undefined
    const block = Buffer.allocUnsafeSlow(bytes)
    readSync(this.#descriptor, block, 0, bytes, offset)
    let header: BlockHeader
    try {
      header = readHeader(block)
    } catch {
      return undefined
    }
    const { basePosition, rowCount } = header
    return { offset, bytes, basePosition, rowCount, isIntact: isIntact(block) }
  }
}

/** Whether every checksum in a block is right. */
export function isIntact(block: Uint8Array): boolean {
  try {
    new BlockReader(block).check()
    return true
  } catch {
    return false
  }
}

/** Of several blocks that say they begin at a position, the intact one that the next block continues; else any intact one; else the last. */
export function likeliest(
  candidates: readonly FoundBlock[],
  all: ReadonlyMap<number, readonly FoundBlock[]>,
  scan: FileScan,
): FoundBlock | undefined {
  const intact = candidates.filter((one) => one.isIntact)
  if (intact.length <= 1) return intact[0] ?? candidates.at(-1)
  const continued = intact.find((one) => {
    const hash = sha256(scan.read(one))
    const next = all.get(one.basePosition + one.rowCount) ?? []
    return next.some((after) => Buffer.compare(readHeader(scan.read(after)).previousHash, hash) === 0)
  })
  return continued ?? intact.at(-1)
}
