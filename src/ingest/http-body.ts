import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

/** Why a body cannot be used. `gone`: its connection ended within it. */
export type BadBody = 'too-large' | 'no-room' | 'gone' | 'not-packed' | 'not-utf8'

export type BodyEncoding = 'identity' | 'gzip'

const unpack = promisify(gunzip)

/** Room for the bodies of all requests together. */
export class BodyRoom {
  readonly #bytesMax: number
  #heldBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  hold(): BodyHold {
    return new BodyHold((bytes) => {
      if (bytes > 0 && this.#heldBytes + bytes > this.#bytesMax) return false
      this.#heldBytes += bytes
      return true
    })
  }
}

/** One request's part of the room. */
export class BodyHold {
  readonly #change: (bytes: number) => boolean
  #bytes = 0

  constructor(change: (bytes: number) => boolean) {
    this.#change = change
  }

  tryAdd(bytes: number): boolean {
    if (!this.#change(bytes)) return false
    this.#bytes += bytes
    return true
  }

  release(): void {
    this.#change(-this.#bytes)
    this.#bytes = 0
  }
}

/**
 * The text of a request's body of at most `bytesMax` bytes, packed and unpacked alike, without a byte order mark. When it answers before the
 * end of the body, nothing more is kept, and what still comes is thrown away as it comes.
 */
export async function readBody(
  request: IncomingMessage,
  encoding: BodyEncoding,
  bytesMax: number,
  hold: BodyHold,
): Promise<{ readonly text: string } | BadBody> {
  const bytes = await readBytes(request, bytesMax, hold)
  if (typeof bytes === 'string') return bytes
  const plain = encoding === 'gzip' ? await unpacked(bytes, bytesMax) : bytes
  if (typeof plain === 'string') return plain
  if (plain !== bytes && !hold.tryAdd(plain.length)) return 'no-room'
  return isUtf8(plain) ? { text: plain.toString('utf8').replace(/^\ufeff/, '') } : 'not-utf8'
}

function readBytes(request: IncomingMessage, bytesMax: number, hold: BodyHold): Promise<Buffer | BadBody> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) {
    request.resume()
    return Promise.resolve('too-large')
  }
  return new Promise((resolve) => {
    let pieces: Buffer[] = []
    let byteCount = 0
    const refuse = (why: BadBody) => {
      pieces = []
      byteCount = Number.POSITIVE_INFINITY
      resolve(why)
    }
    request.on('data', (piece: Buffer) => {
      byteCount += piece.length
      if (byteCount === Number.POSITIVE_INFINITY) return
      if (byteCount > bytesMax) refuse('too-large')
      else if (!hold.tryAdd(piece.length)) refuse('no-room')
      else pieces.push(piece)
    })
    request.on('end', () => resolve(Buffer.concat(pieces)))
    request.on('error', () => refuse('gone'))
    request.on('close', () => refuse('gone'))
  })
}

async function unpacked(bytes: Buffer, bytesMax: number): Promise<Buffer | BadBody> {
  try {
    return await unpack(bytes, { maxOutputLength: bytesMax })
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : 'not-packed'
  }
}
