import { sha256 } from '#base/hash.js'
import { HASH_BYTES, newerFormat } from '#journal/block-format.js'
import { Damage } from '#journal/bytes.js'

/**
 * What became of the segments of a log, one entry after the other, never changed and never removed: so that what was dropped or fenced stays known, and the
 * chain of block hashes goes on over what is no longer there. An entry as it is stored:
 *
 *   u8[32]  SHA-256 of the entry before, zeros for the first
 *   a ManifestEntry as JSON in UTF-8; hashes are hex
 */
export type ManifestEntry = SealedEntry | DroppedEntry | FencedEntry

/** A segment was rewritten into a sealed file. A later entry with the same first position stands in its place: repair wrote the file anew. */
export interface SealedEntry {
  readonly kind: 'sealed'
  /** Name of the file. */
  readonly segment: string
  readonly firstPosition: number
  /** The first position behind its last. */
  readonly endPosition: number
  /** SHA-256 of the block before its first original block, and of its last one. */
  readonly previousHash: string
  readonly lastHash: string
  /** Of its rows in order of position (rows-hash.ts). */
  readonly rowsHash: string
  /** SHA-256 of the file, and its length. */
  readonly fileHash: string
  readonly bytes: number
  /** Newest `accepted` in it. */
  readonly acceptedMax: number
}

/** Retention took the oldest segment away. */
export interface DroppedEntry {
  readonly kind: 'dropped'
  readonly segment: string
  readonly firstPosition: number
  readonly endPosition: number
}

/** Repair gave a damaged block up: what of it is gone stays known. */
export interface FencedEntry {
  readonly kind: 'fenced'
  readonly segment: string
  /** As BlockEntry.id says, and its lowest position. */
  readonly block: number
  readonly firstPosition: number
  /** The first position behind its highest. */
  readonly endPosition: number
  readonly rowCount: number
  /** Entities whose rows are gone, with the versions where they are known. */
  readonly entities: readonly { readonly entity: string; readonly from?: number; readonly to?: number }[]
  /** Where the rows that are gone stood, when that is not all from `firstPosition` to `endPosition`: first and last of each stretch. */
  readonly positions?: readonly (readonly [number, number])[]
  /** Of a sealed segment: the file that took the place of the damaged one with this entry. */
  readonly replacement?: SealedEntry
}

/** The sealed files in force, dropped ones among them, in order: of several with the same first position the last one. */
export function sealedEntries(entries: readonly ManifestEntry[]): SealedEntry[] {
  const byPosition = new Map<number, SealedEntry>()
  for (const entry of entries) {
    const sealed = entry.kind === 'sealed' ? entry : entry.kind === 'fenced' ? entry.replacement : undefined
    if (sealed !== undefined) byPosition.set(sealed.firstPosition, sealed)
  }
  return [...byPosition.values()].sort((a, b) => a.firstPosition - b.firstPosition)
}

export function encodeManifestEntry(entry: ManifestEntry, previousHash: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([previousHash, Buffer.from(JSON.stringify(entry), 'utf8')]))
}

/** Of an entry as it is stored. */
export function manifestHash(stored: Uint8Array): Uint8Array {
  return sha256(stored)
}

function parse(bytes: Uint8Array, index: number): ManifestEntry {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as ManifestEntry
  } catch {
    throw new Damage(`entry ${index} of the manifest cannot be read`)
  }
}

/** Reads entries as they were stored, in order, and checks that each continues the one before. Throws Damage, or ERR_FORMAT_NEWER. */
export function readManifest(stored: Iterable<Uint8Array>): {
  readonly entries: ManifestEntry[]
  readonly lastHash: Uint8Array<ArrayBufferLike>
} {
  const entries: ManifestEntry[] = []
  let lastHash: Uint8Array = new Uint8Array(HASH_BYTES)
  for (const bytes of stored) {
    if (bytes.length <= HASH_BYTES || Buffer.compare(bytes.subarray(0, HASH_BYTES), lastHash) !== 0)
      throw new Damage(`entry ${entries.length} of the manifest does not continue the one before it`)
    const entry = parse(bytes.subarray(HASH_BYTES), entries.length)
    if (entry.kind !== 'sealed' && entry.kind !== 'dropped' && entry.kind !== 'fenced') throw newerFormat('manifest entry', entries.length)
    entries.push(entry)
    lastHash = manifestHash(bytes)
  }
  return { entries, lastHash }
}
