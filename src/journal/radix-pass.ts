/**
 * One stable counting pass over a byte of the key (LSD radix sort): the first `count` indices of `from`, sorted by the byte of their keys at `shift`, into `to`. `counts` has
 * 256 places, and is written over.
 */
export function radixPass(
  keys: Uint32Array | Uint16Array,
  shift: number,
  count: number,
  from: Uint32Array,
  to: Uint32Array,
  counts: Uint32Array,
): void {
  counts.fill(0)
  for (let index = 0; index < count; index++) {
    const digit = ((keys[index] as number) >>> shift) & 0xff
    counts[digit] = (counts[digit] as number) + 1
  }
  let start = 0
  for (let digit = 0; digit < 256; digit++) {
    const own = counts[digit] as number
    counts[digit] = start
    start += own
  }
  for (let index = 0; index < count; index++) {
    const item = from[index] as number
    const digit = ((keys[item] as number) >>> shift) & 0xff
    const at = counts[digit] as number
    to[at] = item
    counts[digit] = at + 1
  }
}
