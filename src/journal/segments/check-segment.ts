import { createHash } from 'node:crypto'
import { messageOf } from '#base/errors.js'
import { Damage } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
import type { SealedEntry } from './manifest.js'
import { positionOrder } from './row-order.js'
import { hashRows } from './rows-hash.js'
import { type SegmentFile, segmentDamaged, segmentFromBytes } from './segment-file.js'
import { SegmentRows } from './segment-rows.js'

/** What a sealed file says when all of it is read. */
export interface ReadBack {
  readonly firstPosition: number
  readonly endPosition: number
  /** Computed from the rows, and the same as in the file's footer. */
  readonly rowsHash: Uint8Array
  /** SHA-256 of the file. */
  readonly fileHash: Uint8Array
}

export interface ReadBackTask {
  readonly segment: string
  /** The whole file. */
  readonly bytes: Uint8Array
  readonly types: readonly EventType[]
}

/** Reads all of a sealed file: decodes each value, looks at each position, computes both hashes. Throws ERR_BLOCK_DAMAGED, ERR_SEGMENT_DAMAGED. Runs in any thread. */
export function readBack({ segment, bytes, types }: ReadBackTask): ReadBack {
  const file = segmentFromBytes(bytes, segment)
  const { firstPosition, endPosition } = file.header
  const rowsHash = hashOfRows(file, types)
  if (Buffer.compare(rowsHash, file.footer.rowsHash) !== 0)
    throw segmentDamaged(new Damage('its rows are not those that it was sealed from'), segment)
  file.newEntities()
  file.entries()
  return { firstPosition, endPosition, rowsHash, fileHash: new Uint8Array(createHash('sha256').update(bytes).digest()) }
}

function hashOfRows(file: SegmentFile, types: readonly EventType[]): Uint8Array {
  const rows = new SegmentRows(types).fit(file.rowCount)
  for (let id = 0; id < file.footer.blocks.length; id++) rows.add(file.block(id))
  checkRuns(file, rows)
  const order = rows.rowCount === file.rowCount ? positionOrder(rows, file.header.firstPosition) : undefined
  if (order === undefined) throw segmentDamaged(new Damage('its blocks do not have each of its positions once'), file.name)
  return hashRows(rows, order)
}

/** The entity index must lead to the rows of each entity. */
function checkRuns(file: SegmentFile, rows: SegmentRows): void {
  for (const { shard, number, rank, rowCount } of file.entities()) {
    for (let row = rank; row < rank + rowCount; row++) {
      if (rows.shard[row] === shard && rows.entity[row] === number) continue
      throw segmentDamaged(new Damage('its index of entities leads to rows of others'), file.name)
    }
  }
}

/** What is wrong with a sealed segment. `block`: lowest position of the damaged block, or undefined when it is about the file. */
export interface SegmentFault {
  readonly block: number | undefined
  readonly what: string
}

/**
 * Checks all of a sealed file and names each damaged block; goes on behind it. When nothing else is wrong, the rows and the file are held against what
 * the manifest says of them. `between` is called after each block.
 */
export async function checkSegmentFile(
  open: () => SegmentFile,
  types: readonly EventType[],
  expected: SealedEntry | undefined,
  between: () => Promise<void> = async () => {},
): Promise<SegmentFault[]> {
  const faults: SegmentFault[] = []
  const attempt = (block: number | undefined, check: () => void): void => {
    try {
      check()
    } catch (error) {
      faults.push({ block, what: messageOf(error) })
    }
  }
  let file: SegmentFile
  try {
    file = open()
  } catch (error) {
    return [{ block: undefined, what: messageOf(error) }]
  }
  try {
    const rows = new SegmentRows(types).fit(file.rowCount)
    for (const [id, block] of file.footer.blocks.entries()) {
      attempt(block.firstPosition, () => rows.add(file.block(id).check()))
      await between()
    }
    attempt(undefined, () => {
      file.entries()
      file.newEntities()
      file.entities().next()
    })
    if (faults.length > 0) return faults
    attempt(undefined, () => checkRuns(file, rows))
    const order = rows.rowCount === file.rowCount ? positionOrder(rows, file.header.firstPosition) : undefined
    if (order === undefined) faults.push({ block: undefined, what: 'its blocks do not have each of its positions once' })
    else if (expected !== undefined) faults.push(...compare(file, hashRows(rows, order), expected))
    return faults
  } finally {
    file.close()
  }
}

function compare(file: SegmentFile, rowsHash: Uint8Array, expected: SealedEntry): SegmentFault[] {
  const { header } = file
  const fault = (what: string): SegmentFault => ({ block: undefined, what })
  const faults: SegmentFault[] = []
  const isSame = (hash: Uint8Array, hex: string) => Buffer.from(hash).toString('hex') === hex
  if (header.firstPosition !== expected.firstPosition || header.endPosition !== expected.endPosition)
    faults.push(fault('it has other positions than the manifest says'))
  if (!isSame(header.previousHash, expected.previousHash) || !isSame(header.lastHash, expected.lastHash))
    faults.push(fault('it stands at another place in the chain than the manifest says'))
  if (!isSame(rowsHash, expected.rowsHash)) faults.push(fault('its rows are not those that the manifest says it was sealed from'))
  const hash = createHash('sha256')
  for (const piece of file.pieces(1 << 22)) hash.update(piece)
  if (!isSame(hash.digest(), expected.fileHash)) faults.push(fault('it is not the file that the manifest says'))
  return faults
}
