import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { assert } from '#base/assert.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { checkPath } from './argument.js'
import { closedError, explain } from './failure.js'
import { addon, type NativeBell } from './native.js'

// Both ends hold the FIFO open for both directions. So it never reports an end of file, a ring never fails because nobody listens, and a
// ring that nobody heard waits for the successor.
const BOTH_WAYS = constants.O_RDWR | constants.O_NONBLOCK

/** The bell of this process, heard on its event loop. */
export class Bell {
  readonly path: string
  readonly #fd: number
  #native: NativeBell | undefined
  #isClosed = false
  #keepsAlive = true

  /**
   * Opens the FIFO at `path`, made with mode 0600 unless a predecessor left it; those who hold that one open need not notice the change.
   * ERR_BELL_NOT_FIFO when something else is there. Of two processes that hear the same bell, either hears each ring.
   */
  static open(path: string): Bell {
    checkPath('path', path)
    const attempt = { fact: 'a bell cannot be opened', values: { path } }
    const native = addon()
    try {
      native.makeFifo(path)
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw explain(error, attempt)
    }
    return new Bell(path, openFifo(path))
  }

  private constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  /**
   * Calls `listener` on the event loop after rings: once for all that came since the last time, and rings from before this call count. A ring
   * while the listener runs leads to another call. What it throws is an uncaught exception. One listener per bell.
   */
  onRing(listener: () => void): void {
    this.#checkOpen()
    assert(this.#native === undefined, 'a bell has one listener')
    try {
      this.#native = new (addon().Bell)(this.#fd, listener)
    } catch (error) {
      throw explain(error, { fact: 'a bell cannot be watched', values: { path: this.path, onRing: listener } })
    }
    if (!this.#keepsAlive) this.#native.unref()
  }

  /** The process stays alive for the bell: so it is unless `unref` was called. */
  ref(): void {
    this.#checkOpen()
    this.#keepsAlive = true
    this.#native?.ref()
  }

  /** The process may end although the bell is open. */
  unref(): void {
    this.#checkOpen()
    this.#keepsAlive = false
    this.#native?.unref()
  }

  /** Ends listening; the listener is not called again. The FIFO stays, for a successor. ERR_SHM_CLOSED when called again. */
  close(): void {
    this.#checkOpen()
    this.#isClosed = true
    if (this.#native === undefined) closeSync(this.#fd)
    else this.#native.close()
  }

  #checkOpen(): void {
    if (this.#isClosed) throw closedError('bell', this.path)
  }
}

/** The bell of another process, opened at the first ring. */
export class RemoteBell {
  readonly path: string
  readonly #native = addon()
  #fd: number | undefined
  #isClosed = false

  /** Touches nothing yet. ERR_ADDON_MISSING. */
  constructor(path: string) {
    checkPath('path', path)
    this.path = path
  }

  /**
   * Says whether the bell was rung: false while the process that hears it has never made it. Never blocks, and never fails because nobody
   * listens; then the ring waits for the successor. A FIFO that is full of rings counts as rung.
   */
  ring(): boolean {
    if (this.#isClosed) throw closedError('bell', this.path)
    this.#fd ??= openIfThere(this.path)
    if (this.#fd === undefined) return false
    try {
      // Not fs.writeSync, which takes longer than the system call: a sleeper is woken by this, and its round trip is what bus-wake measures.
      this.#native.ring(this.#fd)
    } catch (error) {
      throw explain(error, { fact: 'a bell cannot be rung', values: { path: this.path } })
    }
    return true
  }

  /** ERR_SHM_CLOSED when called again. */
  close(): void {
    if (this.#isClosed) throw closedError('bell', this.path)
    this.#isClosed = true
    if (this.#fd !== undefined) closeSync(this.#fd)
  }
}

/** Rings once, for callers that ring rarely: it opens and closes the FIFO. The answer is that of `RemoteBell.ring`. */
export function ringBell(path: string): boolean {
  const bell = new RemoteBell(path)
  try {
    return bell.ring()
  } finally {
    bell.close()
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openFifo(path)
  } catch (error) {
    if (isMillraceError(error, 'ERR_SHM_MISSING')) return undefined
    throw error
  }
}

function openFifo(path: string): number {
  const attempt = { fact: 'a bell cannot be opened', values: { path } }
  let fd: number
  try {
    fd = openSync(path, BOTH_WAYS | constants.O_NOFOLLOW)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'EISDIR' || code === 'ELOOP' || code === 'ENXIO') throw notFifoError(path)
    throw explain(error, attempt)
  }
  if (fstatSync(fd).isFIFO()) return fd
  closeSync(fd)
  throw notFifoError(path)
}

function notFifoError(path: string): MillraceError {
  return new MillraceError('ERR_BELL_NOT_FIFO', {
    fact: 'a bell must be a FIFO',
    action: 'operator',
    values: { path },
    next: 'remove what is there',
  })
}
