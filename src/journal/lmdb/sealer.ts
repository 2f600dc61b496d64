import { open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Piscina } from 'piscina'
import { assert } from '#base/assert.js'
import { MillraceError, messageOf } from '#base/errors.js'
import { ByteWriter } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
import type { SealedEntry } from '#journal/segments/manifest.js'
import { sealedName } from '#journal/segments/opening-plan.js'
import type { Haste, PackedBlocks, SegmentAnswer, SegmentTask } from '#journal/segments/seal-thread.js'
import { diskFailed, isOutOfRoom } from './environment.js'
import type { ManifestStore } from './manifest-store.js'
import type { Segment } from './segment.js'
import { THREAD_OPTIONS } from './thread-options.js'

/** What was just done, in this order. A crash behind any of them leaves the old segment or the new one. */
export type SealStep = 'rotated' | 'read' | 'encoded' | 'written' | 'synced' | 'verified' | 'renamed' | 'listed' | 'unlinked'

export interface SealerOptions {
  /** Where segments lie. */
  readonly directory: string
  readonly manifest: ManifestStore
  readonly types: () => readonly EventType[]
  /** Bytes that may still be written. */
  readonly freeBytes: () => number
  /** For tests: may throw, or end the process. */
  readonly onStep: (step: SealStep) => void
}

const PIECE_BYTES = 1 << 20
/** Bytes of blocks read before other work gets its turn; looking one up costs about as much as reading so many. */
const TURN_BYTES = 1 << 19
const TURN_BYTES_PER_BLOCK = 1 << 13
/** Blocks travel to the thread in pieces of about so many bytes. */
const PACK_BYTES = 1 << 22
const THREAD_IDLE_MS = 10_000

/**
 * Rewrites one segment after the other into sealed files, beside the appends: blocks are read a few at a time, a thread encodes, files are written and synced
 * asynchronously. What is under way when it is closed is given up, and done anew later.
 */
export class Sealer {
  readonly #options: SealerOptions
  /** A priority is a thread's own, and cannot be taken back. */
  readonly #pools = new Map<Haste, Piscina<SegmentTask, SegmentAnswer>>()
  #isClosed = false

  constructor(options: SealerOptions) {
    this.#options = options
  }

  /**
   * Seals a segment that ends at `end`, `isPlain` without taking time for making it small and without letting appends pass; resolves when the manifest says so. The
   * environment that it was made from is for the caller to retire. Throws what reading throws, ERR_DISK_FULL when there is no room now, ERR_JOURNAL_DISK after which the process must end, and undefined when closed meanwhile.
   */
  async seal(segment: Segment, end: number, isPlain: boolean): Promise<SealedEntry | undefined> {
    const name = sealedName(segment.firstPosition)
    const draft = join(this.#options.directory, `${name}.new`)
    try {
      return await this.#seal(segment, end, { name, draft, isPlain })
    } catch (error) {
      if (!this.#isClosed) await rm(draft, { force: true }).catch(() => undefined)
      if (error === CLOSED) return undefined
      throw error
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()))
  }

  async #seal(segment: Segment, end: number, to: { name: string; draft: string; isPlain: boolean }): Promise<SealedEntry> {
    const { name, draft, isPlain } = to
    const { directory, manifest, onStep, types } = this.#options
    const haste = isPlain ? 'urgent' : 'leisurely'
    const packed = await this.#blocks(segment, end)
    this.#step('read')
    const sealed = await this.#run({ kind: 'seal', segment: segment.name, packed, types: types(), isPlain, haste })
    assert(sealed.kind === 'sealed', 'a segment that is to be sealed comes back as a file')
    assert(sealed.firstPosition === segment.firstPosition && sealed.endPosition === end, 'a sealed file has the positions of its segment')
    this.#step('encoded')
    await this.#write(draft, sealed.bytes)
    const back = await this.#run({ kind: 'read-back', segment: name, bytes: await this.#read(draft), types: types(), haste })
    assert(back.kind === 'read-back', 'a file that is to be read back comes back as hashes')
    const isSame = Buffer.compare(back.rowsHash, sealed.rowsHash) === 0
    if (!isSame || back.firstPosition !== sealed.firstPosition || back.endPosition !== end)
      throw notSealed(segment.name, 'its file reads otherwise than it was written')
    this.#step('verified')
    await disk(draft, () => rename(draft, join(directory, name)))
    await disk(directory, () => sync(directory))
    this.#step('renamed')
    const entry: SealedEntry = {
      kind: 'sealed',
      segment: name,
      firstPosition: sealed.firstPosition,
      endPosition: end,
      previousHash: hex(sealed.previousHash),
      lastHash: hex(sealed.lastHash),
      rowsHash: hex(sealed.rowsHash),
      fileHash: hex(back.fileHash),
      bytes: sealed.bytes.length,
      acceptedMax: sealed.acceptedMax,
    }
    await manifest.append(entry)
    onStep('listed')
    return entry
  }

