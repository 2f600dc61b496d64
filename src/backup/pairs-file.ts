import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { MillraceError } from '#base/errors.js'

/** A key and its value, both any bytes. */
export interface Pair {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/**
 * A flat file of pairs: u8[8] magic, then per pair u32 bytes of the key, u32 bytes of the value, both little-endian, key, value. Nothing in it is checked: its
 * hash stands in the backup's list.
 */
const MAGIC = Buffer.from('MRPAIRS1')
const GATHERED_BYTES = 1 << 20
const PAIR_BYTES_MAX = 2 ** 31

/** Writes pairs; what `close` answers is what was written, durable. */
export class PairsWriter {
  readonly #file: FileHandle
  readonly #hash = createHash('sha256')
  #gathered: Uint8Array[] = [MAGIC]
  #gatheredBytes = MAGIC.length
  #bytes = 0

  private constructor(file: FileHandle) {
    this.#file = file
  }

  static async create(path: string): Promise<PairsWriter> {
    return new PairsWriter(await open(path, 'w', 0o600))
  }

  async write({ key, value }: Pair): Promise<void> {
    const lengths = Buffer.alloc(8)
    lengths.writeUInt32LE(key.length, 0)
    lengths.writeUInt32LE(value.length, 4)
    this.#gathered.push(lengths, key, value)
    this.#gatheredBytes += 8 + key.length + value.length
    if (this.#gatheredBytes >= GATHERED_BYTES) await this.#flush()
  }

  async close(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    try {
      await this.#flush()
      await this.#file.sync()
    } finally {
      await this.#file.close()
    }
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') }
  }

  /** Gives the file up as it is. */
  async abandon(): Promise<void> {
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#gathered)
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#hash.update(bytes)
    this.#bytes += bytes.length
    await this.#file.writeFile(bytes)
  }
}

/** The pairs of a file whose hash was checked, in order. Throws ERR_BACKUP_DAMAGED for what is no such file. */
export async function* readPairs(path: string): AsyncGenerator<Pair> {
  const file = await open(path, 'r')
  try {
    const reader = new FileReader(file)
    if (!MAGIC.equals(await reader.take(MAGIC.length))) throw notPairs(path)
    while (!(await reader.isAtEnd())) {
      const lengths = await reader.take(8)
      if (lengths.length < 8) throw notPairs(path)
      const [keyBytes, valueBytes] = [lengths.readUInt32LE(0), lengths.readUInt32LE(4)]
      if (keyBytes + valueBytes > PAIR_BYTES_MAX) throw notPairs(path)
      const pair = await reader.take(keyBytes + valueBytes)
      if (pair.length < keyBytes + valueBytes) throw notPairs(path)
      yield { key: new Uint8Array(pair.subarray(0, keyBytes)), value: new Uint8Array(pair.subarray(keyBytes)) }
    }
  } finally {
    await file.close()
  }
}

/** Reads ahead, so that small pairs cost no call each. */
class FileReader {
  readonly #file: FileHandle
  #ahead = Buffer.alloc(0)

  constructor(file: FileHandle) {
    this.#file = file
  }

  async isAtEnd(): Promise<boolean> {
    if (this.#ahead.length === 0) await this.#fill(1)
    return this.#ahead.length === 0
  }

  /** Fewer at the end of the file. */
  async take(bytes: number): Promise<Buffer> {
    if (this.#ahead.length < bytes) await this.#fill(bytes)
    const taken = this.#ahead.subarray(0, bytes)
    this.#ahead = this.#ahead.subarray(taken.length)
    return taken
  }

  async #fill(bytes: number): Promise<void> {
    const pieces = [this.#ahead]
    let length = this.#ahead.length
    while (length < bytes) {
      const piece = Buffer.alloc(Math.max(GATHERED_BYTES, bytes - length))
      const { bytesRead } = await this.#file.read(piece, 0, piece.length)
      if (bytesRead === 0) break
      pieces.push(piece.subarray(0, bytesRead))
      length += bytesRead
    }
    this.#ahead = Buffer.concat(pieces)
  }
}

function notPairs(path: string): MillraceError {
  return new MillraceError('ERR_BACKUP_DAMAGED', {
    fact: 'a file of the backup cannot be read, its records do not fill it',
    action: 'operator',
    values: { file: path },
    next: 'take another backup',
  })
}
