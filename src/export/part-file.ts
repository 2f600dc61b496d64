import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { MillraceError } from '#base/errors.js'

/** Characters gathered before they are written. */
const GATHERED_MAX = 1 << 20

/** A text file that grows. Errors of the file system come as `writeFailed` says. */
export class PartFile {
  readonly path: string
  readonly #file: number
  #gathered: string[] = []
  #length = 0
  #bytes = 0

  constructor(path: string) {
    this.path = path
    this.#file = guarded(path, () => openSync(path, 'wx', 0o600))
  }

  get bytes(): number {
    return this.#bytes
  }

  write(text: string): void {
    this.#gathered.push(text)
    this.#length += text.length
    if (this.#length >= GATHERED_MAX) this.flush()
  }

  flush(): void {
    const bytes = Buffer.from(this.#gathered.join(''))
    this.#gathered = []
    this.#length = 0
    guarded(this.path, () => {
      for (let start = 0; start < bytes.length; ) start += writeSync(this.#file, bytes, start)
    })
    this.#bytes += bytes.length
  }

  /** Durable when it returns. */
  close(): void {
    try {
      this.flush()
      guarded(this.path, () => fsyncSync(this.#file))
    } finally {
      closeSync(this.#file)
    }
  }

  /** Gives the file up as it is. */
  abandon(): void {
    closeSync(this.#file)
  }
}

/** Does something to a file of an export. Throws ERR_EXPORT_WRITE, which says when the disk is full. */
export function guarded<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    throw writeFailed(path, cause)
  }
}

export function writeFailed(path: string, cause: unknown): MillraceError {
  const { code } = cause as NodeJS.ErrnoException
  const isFull = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
  return new MillraceError('ERR_EXPORT_WRITE', {
    fact: isFull
      ? 'the disk is full, and nothing of the export is kept'
      : 'a file of the export cannot be written, and nothing of it is kept',
    action: 'operator',
    values: { path, ...(code === undefined ? {} : { code }) },
    next: isFull ? 'make room, or export less: --since, --entity, --event' : 'check that the directory exists and belongs to this user',
    cause,
  })
}
