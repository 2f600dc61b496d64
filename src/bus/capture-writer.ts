import { type FileHandle, open } from 'node:fs/promises'
import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import {
  type CaptureHeader,
  CHUNK_ANEW,
  CHUNK_END,
  CHUNK_FRAMES,
  CHUNK_GAP,
  CHUNK_HEAD_BYTES,
  encodeCaptureHeader,
  writeChunkHead,
} from './capture-format.js'

/** A piece of memory that goes to the file as it is filled. */
interface Block {
  readonly bytes: Uint8Array
  filled: number
  written: number
}

/** What waits for the disk at most, unless the largest frame needs more. */
const WAITING_BYTES_MAX = 32 * 1024 * 1024
const BLOCK_BYTES_MIN = 2 * 1024 * 1024
const BLOCKS_MIN = 2

/**
 * Writes a capture. Chunks are built in place and go to the disk in order, one write at a time: what comes while one runs makes up the next. What
 * waits is bounded; when all of it waits, `room` answers undefined until the disk has taken some.
 */
export class CaptureWriter {
  readonly path: string
  /** Of the file so far, with what waits. */
  byteCount = 0
  readonly #file: FileHandle
  #blocks: readonly Block[]
  #roomBytes: number
  /** Those that hold something, the last one being filled. */
  #filling: Block[] = []
  #frameCount = 0
  #writing: Promise<void> | undefined
  #onWritten: (() => void) | undefined
  #failure: MillraceError | undefined

  /**
   * Makes the file, mode 0600, with its header. `roomBytes` is what a chunk may need. Throws ERR_CAPTURE_EXISTS rather than write over something, and
   * ERR_CAPTURE_WRITE.
   */
  static async create(path: string, header: CaptureHeader, roomBytes: number): Promise<CaptureWriter> {
    const file = await attempt(path, () => open(path, 'wx', 0o600))
    const writer = new CaptureWriter(path, file, roomBytes)
    try {
      const bytes = encodeCaptureHeader(header)
      await attempt(path, () => file.write(bytes))
      writer.byteCount = bytes.length
      return writer
    } catch (error) {
      await file.close()
      throw error
    }
  }

  private constructor(path: string, file: FileHandle, roomBytes: number) {
    this.path = path
    this.#file = file
    this.#roomBytes = roomBytes
    this.#blocks = blocksFor(roomBytes)
  }

