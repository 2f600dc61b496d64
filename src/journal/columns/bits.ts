import { type ByteWriter, Damage } from '#journal/bytes.js'

/** The widest number that a stream of bits holds: what a double counts without gaps. */
export const BITS_MAX = 53
/** A load of 4 bytes at any byte has at least so many bits behind any bit of its first byte. */
export const LOAD_BITS = 25
/** A chunk of more bytes than this has bits that no 31-bit number counts. */
const STREAM_BYTES_MAX = 1 << 27
const PADDING_BYTES = 16
const TWO_24 = 0x1000000

/** Writes numbers of any width one behind the other, the lowest bit first, into bytes whose lowest bit comes first. */
export class BitWriter {
  #out: ByteWriter | undefined
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #pending = 0
  #pendingBits = 0

  /** Nothing else may write to `out` before `end`; at most `bitsMax` bits are to come. */
  begin(out: ByteWriter, bitsMax: number): this {
    this.#at = out.reserve(Math.ceil(bitsMax / 8) + 4)
    this.#bytes = out.bytes
    this.#out = out
    this.#pending = 0
    this.#pendingBits = 0
    return this
  }

  /** The lowest `width` bits of a whole number below 2^53, which has no others. */
  write(value: number, width: number): void {
    let rest = value
    let left = width
    while (left > 24) {
      this.#write24(rest % TWO_24, 24)
      rest = Math.floor(rest / TWO_24)
      left -= 24
    }
    this.#write24(rest, left)
  }

  /** Fills the last byte up with zeros. */
  end(): void {
    if (this.#pendingBits > 0) this.#bytes[this.#at++] = this.#pending
    ;(this.#out as ByteWriter).length = this.#at
    this.#out = undefined
  }

  #write24(value: number, width: number): void {
    // At most 7 bits wait, so that 24 more fit into 31.
    let pending = this.#pending | (value << this.#pendingBits)
    let bits = this.#pendingBits + width
    while (bits >= 8) {
      this.#bytes[this.#at++] = pending
      pending >>>= 8
      bits -= 8
    }
    this.#pending = pending
    this.#pendingBits = bits
  }
}

/**
 * The bits of one chunk, with zeros behind them, so that a load of 4 bytes that begins at or before the last bit is never outside. One is
 * enough for all chunks: a stream is decoded to its end before the next one is loaded.
 */
export class BitInput {
  bytes = new Uint8Array(0)
  view = new DataView(this.bytes.buffer)
  /** How many bits there are. */
  count = 0

  /** Throws Damage when there are more than a chunk can have. */
  load(source: Uint8Array, start: number, end: number): this {
    const length = end - start
    if (length < 0 || length > STREAM_BYTES_MAX) throw new Damage('a chunk has the wrong length')
    if (this.bytes.length < length + PADDING_BYTES) {
      this.bytes = new Uint8Array(2 ** Math.ceil(Math.log2(length + PADDING_BYTES)))
      this.view = new DataView(this.bytes.buffer)
    }
    this.bytes.set(source.subarray(start, end))
    this.bytes.fill(0, length, length + PADDING_BYTES)
    this.count = length * 8
    return this
  }

  /** The `width` bits from bit `at`, which is at most `count`; BITS_MAX at most. */
  read(at: number, width: number): number {
    const { view } = this
    if (width <= LOAD_BITS) return (view.getUint32(at >>> 3, true) >>> (at & 7)) & ((1 << width) - 1)
    const low = (view.getUint32(at >>> 3, true) >>> (at & 7)) & (TWO_24 - 1)
    const next = at + 24
    const left = width - 24
    if (left <= LOAD_BITS) return low + ((view.getUint32(next >>> 3, true) >>> (next & 7)) & ((1 << left) - 1)) * TWO_24
    const middle = (view.getUint32(next >>> 3, true) >>> (next & 7)) & (TWO_24 - 1)
    const last = next + 24
    const high = (view.getUint32(last >>> 3, true) >>> (last & 7)) & ((1 << (left - 24)) - 1)
    return low + (middle + high * TWO_24) * TWO_24
  }
}

/** How many bits a whole number from 0 to 2^53 - 1 takes. */
export function bitsOf(value: number): number {
  if (value < 0x100000000) return 32 - Math.clz32(value)
  return 64 - Math.clz32(Math.floor(value / 0x100000000))
}
