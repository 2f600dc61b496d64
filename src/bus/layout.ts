/**
 * A channel in memory: a header of one page, then the ring. Words in the byte order of the machine; f64 and i32 at their natural
 * alignment. Every block of 128 bytes (two cache lines, since processors fetch the neighbour too) has one writer, but for the tap's
 * state, which the tap sets and the producer may fence:
 *
 *      0  i32 magic             written last: a memory without it was never formatted. FENCED_MAGIC: given up after damage
 *      4  i32 format version
 *      8  i32 capacityBytes     of the ring: a power of two
 *     12  i32 schemaHash        of the messages; both ends must agree
 *     16  i32 flags             CHECKSUM_FLAG: every frame carries a checksum
 *     20  i32 nameBytes
 *     24  i32 check             CRC-32 of bytes 4 to 24 and of the name
 *     28  ..  name              UTF-8, at most NAME_BYTES_MAX
 *    128  producer's identity   i32 pid (0: nobody yet), i32 term, f64 start time, i32 attach count
 *    256  consumer's identity   the same
 *    384  i32 producer parked   of the form that stands alone: in a plant the parked words are the processes' own
 *    512  i32 consumer parked
 *    640  i32 published         end of the last visible frame. The only visibility there is
 *    768  producer's counters   i32 frames (low, high), i32 laps of the position, f64 refusals, rings, then its waiting
 *    896  i32 released          end of the last frame given back, then i32 its check: the same inverted, stored first
 *   1024  consumer's counters   i32 read position, f64 rings, then its waiting
 *   1152  the tap               i32 state, i32 position, f64 end of its lease, f64 start time, i32 pid
 *   4096  the ring
 *
 * The waiting of an end: f64 parks, wake-ups by a ring, wake-ups by time, milliseconds parked.
 */
export const HEADER_BYTES = 4096

/** "MRCH" read as little-endian. */
export const MAGIC = 0x4843524d
/** "MRCX": an end found the channel damaged. Nothing in it is to be believed any more. */
export const FENCED_MAGIC = 0x5843524d
export const FORMAT_VERSION = 3

export const NAME_BYTES_MAX = 100
export const CAPACITY_BYTES_MIN = 64
export const CAPACITY_BYTES_MAX = 2 ** 30

export const CHECKSUM_FLAG = 1
export const CHECKSUM_BYTES = 4

/** Indices into the memory seen as Int32Array. */
export const MAGIC_WORD = 0
export const VERSION_WORD = 1
export const CAPACITY_WORD = 2
export const SCHEMA_WORD = 3
export const FLAGS_WORD = 4
export const NAME_BYTES_WORD = 5
export const CHECK_WORD = 6
export const NAME_OFFSET = 28

/** Offset of an end's identity in words, and what lies where in it. The start time is a double: index it by half. */
export const END_WORD = { producer: 128 / 4, consumer: 256 / 4 }
export const PID = 0
export const TERM = 1
export const START_TIME = 2
export const ATTACH_COUNT = 4

export const PRODUCER_PARKED_WORD = 384 / 4
export const CONSUMER_PARKED_WORD = 512 / 4
export const PUBLISHED_WORD = 640 / 4
/** Frames ever published, modulo 2^32 and above. */
export const FRAMES_LOW_WORD = 768 / 4
export const FRAMES_HIGH_WORD = 768 / 4 + 1
/** How often the published position went past 2^32. */
export const LAPS_WORD = 768 / 4 + 2
export const RELEASED_WORD = 896 / 4
/** Of a channel with checksums; in others it stays as it was made. */
export const RELEASED_CHECK_WORD = 896 / 4 + 1
export const READ_WORD = 1024 / 4

export const TAP_STATE_WORD = 1152 / 4
export const TAP_POSITION_WORD = 1152 / 4 + 1
export const TAP_PID_WORD = 1152 / 4 + 6
/** Nobody taps; the tap's position holds the release back; its lease ran out, so the producer went on without it. */
export const TAP_NONE = 0
export const TAP_HOLDING = 1
export const TAP_FENCED = 2

/** No lease lasts longer. One that says so is damage, or the producer would wait for a tap that nobody made. */
export const TAP_LEASE_MS_MAX = 600_000

/** Indices into the memory seen as Float64Array. */
export const REFUSALS_COUNTER = 768 / 8 + 2
export const PRODUCER_RINGS_COUNTER = 768 / 8 + 3
export const CONSUMER_RINGS_COUNTER = 1024 / 8 + 1
/** Milliseconds on the machine's monotonic clock. */
export const TAP_LEASE_END = 1152 / 8 + 1
export const TAP_START_TIME = 1152 / 8 + 2

/** Where the waiting of an end is counted, and what lies where in it. */
export const WAITING_COUNTERS = { producer: 768 / 8 + 4, consumer: 1024 / 8 + 2 }
export const PARKS = 0
export const WOKEN_BY_RING = 1
export const WOKEN_BY_TIME = 2
export const PARKED_MS = 3

/** How much memory a channel with a ring of `capacityBytes` takes. */
export function channelBytes(capacityBytes: number): number {
  return HEADER_BYTES + capacityBytes
}
