/**
 * Positions count the bytes that ever went through a channel, padding and frame headers included. They grow for ever modulo 2^32 and
 * are handled as int32, so that they fit a word of shared memory and never become a double. Two positions are compared by `distance`
 * only; that is right while they lie less than 2^31 apart, which a ring of at most 2^30 bytes ensures.
 */
export function distance(from: number, to: number): number {
  return (to - from) | 0
}
