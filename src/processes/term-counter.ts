import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '#base/assert.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { crc32 } from '#base/hash.js'
import { replaceFileSync } from './durable-file.js'

export const TERM_FILE_NAME = 'term'

/** A term is stored in 32 bits with every row. */
export const TERM_MAX = 0xffff_ffff

const TERMS_RESERVED = 16
const FORM = /^millrace-term 1 (\d{1,10}) ([0-9a-f]{8})\n$/

/**
 * Hands out terms: each higher than all before it in this data directory, none twice, not even after a crash or a power loss. The file holds
 * the highest term that may have been handed out; terms are reserved some at a time, so that replacing a process waits for no disk, and
 * those reserved but unused when the supervisor ends are skipped. The caller holds the data directory's lock.
 */
export class TermCounter {
  readonly #path: string
  #last: number
  #reserved: number

  private constructor(path: string, reserved: number) {
    this.#path = path
    this.#last = reserved
    this.#reserved = reserved
  }

  /**
   * Opens the counter of a data directory. Without a file it starts at 1, but only when `isNew` says that the directory has no log yet:
   * terms that come back would make new rows look like old ones. Throws ERR_TERM_LOST or ERR_TERM_DAMAGED.
   */
  static openSync(directory: string, isNew: boolean): TermCounter {
    const path = join(directory, TERM_FILE_NAME)
    const text = readText(path)
    if (text === undefined) {
      if (!isNew) throw noTerm('ERR_TERM_LOST', 'the directory has a log but no term file', path)
      return new TermCounter(path, 0)
    }
    const found = FORM.exec(text)
    const term = Number(found?.[1])
    if (found === null || term > TERM_MAX || found[2] !== checkOf(term)) {
      throw noTerm('ERR_TERM_DAMAGED', 'the term file is damaged', path)
    }
    return new TermCounter(path, term)
  }

  /** No process of the data directory was given a higher term; 0 where the file cannot tell. */
  static highestSync(directory: string): number {
    try {
      return TermCounter.openSync(directory, true).#reserved
    } catch (error) {
      if (isMillraceError(error)) return 0
      throw error
    }
  }

  /** Writes the file anew after it was lost: every later term will be above `term`, the highest one that any row has. */
  static repairSync(directory: string, term: number): void {
    assert(Number.isInteger(term) && term >= 0 && term < TERM_MAX, 'the term is one')
    writeTerm(join(directory, TERM_FILE_NAME), term)
  }

  /** The next term, from 1. Durable before it returns. */
  next(): number {
    if (this.#last === this.#reserved) this.reserve()
    return ++this.#last
  }

  /** Makes terms durable ahead of need, where waiting for the disk does no harm. */
  reserve(): void {
    if (this.#reserved - this.#last >= TERMS_RESERVED) return
    if (this.#last >= TERM_MAX - TERMS_RESERVED) {
      throw new MillraceError('ERR_TERM_EXHAUSTED', {
        fact: 'the data directory has used up its terms',
        action: 'operator',
        values: { term: this.#last },
        next: 'export the log into a new data directory',
      })
    }
    const reserved = this.#last + TERMS_RESERVED
    writeTerm(this.#path, reserved)
    this.#reserved = reserved
  }
}

function writeTerm(path: string, term: number): void {
  try {
    replaceFileSync(path, `millrace-term 1 ${term} ${checkOf(term)}\n`)
  } catch (cause) {
    throw new MillraceError('ERR_TERM_WRITE', {
      fact: 'the term file cannot be written',
      action: 'operator',
      values: { path },
      next: 'make room and check the permissions of the data directory',
      cause,
    })
  }
}

function checkOf(term: number): string {
  return crc32(Buffer.from(`millrace-term 1 ${term}`))
    .toString(16)
    .padStart(8, '0')
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new MillraceError('ERR_TERM_READ', {
      fact: 'the term file cannot be read',
      action: 'operator',
      values: { path },
      next: 'check the permissions and the disk of the data directory',
      cause,
    })
  }
}

function noTerm(code: 'ERR_TERM_LOST' | 'ERR_TERM_DAMAGED', fact: string, path: string): MillraceError {
  return new MillraceError(code, {
    fact,
    action: 'operator',
    values: { path },
    next: 'restore it from a backup of the same log, or let `millrace log repair` write it above the highest term in the log; do not delete the log',
  })
}
