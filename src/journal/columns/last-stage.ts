import { brotliCompressSync, brotliDecompressSync, constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { Damage } from '#journal/bytes.js'
import { newerFormat } from '#journal/block-format.js'

/** Codecs of the last stage: what a chunk's data went through after its encoding. */
export const CODEC_NONE = 0
/** RFC 1951, without a header. */
export const CODEC_DEFLATE = 1
/** RFC 7932. */
export const CODEC_BROTLI = 2

/** A chunk whose data says that it grows by more than this, and beyond a size that costs nothing, is damaged. */
const GROWTH_MAX = 1024
const SMALL_BYTES = 1 << 20
/** Headers of both formats cost more than there is to win below this. */
const BYTES_MIN = 48
/** Up to here the best quality takes some milliseconds; elsewhere it costs 30 times the time for some percent. */
const BEST_BYTES = 1 << 13
const QUALITY = 5
/** Up to here deflate, which has shorter headers, is tried too. */
const DEFLATE_BYTES = 1 << 12

export function checkCodec(codec: number): void {
  if (codec !== CODEC_DEFLATE && codec !== CODEC_BROTLI) throw newerFormat('chunk codec', codec)
}

export interface Compressed {
  readonly codec: number
  readonly bytes: Uint8Array
}

/**
 * What the better codec makes of the bytes, or undefined when that is not below `limit` bytes. `isThorough`: with the best quality as long as the
 * bytes are few, for what a segment has little of.
 */
export function compress(bytes: Uint8Array, limit: number, isThorough: boolean): Compressed | undefined {
  if (bytes.length < BYTES_MIN) return undefined
  const quality = isThorough && bytes.length <= BEST_BYTES ? constants.BROTLI_MAX_QUALITY : QUALITY
  const params = { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  let best: Compressed = { codec: CODEC_BROTLI, bytes: brotliCompressSync(bytes, { params }) }
  if (bytes.length <= DEFLATE_BYTES) {
    const deflated = deflateRawSync(bytes)
    if (deflated.length < best.bytes.length) best = { codec: CODEC_DEFLATE, bytes: deflated }
  }
  return best.bytes.length < limit && bytes.length <= growthLimit(best.bytes.length) ? best : undefined
}

/** Undoes it. `rawBytes` is what must come out. Throws Damage. */
export function expand(codec: number, bytes: Uint8Array, rawBytes: number): Uint8Array {
  if (rawBytes > growthLimit(bytes.length)) throw new Damage('a chunk says that it is far larger than its data')
  // One byte more than there is to come, so that the end is found without a second buffer.
  const options = { chunkSize: Math.max(64, rawBytes + 1), maxOutputLength: Math.max(1, rawBytes) }
  let raw: Uint8Array
  try {
    raw = codec === CODEC_DEFLATE ? inflateRawSync(bytes, options) : brotliDecompressSync(bytes, options)
  } catch (error) {
    throw new Damage(`the last stage of a chunk cannot be undone: ${(error as Error).message}`)
  }
  if (raw.length !== rawBytes) throw new Damage('a chunk has the wrong length')
  return raw
}

function growthLimit(bytes: number): number {
  return Math.max(SMALL_BYTES, bytes * GROWTH_MAX)
}
