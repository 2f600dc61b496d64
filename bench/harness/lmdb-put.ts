import { randomBytes } from 'node:crypto'
import { open } from 'lmdb'

const ROW_BYTES = 64

/** Puts one row after another into a new LMDB environment, each fsynced before the next; milliseconds of each. */
export async function putAndSync(path: string, count: number): Promise<Float64Array> {
  const database = open<Buffer, Uint8Array>({
    path,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
    ...{ eventTurnBatching: false, txnStartThreshold: 1 },
  })
  try {
    const waits = new Float64Array(count)
    const row = randomBytes(ROW_BYTES)
    const key = Buffer.alloc(8)
    for (let index = 0; index < count; index++) {
      key.writeUInt32BE(index, 4)
      const startedMs = performance.now()
      await database.put(Buffer.from(key), row)
      waits[index] = performance.now() - startedMs
    }
    return waits
  } finally {
    await database.close()
  }
}
