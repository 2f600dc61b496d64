/**
 * A channel in memory: a header of one page, then the ring. Words in the byte order of the machine; f64 and i32 at their natural
 * alignment. Every block of 128 bytes (two cache lines, since processors fetch the neighbour too) has one writer:
 *
 *      0  i32 magic             written last: a memory without it was never formatted
 *      4  i32 format version
 *      8  i32 capacityBytes     of the ring: a power of two
 *     12  i32 schemaHash        of the messages; both ends must agree
 *     16  i32 nameBytes
 *     20  i32 check             CRC-32 of bytes 4 to 20 and of the name
 *     24  ..  name              UTF-8, at most NAME_BYTES_MAX
 *    128  producer's identity   i32 pid (0: nobody yet), i32 term, f64 start time, i32 attach count
 *    256  consumer's identity   the same
 *    384  i32 producer parked   of the form that stands alone: in a plant the parked words are the processes' own
 *    512  i32 consumer parked
 *    640  i32 published         end of the last visible frame. The only visibility there is
 *    768  producer's counters   f64 frames, f64 bytes, f64 refusals, f64 rings
 *    896  i32 released          end of the last frame given back
 *   1024  consumer's counters   f64 rings, i32 read position
 *   4096  the ring
 */
export const HEADER_BYTES = 4096

/** "MRCH" read as little-endian. */
export const MAGIC = 0x4843524d
export const FORMAT_VERSION = 1

export const NAME_BYTES_MAX = 104
export const CAPACITY_BYTES_MIN = 64
export const CAPACITY_BYTES_MAX = 2 ** 30

/** Indices into the memory seen as Int32Array. */
export const MAGIC_WORD = 0
export const VERSION_WORD = 1
export const CAPACITY_WORD = 2
export const SCHEMA_WORD = 3
export const NAME_BYTES_WORD = 4
export const CHECK_WORD = 5
export const NAME_OFFSET = 24

/** Offset of an end's identity in words, and what lies where in it. The start time is a double: index it by half. */
export const END_WORD = { producer: 128 / 4, consumer: 256 / 4 }
export const PID = 0
export const TERM = 1
export const START_TIME = 2
export const ATTACH_COUNT = 4

export const PRODUCER_PARKED_WORD = 384 / 4
export const CONSUMER_PARKED_WORD = 512 / 4
export const PUBLISHED_WORD = 640 / 4
export const RELEASED_WORD = 896 / 4
export const READ_WORD = 1024 / 4 + 2

/** Indices into the memory seen as Float64Array. */
export const FRAMES_COUNTER = 768 / 8
export const BYTES_COUNTER = 768 / 8 + 1
export const REFUSALS_COUNTER = 768 / 8 + 2
export const PRODUCER_RINGS_COUNTER = 768 / 8 + 3
export const CONSUMER_RINGS_COUNTER = 1024 / 8

/** How much memory a channel with a ring of `capacityBytes` takes. */
export function channelBytes(capacityBytes: number): number {
  return HEADER_BYTES + capacityBytes
}
