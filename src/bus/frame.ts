/**
 * A frame as it lies in the ring. It begins at a multiple of 8, takes a multiple of 8 bytes and never wraps; words in the byte order of
 * the machine, as both ends run on it:
 *
 *    0  i32 length   of the payload in bytes
 *    4  i32 type     0 or more: the caller's; PADDING_TYPE: nothing, up to the end of the ring
 *    8  payload      then up to 7 bytes of whatever was there before
 *   -4  i32 checksum of all that is before it and of the frame's position: only in a channel made with checksums
 *
 * Nothing in a frame says whether it may be read: only the published position does.
 */
export const FRAME_HEADER_BYTES = 8
export const FRAME_ALIGNMENT = 8

/** Type of the frame that fills the ring up to its end when the next frame does not fit there. */
export const PADDING_TYPE = -1

/** Answers of `tryClaim` that are not an offset. */
export const INSUFFICIENT_CAPACITY = -1
export const FRAME_TOO_LARGE = -2

/** Answer of `next` when there is none. */
export const NO_FRAME = -1

/** The bytes that a frame without a checksum takes in the ring: header, payload and alignment. */
export function frameBytes(payloadBytes: number): number {
  return (payloadBytes + FRAME_HEADER_BYTES + FRAME_ALIGNMENT - 1) & -FRAME_ALIGNMENT
}

/**
 * Of the words from `word` up to `endWord`, which is the checksum's own. Two sums take the words in turns, so that neither waits for the other. Every
 * step maps different sums to different sums, and the end does so too for each of the two while the other one stays as it is: one damaged word is always
 * noticed, and more of them all but once in 2^32. With the position in it, a frame of an earlier lap does not pass for a new one.
 */
export function frameChecksum(words: Int32Array, word: number, endWord: number, position: number): number {
  let even = position ^ CHECKSUM_SEED
  let odd = CHECKSUM_FACTOR
  let index = word
  for (const last = endWord - 1; index < last; index += 2) {
    even = (even + (words[index] as number)) | 0
    even = (even << 9) | (even >>> 23)
    odd = (odd + (words[index + 1] as number)) | 0
    odd = (odd << 13) | (odd >>> 19)
  }
  if (index < endWord) {
    even = (even + (words[index] as number)) | 0
    even = (even << 9) | (even >>> 23)
  }
  even = Math.imul(even ^ (even >>> 15), CHECKSUM_FACTOR) ^ odd
  even = Math.imul(even ^ (even >>> 13), CHECKSUM_FACTOR)
  return even ^ (even >>> 16)
}

const CHECKSUM_SEED = 0x6d696c6c
/** Odd, so that multiplying loses nothing. */
const CHECKSUM_FACTOR = 0x2c1b3c6d