  /** Where the bytes of the next chunk may be put, `roomBytes` or more, or undefined. Throws ERR_CAPTURE_WRITE once the disk has refused something. */
  room(): Uint8Array | undefined {
    if (this.#failure !== undefined) throw this.#failure
    const block = this.#blockFor(this.#roomBytes)
    return block?.bytes.subarray(block.filled + CHUNK_HEAD_BYTES)
  }

  /** Ends the chunk of which `byteCount` bytes were put where the last call of `room` said. */
  frames(byteCount: number, frameCount: number, position: number, micros: number): void {
    this.#frameCount += frameCount
    this.#append({ kind: CHUNK_FRAMES, byteCount, count: frameCount, position, micros })
  }

  /** Needs no room. So does `anew`. */
  gap(lostBytes: number, position: number, micros: number): void {
    this.#append({ kind: CHUNK_GAP, byteCount: 0, count: lostBytes, position, micros })
  }

  /** The channel was made anew: what follows begins at `position` of a channel with this header. `roomBytes` of `room` may change with it. */
  anew(header: CaptureHeader, position: number, micros: number, roomBytes: number): void {
    if (roomBytes > this.#roomBytes) this.#blocks = blocksFor(roomBytes)
    this.#roomBytes = roomBytes
    const bytes = encodeCaptureHeader(header)
    const block = this.#blockFor(bytes.length) ?? this.#fill(blockOf(bytes.length + CHUNK_HEAD_BYTES))
    block.bytes.set(bytes, block.filled + CHUNK_HEAD_BYTES)
    this.#append({ kind: CHUNK_ANEW, byteCount: bytes.length, count: 0, position, micros })
  }

  /** Resolves when the disk has taken something, or has nothing to take. One call at a time. */
  written(): Promise<void> {
    if (this.#writing === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onWritten = resolve
    })
  }

  /** Writes the end and all that waits, and closes the file. Rejects with ERR_CAPTURE_WRITE. */
  async close(position: number, micros: number): Promise<void> {
    try {
      this.#append({ kind: CHUNK_END, byteCount: 0, count: this.#frameCount, position, micros })
      while (this.#writing !== undefined) await this.#writing
      if (this.#failure !== undefined) throw this.#failure
      await attempt(this.path, () => this.#file.sync())
    } finally {
      await this.#file.close()
    }
  }

  #append(head: Parameters<typeof writeChunkHead>[0]): void {
    const block = (head.byteCount > 0 ? this.#filling.at(-1) : this.#blockFor(0)) ?? this.#fill(blockOf(CHUNK_HEAD_BYTES))
    const end = block.filled + CHUNK_HEAD_BYTES + head.byteCount
    assert(end <= block.bytes.length, 'a chunk fits where there was room for it')
    writeChunkHead(head, block.bytes.subarray(block.filled, end))
    this.byteCount += end - block.filled
    block.filled = end
    this.#writing ??= this.#write()
  }

  /** The block that is being filled if so much fits, or an empty one. */
  #blockFor(byteCount: number): Block | undefined {
    const last = this.#filling.at(-1)
    if (last !== undefined && last.bytes.length - last.filled >= byteCount + CHUNK_HEAD_BYTES) return last
    const free = this.#blocks.find((block) => !this.#filling.includes(block))
    return free === undefined ? undefined : this.#fill(free)
  }

  #fill(block: Block): Block {
    block.filled = 0
    block.written = 0
    this.#filling.push(block)
    return block
  }

  /** Writes what is filled, block by block, until nothing is left. */
  async #write(): Promise<void> {
    try {
      for (let block = this.#filling[0]; block !== undefined; block = this.#filling[0]) {
        const { written, filled } = block
        if (written < filled) {
          const { bytesWritten } = await this.#file.write(block.bytes, written, filled - written)
          block.written += bytesWritten
        } else if (this.#filling.length > 1) {
          this.#filling.shift()
          this.#tellWritten()
        } else break
      }
    } catch (error) {
      this.#failure = writeError(this.path, error)
    } finally {
      this.#writing = undefined
      this.#tellWritten()
    }
  }

  #tellWritten(): void {
    this.#onWritten?.()
    this.#onWritten = undefined
  }
}

function blocksFor(roomBytes: number): readonly Block[] {
  const blockBytes = Math.max(BLOCK_BYTES_MIN, roomBytes + 4 * CHUNK_HEAD_BYTES)
  const count = Math.max(BLOCKS_MIN, Math.floor(WAITING_BYTES_MAX / blockBytes))
  return Array.from({ length: count }, () => blockOf(blockBytes))
}

function blockOf(byteCount: number): Block {
  return { bytes: new Uint8Array(byteCount), filled: 0, written: 0 }
}

async function attempt<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw writeError(path, error)
  }
}

function writeError(path: string, error: unknown): MillraceError {
  const { code } = error as { code?: string }
  if (code === 'EEXIST') {
    return new MillraceError('ERR_CAPTURE_EXISTS', {
      fact: 'there is a file of that name already',
      action: 'operator',
      values: { path },
      next: 'choose another name, or remove it',
      cause: error,
    })
  }
  return new MillraceError('ERR_CAPTURE_WRITE', {
    fact: 'a capture cannot be written',
    action: 'operator',
    values: { path, cause: code ?? String(error) },
    next: code === 'ENOSPC' ? 'make room, or capture less with --max-bytes; what was written before is whole' : 'choose another place',
    cause: error,
  })
}
