import { type FileHandle, open } from 'node:fs/promises'
import { MillraceError } from '#base/errors.js'
import {
  CAPTURE_HEADER_BYTES_MAX,
  type CaptureHeader,
  captureHeaderBytes,
  CHUNK_ANEW,
  CHUNK_END,
  CHUNK_FRAMES,
  CHUNK_GAP,
  CHUNK_HEAD_BYTES,
  damagedCapture,
  decodeCaptureHeader,
  isChunkWhole,
  readChunkHead,
} from './capture-format.js'
import { CopiedFrames } from './copied-frames.js'

/** What a capture holds, in order. Times are microseconds since 1970, positions grow for ever. */
export type CaptureItem =
  /** Walk `frames`; offsets are into `bytes`, and both are good until the next item is asked for. `position` is that of the first byte. */
  | {
      readonly kind: 'frames'
      readonly micros: number
      readonly position: number
      readonly bytes: Uint8Array
      readonly frames: CopiedFrames
    }
  | { readonly kind: 'gap'; readonly micros: number; readonly position: number; readonly lostBytes: number }
  | { readonly kind: 'anew'; readonly micros: number; readonly position: number; readonly header: CaptureHeader }
  | { readonly kind: 'end'; readonly micros: number; readonly position: number; readonly frameCount: number }

/** No ring is larger, and no chunk larger than its ring; a header is all that may come instead. */
const CHUNK_BYTES_MAX = 2 ** 30

/** Reads a capture from its start to its end, a chunk at a time, and believes nothing that does not match its checksum. */
export class CaptureReader {
  readonly path: string
  /** Of the file. */
  readonly byteCount: number
  /** Of the channel as it was at the start. */
  readonly header: CaptureHeader
  /** Whether the file stops before its end: whoever wrote it was killed, or writes still. Known once `items` is through. */
  isTruncated = false
  readonly #file: FileHandle
  #offset: number
  #bytes = new Uint8Array(0)

  /** Throws ERR_CAPTURE_MISSING, ERR_CAPTURE_FORMAT and ERR_CAPTURE_CORRUPT. */
  static async open(path: string): Promise<CaptureReader> {
    const file = await openFile(path)
    try {
      const start = new Uint8Array(CAPTURE_HEADER_BYTES_MAX)
      const { bytesRead } = await file.read(start, 0, start.length, 0).catch((error: unknown) => {
        throw missing(path, error)
      })
      const bytes = start.subarray(0, bytesRead)
      const header = decodeCaptureHeader(bytes, path)
      return new CaptureReader(path, file, (await file.stat()).size, header, captureHeaderBytes(bytes, path))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  private constructor(path: string, file: FileHandle, byteCount: number, header: CaptureHeader, offset: number) {
    this.path = path
    this.#file = file
    this.byteCount = byteCount
    this.header = header
    this.#offset = offset
  }

  /** How far into the file the reading has come. */
  get offset(): number {
    return this.#offset
  }

  /** Once. Throws ERR_CAPTURE_CORRUPT at what does not match its checksum, its place or its header. */
  async *items(): AsyncGenerator<CaptureItem> {
    let frames = new CopiedFrames(this.header)
    let expected: number | undefined
    for (;;) {
      const head = await this.#nextChunk()
      if (head === undefined) return
      const { kind, micros, position, count, byteCount } = head
      if (expected !== undefined && position !== expected && kind !== CHUNK_ANEW)
        throw this.#damaged('a chunk does not follow the one before it')
      expected = position + byteCount
      const bytes = this.#bytes.subarray(CHUNK_HEAD_BYTES, CHUNK_HEAD_BYTES + byteCount)
      if (kind === CHUNK_FRAMES) {
        yield { kind: 'frames', micros, position, bytes, frames: this.#checked(frames, bytes, position, count) }
      } else if (kind === CHUNK_GAP) {
        expected = position + count
        yield { kind: 'gap', micros, position, lostBytes: count }
      } else if (kind === CHUNK_ANEW) {
        const header = decodeCaptureHeader(bytes.slice(), this.path, this.#offset)
        frames = new CopiedFrames(header)
        expected = undefined
        yield { kind: 'anew', micros, position, header }
      } else if (kind === CHUNK_END) {
        yield { kind: 'end', micros, position, frameCount: count }
        return
      } else throw this.#damaged('a chunk is of an unknown kind')
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  /** Reads the next chunk into `#bytes`, or answers undefined where the file ends. */
  async #nextChunk(): Promise<ReturnType<typeof readChunkHead> | undefined> {
    if (!(await this.#read(0, CHUNK_HEAD_BYTES))) return undefined
    const head = readChunkHead(this.#bytes)
    if (head.byteCount > CHUNK_BYTES_MAX || head.byteCount % 8 !== 0) throw this.#damaged('the length of a chunk is impossible')
    const byteCount = CHUNK_HEAD_BYTES + head.byteCount
    if (this.#offset + byteCount > this.byteCount || !(await this.#read(CHUNK_HEAD_BYTES, byteCount))) {
      this.isTruncated = true
      return undefined
    }
    if (!isChunkWhole(this.#bytes.subarray(0, byteCount))) throw this.#damaged('a chunk does not match its checksum')
    this.#offset += byteCount
    return head
  }

  /** Reads the bytes from `from` to `to` of the chunk at the offset; says whether they are all there. */
  async #read(from: number, to: number): Promise<boolean> {
    if (this.#bytes.length < to) {
      const larger = new Uint8Array(Math.max(to, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, from))
      this.#bytes = larger
    }
    for (let at = from; at < to; ) {
      const { bytesRead } = await this.#file.read(this.#bytes, at, to - at, this.#offset + at)
      if (bytesRead === 0) {
        this.isTruncated = true
        return false
      }
      at += bytesRead
    }
    return true
  }

  /** All frames of a chunk are whole. */
  #checked(frames: CopiedFrames, bytes: Uint8Array, position: number, count: number): CopiedFrames {
    frames.over(bytes, bytes.length, position | 0)
    let frameCount = 0
    while (frames.next() === 'frame') frameCount++
    if (frames.wholeBytes !== bytes.length || frameCount !== count) throw this.#damaged('what is in a chunk cannot be frames')
    return frames.over(bytes, bytes.length, position | 0)
  }

  #damaged(what: string): MillraceError {
    return damagedCapture(this.path, this.#offset, what)
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    throw missing(path, error)
  }
}

function missing(path: string, error: unknown): MillraceError {
  return new MillraceError('ERR_CAPTURE_MISSING', {
    fact: 'a capture cannot be read',
    action: 'operator',
    values: { path, cause: (error as { code?: string }).code ?? String(error) },
    next: 'name a file that `millrace bus tap` wrote and that this user may read',
    cause: error,
  })
}
