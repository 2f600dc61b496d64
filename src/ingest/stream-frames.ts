import { Packr, Unpackr } from 'msgpackr'
import { MillraceError } from '#base/errors.js'

/*
 * The stream door's protocol, both ways over one stream socket: u32 little-endian length, then a msgpack array.
 *
 *   client                                       server
 *     │── [HELLO, version] ────────────────────────▶│
 *     │◀── [WELCOME, version, credit] ──────────────│   commands that may be unsettled at a time
 *     │── [COMMANDS, firstId, [command, …]] ────────▶│   ids count on from firstId; 32 bits, modulo 2^32
 *     │◀── [DONE, [id, …]] ─────────────────────────│   durable, and no answer was asked for
 *     │◀── [SETTLED, id, kind, version, a, b] ───────│   everything else, one by one
 *     │◀── [ERROR, message] ────────────────────────│   then the connection ends
 *
 * A command is [source, sequence, entity, command, data, at | null, correlation | null, answer: 0 refused, 1 always].
 */
export const STREAM_VERSION = 1

export const HELLO = 1
export const WELCOME = 2
export const COMMANDS = 3
export const DONE = 4
export const SETTLED = 5
export const ERROR = 6

export const KIND_DONE = 1
export const KIND_REFUSED = 2
export const KIND_FORGOTTEN = 3
export const KIND_FAILED = 4
/** The plant can never take the command; `a` says why. */
export const KIND_REJECTED = 5

/** Before the reason of a rejected command, which its client hears of as a failed one: an offer over a socket cannot wait for the answer. */
export const REJECTED_PREFIX = 'rejected: '

export type StreamCommand = readonly [
  source: string,
  sequence: number,
  entity: string,
  command: string,
  data: Readonly<Record<string, unknown>>,
  at: number | null,
  correlation: string | null,
  answer: 0 | 1,
]

export const STREAM_FRAME_BYTES_MAX = 16 * 1024 * 1024

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false })

/** A whole frame with its length in front. */
export function packFrame(message: readonly unknown[]): Buffer {
  const body = packr.pack(message)
  const frame = Buffer.allocUnsafe(4 + body.length)
  frame.writeUInt32LE(body.length, 0)
  body.copy(frame, 4)
  return frame
}

/** Cuts a byte stream into frames. Throws ERR_STREAM_DOOR for a length or bytes that no frame has: then the stream is lost. */
export class StreamFrameReader {
  #pieces: Buffer[] = []
  #byteCount = 0;

  /** The messages that the piece completes. */
  *read(piece: Buffer): Generator<readonly unknown[]> {
    this.#pieces.push(piece)
    this.#byteCount += piece.length
    while (this.#byteCount >= 4) {
      const head = this.#joined()
      const length = head.readUInt32LE(0)
      if (length > STREAM_FRAME_BYTES_MAX) throw broken('a frame is longer than any may be', { bytes: length })
      if (head.length < 4 + length) return
      const message = unpackFrame(head.subarray(4, 4 + length))
      const rest = head.subarray(4 + length)
      this.#pieces = rest.length === 0 ? [] : [rest]
      this.#byteCount = rest.length
      yield message
    }
  }

  #joined(): Buffer {
    const first = this.#pieces[0] as Buffer
    if (this.#pieces.length === 1) return first
    // While a frame is incomplete the pieces are not joined again and again.
    if (first.length >= 4 && this.#byteCount < 4 + first.readUInt32LE(0)) return first.subarray(0, 4)
    const joined = Buffer.concat(this.#pieces)
    this.#pieces = [joined]
    return joined
  }
}

function unpackFrame(bytes: Buffer): readonly unknown[] {
  let message: unknown
  try {
    message = unpackr.unpack(bytes)
  } catch (cause) {
    throw broken('a frame is not msgpack', { bytes: bytes.length }, cause)
  }
  if (!Array.isArray(message) || typeof message[0] !== 'number') throw broken('a frame is not a message', { bytes: bytes.length })
  return message as readonly unknown[]
}

function broken(fact: string, values: Readonly<Record<string, unknown>>, cause?: unknown): MillraceError {
  return new MillraceError('ERR_STREAM_DOOR', { fact, action: 'operator', values, next: 'check what is connected to this socket', cause })
}
