import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const MAGIC = Buffer.from('MRBLOCK\n', 'latin1')
/** Offset of the base position in a block. */
const BASE_POSITION = 28

/** Turns a bit over in the rows, or at the end of the header, of the block that begins at a position, in the first segment of a stopped plant. */
export function damageBlockAt(dataDirectory: string, position: number, where: 'rows' | 'header' = 'rows'): void {
  const path = join(dataDirectory, 'journal', 'log', '000000000000.active', 'data.mdb')
  const bytes = readFileSync(path)
  const file = openSync(path, 'r+')
  for (let at = bytes.indexOf(MAGIC); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
    const hit = at + bytes.readUInt32LE(at + 12) + (where === 'rows' ? 5 : -1)
    if (Number(bytes.readBigUInt64LE(at + BASE_POSITION)) === position)
      writeSync(file, Uint8Array.of((bytes[hit] as number) ^ 4), 0, 1, hit)
  }
  closeSync(file)
}
