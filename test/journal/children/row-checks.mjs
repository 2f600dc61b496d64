// Looks through the blocks of a file (u32 length before each) in threads, and prints the findings. Arguments: file, event types as JSON.
import { readFileSync } from 'node:fs'
import { RowChecks } from '../../../dist/src/journal/lmdb/row-checks.js'

const [file, types] = process.argv.slice(2)
const bytes = readFileSync(file)
const checks = new RowChecks('000.active', JSON.parse(types))
for (let offset = 0, block = 0; offset < bytes.length; block++) {
  const length = bytes.readUInt32LE(offset)
  await checks.add(block, Uint8Array.from(bytes.subarray(offset + 4, offset + 4 + length)))
  offset += 4 + length
}
process.stdout.write(JSON.stringify(await checks.end()))
