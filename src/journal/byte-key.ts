/**
 * Short byte strings as keys of tables in memory: a hash and a comparison that take four bytes at a time, the last four overlapping those
 * before. Not hash32, which decides about shards and takes one byte after the other.
 */
export function keyHash(view: DataView, offset: number, length: number): number {
  let hash = length
  if (length < 4) {
    for (let at = 0; at < length; at++) hash = Math.imul(hash ^ view.getUint8(offset + at), 0x9e3779b1)
  } else {
    const last = offset + length - 4
    for (let at = offset; at < last; at += 4) {
      hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash ^ view.getInt32(last, true), 0x85ebca6b)
  }
  hash ^= hash >>> 13
  return Math.imul(hash, 0xc2b2ae35) ^ (hash >>> 16)
}

/** Whether `length` bytes at `a` are those at `b`. */
export function isSameKey(viewA: DataView, a: number, viewB: DataView, b: number, length: number): boolean {
  if (length < 4) {
    for (let at = 0; at < length; at++) if (viewA.getUint8(a + at) !== viewB.getUint8(b + at)) return false
    return true
  }
  const last = length - 4
  for (let at = 0; at < last; at += 4) if (viewA.getInt32(a + at, true) !== viewB.getInt32(b + at, true)) return false
  return viewA.getInt32(a + last, true) === viewB.getInt32(b + last, true)
}
