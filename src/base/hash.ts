import { createHash } from 'node:crypto'
import { crc32 as zlibCrc32 } from 'node:zlib'

/** CRC-32 (IEEE 802.3, as in zip) of the bytes, unsigned. About 4 GB/s: zlib's own, not ours. */
export function crc32(bytes: Uint8Array, start = 0): number {
  return zlibCrc32(bytes, start)
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export function sha256Hex(...parts: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

/** FNV-1a over UTF-8 bytes with a final avalanche (Murmur3's), unsigned 32-bit. Recorded in each data directory as "fnv1a-fmix32": never change it. */
export function hash32(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let hash = 0x811c9dc5
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