  async #blocks(segment: Segment, end: number): Promise<PackedBlocks[]> {
    const packed: PackedBlocks[] = []
    const packer = new ByteWriter(PACK_BYTES)
    let ends: number[] = []
    let bytesInTurn = 0
    const close = (): void => {
      if (ends.length > 0) packed.push({ bytes: new Uint8Array(packer.written()), ends })
      packer.clear()
      ends = []
    }
    for (const { bytes } of segment.walk(segment.firstPosition, end)) {
      if (packer.length + bytes.length > PACK_BYTES) close()
      packer.copy(bytes)
      ends.push(packer.length)
      bytesInTurn += bytes.length + TURN_BYTES_PER_BLOCK
      if (bytesInTurn < TURN_BYTES) continue
      bytesInTurn = 0
      await this.#turn()
    }
    close()
    return packed
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    if (this.#options.freeBytes() < bytes.length) throw noRoom(path, bytes.length)
    await disk(path, async () => {
      const file = await open(path, 'w', 0o600)
      try {
        for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
          const piece = bytes.subarray(at, at + PIECE_BYTES)
          const { bytesWritten } = await file.write(piece, 0, piece.length, at)
          if (bytesWritten < piece.length) throw Object.assign(new Error('fewer bytes were taken than were given'), { code: 'ENOSPC' })
        }
        this.#step('written')
        await file.sync()
      } finally {
        await file.close()
      }
    })
    this.#step('synced')
  }

  async #read(path: string): Promise<Uint8Array> {
    const bytes = new Uint8Array((await stat(path)).size)
    const file = await open(path, 'r')
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, at, Math.min(PIECE_BYTES, bytes.length - at), at)
        if (bytesRead === 0) throw notSealed(path, 'its file is shorter than it was written')
        at += bytesRead
      }
    } finally {
      await file.close()
    }
    return bytes
  }

  /** In a thread; sources that run without being compiled have none and do it here. */
  async #run(task: SegmentTask): Promise<Exclude<SegmentAnswer, { kind: 'failed' }>> {
    this.#step(undefined)
    const answer = import.meta.url.endsWith('.ts') ? await this.#here(task) : await this.#inThread(task)
    this.#step(undefined)
    if (answer.kind === 'failed') throw notSealed(task.segment, answer.why)
    return answer
  }

  async #here(task: SegmentTask): Promise<SegmentAnswer> {
    const { runSegmentTask } = await import('#journal/segments/seal-thread.js')
    return runSegmentTask(task)
  }

  async #inThread(task: SegmentTask): Promise<SegmentAnswer> {
    const { Piscina: Pool } = await import('piscina')
    // It may have been closed meanwhile, and nothing would end a pool that is made now.
    this.#step(undefined)
    const filename = fileURLToPath(new URL('../segments/seal-thread.js', import.meta.url))
    const pool =
      this.#pools.get(task.haste) ??
      new Pool<SegmentTask, SegmentAnswer>({ filename, minThreads: 0, maxThreads: 1, idleTimeout: THREAD_IDLE_MS, ...THREAD_OPTIONS })
    this.#pools.set(task.haste, pool)
    const arrays = task.kind === 'seal' ? task.packed.map(({ bytes }) => bytes) : [task.bytes]
    try {
      return await pool.run(task, { transferList: arrays.map((bytes) => bytes.buffer as ArrayBuffer) })
    } catch (error) {
      if (this.#isClosed) throw CLOSED
      throw error
    }
  }

  #turn(): Promise<void> {
    this.#step(undefined)
    return new Promise((resolve) => setImmediate(resolve))
  }

  #step(step: SealStep | undefined): void {
    if (this.#isClosed) throw CLOSED
    if (step !== undefined) this.#options.onStep(step)
  }
}

/** Thrown where a sealer that was closed stops. */
const CLOSED = new Error('the sealer is closed')

/** Runs something on the disk. No room is an answer: nothing of the log is lost. Anything else may be a disk that lies. */
async function disk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error === CLOSED || error instanceof MillraceError) throw error
    throw isOutOfRoom(error) ? noRoom(path, undefined, error) : diskFailed(error, path)
  }
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function noRoom(file: string, bytes: number | undefined, cause?: unknown): MillraceError {
  return new MillraceError('ERR_DISK_FULL', {
    fact: 'the disk has no room to seal a segment',
    action: 'retry',
    values: { file, ...(bytes === undefined ? {} : { neededBytes: bytes }) },
    next: 'free some space; nothing is lost, and sealing is tried again by itself',
    cause,
  })
}

function notSealed(segment: string, why: string): MillraceError {
  return new MillraceError('ERR_NOT_SEALED', {
    fact: 'a segment could not be sealed and stays as it is',
    action: 'operator',
    values: { segment, why: messageOf(why) },
    next: 'run millrace log verify on the data directory',
  })
}

function hex(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex')
}
