import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type BlockGroup, readHeader } from '#journal/block-format.js'

const MAGIC = Buffer.from('MRBLOCK\n', 'latin1')

/** What of a block: its first rows, or the columns that tell whose these are, or those behind them; or the end of its header. */
export type BlockPart = 'rows' | 'identity' | 'values' | 'header'

/** Turns a bit over in the block that begins at a position, in a segment of a stopped plant that is not sealed; once more, and it is as it was. */
export function damageBlockAt(dataDirectory: string, position: number, part: BlockPart = 'rows', segment = '000000000000.active'): void {
  const path = join(dataDirectory, 'journal', 'log', segment, 'data.mdb')
  const bytes = readFileSync(path)
  const file = openSync(path, 'r+')
  for (let at = bytes.indexOf(MAGIC); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
    const hit = at + (placeIn(bytes.subarray(at), position, part) ?? Number.NaN)
    if (!Number.isNaN(hit)) writeSync(file, Uint8Array.of((bytes[hit] as number) ^ 4), 0, 1, hit)
  }
  closeSync(file)
}

/** Where of a block to hit, when it is the one at the position. */
function placeIn(bytes: Buffer, position: number, part: BlockPart): number | undefined {
  // Fixed places, so that a header that was damaged before is found again.
  const [headerBytes, basePosition] = [bytes.readUInt32LE(12), Number(bytes.readBigUInt64LE(28))]
  if (basePosition !== position) return undefined
  if (part === 'header') return headerBytes - 1
  if (part === 'rows') return headerBytes + 5
  const group = readHeader(bytes, false).groups[0] as BlockGroup
  return group.offset + group.identityBytes + (part === 'identity' ? -1 : 3)
}
