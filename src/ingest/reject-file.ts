import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { messageOf, MillraceError } from '#base/errors.js'

/**
 * One line of a reject file. `malformed`: the row could not be read. `unfit`: the plant has no such entity type, command or field. `refused`:
 * the entity said no. `failed`: its code threw.
 */
export interface Reject {
  readonly line: number
  readonly row: number
  readonly kind: 'malformed' | 'unfit' | 'refused' | 'failed'
  readonly reason: string
  /** The beginning of the row as it stands in the file. */
  readonly raw: string
}

/** Where rejected rows of one source go. A row is there at most once, however often the file is taken up again. */
export interface RejectLog {
  /** Written at once, so that killing this process loses none; lost in a power cut before `sync`. */
  add(reject: Reject): void
  /** Was written by an earlier run, though no checkpoint tells of it. */
  has(row: number): boolean
  sync(): void
  close(): void
}

/** Rejects are kept nowhere. */
export const noRejectLog: RejectLog = { add: () => {}, has: () => false, sync: () => {}, close: () => {} }

/**
 * A reject file: JSON lines, mode 0600, made on the first reject. What is there stays: other sources may share the file, and rows of this one
 * behind `rowTaken` were written by a run that was killed before its checkpoint. A line cut by a crash is dropped. Throws ERR_REJECT_FILE.
 */
export function openRejectFile(path: string, source: string, rowTaken: number): RejectLog {
  return new RejectFile(path, source, rowTaken)
}

class RejectFile implements RejectLog {
  readonly #path: string
  readonly #source: string
  readonly #seen = new Set<number>()
  #file = -1

  constructor(path: string, source: string, rowTaken: number) {
    this.#path = path
    this.#source = source
    try {
      this.#file = openSync(path, 'r+', 0o600)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
      throw this.#bad(cause)
    }
    this.#readBack(rowTaken)
  }

  add(reject: Reject): void {
    if (this.#seen.has(reject.row)) return
    try {
      if (this.#file < 0) {
        mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
        this.#file = openSync(this.#path, 'a', 0o600)
      }
      const { line, row, kind, reason, raw } = reject
      writeSync(this.#file, `${JSON.stringify({ source: this.#source, line, row, kind, reason, raw })}\n`)
    } catch (cause) {
      throw this.#bad(cause)
    }
  }

  has(row: number): boolean {
    return this.#seen.has(row)
  }

  sync(): void {
    if (this.#file >= 0) fsyncSync(this.#file)
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file)
    this.#file = -1
  }

  /** Finds the rows behind the checkpoint, cuts off half a line at the end, and goes on from there. */
  #readBack(rowTaken: number): void {
    const chunk = Buffer.alloc(256 * 1024)
    let rest = Buffer.alloc(0)
    let offset = 0
    for (
      let bytes = readSync(this.#file, chunk, 0, chunk.length, offset);
      bytes > 0;
      bytes = readSync(this.#file, chunk, 0, chunk.length, offset)
    ) {
      offset += bytes
      const data = Buffer.concat([rest, chunk.subarray(0, bytes)])
      const end = data.lastIndexOf(0x0a) + 1
      for (const line of data.toString('utf8', 0, end).split('\n')) this.#remember(line, rowTaken)
      rest = data.subarray(end)
    }
    const kept = offset - rest.length
    ftruncateSync(this.#file, kept)
    closeSync(this.#file)
    this.#file = openSync(this.#path, 'a', 0o600)
  }

  #remember(line: string, rowTaken: number): void {
    const prefix = `{"source":${JSON.stringify(this.#source)},"line":`
    const row = line.startsWith(prefix) ? /^\d+,"row":(\d+),/.exec(line.slice(prefix.length))?.[1] : undefined
    if (row !== undefined && Number(row) > rowTaken) this.#seen.add(Number(row))
  }

  #bad(cause: unknown): MillraceError {
    return new MillraceError('ERR_REJECT_FILE', {
      fact: 'the reject file cannot be written',
      action: 'operator',
      values: { file: this.#path, error: messageOf(cause) },
      next: 'make room or give another path',
      cause,
    })
  }
}
