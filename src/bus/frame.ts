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
 * Of the words from `word` up to `endWord`, which is the checksum's own. Every step maps different sums to different sums, so that one damaged
 * word is always noticed, and more of them all but once in 2^32. With the position in it, a frame of an earlier lap does not pass for a new one.
 */
export function frameChecksum(words: Int32Array, word: number, endWord: number, position: number): number {
  let sum = position ^ CHECKSUM_SEED
  for (let index = word; index < endWord; index++) {
    sum = Math.imul(sum ^ (words[index] as number), CHECKSUM_FACTOR)
    sum ^= sum >>> 15
  }
  return sum
}

const CHECKSUM_SEED = 0x6d696c6c
/** Odd, so that multiplying loses nothing. */
const CHECKSUM_FACTOR = 0x2c1b3c6d
