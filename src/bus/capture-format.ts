import { MillraceError } from '#base/errors.js'
import { crc32 } from '#base/hash.js'

/**
 * A capture: what went through a channel, in a file. A header, then chunks one behind the other; everything begins at a multiple of 8 and is
 * little-endian, as is the ring of every machine that Millrace runs on. Whatever ends the writer, the file can be read up to its last whole chunk.
 *
 *   header    0  u8[8]  magic "MRCAPT\r\n"
 *             8  u16    version, 2
 *            10  u16    flags: bit 0, frames carry checksums
 *            12  u32    headerBytes, to the end of the padding behind the name
 *            16  u32    CRC-32 of the header with zeros here
 *            20  u32    capacityBytes of the ring
 *            24  i32    schemaHash of the channel
 *            28  u32    nameBytes
 *            32  f64    start, microseconds since 1970
 *            40  f64    start, milliseconds on the machine's monotonic clock
 *            48  ..     name of the channel, UTF-8, then zeros
 *
 *   chunk     0  u32    kind: 1 frames, 2 gap, 3 made anew, 4 end
 *             4  u32    byteCount of what follows the head of the chunk, a multiple of 8
 *             8  f64    time, microseconds since 1970: when the tap saw it, which is after it was published
 *            16  f64    position in the channel at which the chunk begins; grows by byteCount or by the gap's length, never wraps
 *            24  f64    count: of the frames; of the bytes that a gap misses; of all frames in an end
 *            32  u32    zero
 *            36  u32    CRC-32 of the chunk with zeros here
 *            40  ..     frames: bytes of the ring as they were, whole frames and padding (see frame.ts); made anew: a header as above
 *
 * Positions are those of the channel modulo 2^32. A channel that is made anew starts them over, perhaps with another capacity or schema.
 */
export const CAPTURE_VERSION = 2
export const CAPTURE_HEADER_BYTES = 48
export const CHUNK_HEAD_BYTES = 40
export const CAPTURE_HEADER_BYTES_MAX = 1024

export const CHUNK_FRAMES = 1
export const CHUNK_GAP = 2
export const CHUNK_ANEW = 3
export const CHUNK_END = 4

const MAGIC = new TextEncoder().encode('MRCAPT\r\n')
const CHECKSUMS_FLAG = 1

export interface CaptureHeader {
  readonly channel: string
  readonly capacityBytes: number
  readonly schemaHash: number
  readonly hasChecksums: boolean
  readonly startMicros: number
  readonly startMachineMs: number
}

export interface ChunkHead {
  readonly kind: number
  readonly byteCount: number
  readonly micros: number
  readonly position: number
  readonly count: number
}

export function encodeCaptureHeader(header: CaptureHeader): Uint8Array {
  const name = new TextEncoder().encode(header.channel)
  const bytes = new Uint8Array((CAPTURE_HEADER_BYTES + name.length + 7) & -8)
  const view = new DataView(bytes.buffer)
  bytes.set(MAGIC)
  view.setUint16(8, CAPTURE_VERSION, true)
  view.setUint16(10, header.hasChecksums ? CHECKSUMS_FLAG : 0, true)
  view.setUint32(12, bytes.length, true)
  view.setUint32(20, header.capacityBytes, true)
  view.setInt32(24, header.schemaHash, true)
  view.setUint32(28, name.length, true)
  view.setFloat64(32, header.startMicros, true)
  view.setFloat64(40, header.startMachineMs, true)
  bytes.set(name, CAPTURE_HEADER_BYTES)
  view.setUint32(16, crc32(bytes), true)
  return bytes
}

/** Where the header ends; throws ERR_CAPTURE_FORMAT when the bytes, CAPTURE_HEADER_BYTES of them, begin none. */
export function captureHeaderBytes(bytes: Uint8Array, path: string): number {
  const view = viewOf(bytes)
  if (bytes.length < CAPTURE_HEADER_BYTES || MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw new MillraceError('ERR_CAPTURE_FORMAT', {
      fact: 'the file is not a capture',
      action: 'operator',
      values: { path },
      next: 'name a file that `millrace bus tap` wrote',
    })
  }
  const version = view.getUint16(8, true)
  if (version !== CAPTURE_VERSION) {
    throw new MillraceError('ERR_CAPTURE_FORMAT', {
      fact: 'the capture has another format',
      action: 'operator',
      values: { path, version, known: CAPTURE_VERSION },
      next: 'read it with the version of millrace that wrote it',
    })
  }
  const headerBytes = view.getUint32(12, true)
  if (headerBytes >= CAPTURE_HEADER_BYTES && headerBytes <= CAPTURE_HEADER_BYTES_MAX && headerBytes % 8 === 0) return headerBytes
  throw damagedCapture(path, 0, 'its header is impossible')
}

/** Throws ERR_CAPTURE_FORMAT and ERR_CAPTURE_CORRUPT. */
export function decodeCaptureHeader(bytes: Uint8Array, path: string, offset = 0): CaptureHeader {
  const headerBytes = captureHeaderBytes(bytes, path)
  const view = viewOf(bytes)
  const nameBytes = view.getUint32(28, true)
  const isWhole = headerBytes <= bytes.length && CAPTURE_HEADER_BYTES + nameBytes <= headerBytes
  if (!isWhole || view.getUint32(16, true) !== crcWithout(bytes.subarray(0, headerBytes), 16)) {
    throw damagedCapture(path, offset, 'its header does not match its checksum')
  }
  return {
    channel: new TextDecoder().decode(bytes.subarray(CAPTURE_HEADER_BYTES, CAPTURE_HEADER_BYTES + nameBytes)),
    capacityBytes: view.getUint32(20, true),
    schemaHash: view.getInt32(24, true),
    hasChecksums: (view.getUint16(10, true) & CHECKSUMS_FLAG) !== 0,
    startMicros: view.getFloat64(32, true),
    startMachineMs: view.getFloat64(40, true),
  }
}

/** Writes the head before the chunk's bytes, which are there: `bytes` is the whole chunk. */
export function writeChunkHead(head: ChunkHead, bytes: Uint8Array): void {
  const view = viewOf(bytes)
  view.setUint32(0, head.kind, true)
  view.setUint32(4, head.byteCount, true)
  view.setFloat64(8, head.micros, true)
  view.setFloat64(16, head.position, true)
  view.setFloat64(24, head.count, true)
  view.setUint32(32, 0, true)
  view.setUint32(36, 0, true)
  view.setUint32(36, crc32(bytes), true)
}

export function readChunkHead(bytes: Uint8Array): ChunkHead {
  const view = viewOf(bytes)
  return {
    kind: view.getUint32(0, true),
    byteCount: view.getUint32(4, true),
    micros: view.getFloat64(8, true),
    position: view.getFloat64(16, true),
    count: view.getFloat64(24, true),
  }
}

export function isChunkWhole(bytes: Uint8Array): boolean {
  return viewOf(bytes).getUint32(36, true) === crcWithout(bytes, 36)
}

export function damagedCapture(path: string, offset: number, what: string): MillraceError {
  return new MillraceError('ERR_CAPTURE_CORRUPT', {
    fact: `the capture is damaged, ${what}`,
    action: 'operator',
    values: { path, offset },
    next: 'what lies before that offset is good; capture again, or copy the file again from where it was made',
  })
}

/** With zeros in place of the checksum at `offset`. */
function crcWithout(bytes: Uint8Array, offset: number): number {
  return crc32(bytes.subarray(offset + 4), crc32(ZEROS, crc32(bytes.subarray(0, offset))))
}

const ZEROS = new Uint8Array(4)

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
