import { addExtension, Packr, Unpackr } from 'msgpackr'
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
const LENGTH_BYTES = 4

/** Stands for -0, which msgpackr would pack as the whole number 0. */
class NegativeZero {
  readonly value = -0
}
const NEGATIVE_ZERO = new NegativeZero()
addExtension({ Class: NegativeZero, type: 0x2d, pack: () => Buffer.alloc(1), unpack: () => -0 })

/** The value with each -0 in it made fit for `packFrame`: itself when there is none, else a copy. */
export function keepNegativeZero(value: unknown): unknown {
  if (typeof value === 'number') return Object.is(value, -0) ? NEGATIVE_ZERO : value
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const kept = value.map(keepNegativeZero)
    return kept.every((one, index) => Object.is(one, value[index])) ? value : kept
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  let copy: Record<string, unknown> | undefined
  for (const key in value) {
    const member = (value as Record<string, unknown>)[key]
    const kept = keepNegativeZero(member)
    if (!Object.is(kept, member)) (copy ??= { ...value })[key] = kept
  }
  return copy ?? value
}

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false })

/** A whole frame with its length in front. */
export function packFrame(message: readonly unknown[]): Buffer {
  const body = packr.pack(message)
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + body.length)
  frame.writeUInt32LE(body.length, 0)
  body.copy(frame, LENGTH_BYTES)
  return frame
}

/**
 * Cuts a byte stream into frames; holds at most one unfinished frame, however small the pieces are. Throws ERR_STREAM_DOOR for a length or bytes that no
 * frame has: then the stream is lost.
 */
export class StreamFrameReader {
  readonly #head = Buffer.alloc(LENGTH_BYTES)
  /** Of the unfinished frame's head, then of its body, what has come. */
  #filled = 0
  #body: Buffer | undefined;

  /** The messages that the piece completes. */
  *read(piece: Buffer): Generator<readonly unknown[]> {
    for (let at = 0; at < piece.length; ) {
      if (this.#body !== undefined) {
        const copied = piece.copy(this.#body, this.#filled, at)
        at += copied
        this.#filled += copied
        if (this.#filled < this.#body.length) return
        const body = this.#body
        this.#body = undefined
        this.#filled = 0
        yield unpackFrame(body)
        continue
      }
      const copied = piece.copy(this.#head, this.#filled, at)
      at += copied
      this.#filled += copied
      if (this.#filled < LENGTH_BYTES) return
      this.#filled = 0
      const length = this.#head.readUInt32LE(0)
      if (length === 0 || length > STREAM_FRAME_BYTES_MAX) throw broken('no frame has this length', { bytes: length })
      if (piece.length - at < length) {
        this.#body = Buffer.allocUnsafe(length)
        continue
      }
      at += length
      yield unpackFrame(piece.subarray(at - length, at))
    }
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
