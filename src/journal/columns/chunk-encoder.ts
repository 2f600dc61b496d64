import type { ByteWriter } from '#journal/bytes.js'
import { ENCODING_CONSTANT, ENCODING_OFFSET, ENCODING_RAW, ENCODING_RUN_LENGTH, writeEntry, ZONE_MAP_VALUES_MIN } from './chunk-entry.js'
import { ColumnBuffer } from './column-buffer.js'
import { CODEC_NONE } from './last-stage.js'

/** Integer columns may be stored as distances; `signed` and `unsigned` say how the 32 bits of a narrow value are meant. */
export type WideKind = 'f64' | 'whole'
export type NarrowKind = 'unsigned' | 'signed' | 'f32'

/**
 * Encodes columns of a group: entries go to `directory`, data to `data`. Values are staged by the caller as 32-bit words, so that every bit
 * of a NaN survives, in `staged` from index 0.
 */
export class ChunkEncoder {
  readonly directory: ByteWriter
  readonly data: ByteWriter
  /** Entries written since `section`. */
  count = 0
  readonly staged = new ColumnBuffer()

  constructor(directory: ByteWriter, data: ByteWriter) {
    this.directory = directory
    this.data = data
  }

  /** Encodes the first `count` staged wide values. */
  wideChunk(column: number, count: number, kind: WideKind, hasZoneMap: boolean): void {
    const { data } = this
    const { words, wide, bytes: stagedBytes } = this.staged
    let runs = 1
    let min = Infinity
    let max = -Infinity
    let numbers = 0
    let isWhole = kind === 'whole'
    for (let index = 0; index < count; index++) {
      const value = wide[index] as number
      if (index > 0 && (words[2 * index] !== words[2 * index - 2] || words[2 * index + 1] !== words[2 * index - 1])) runs++
      // NaN alone differs from itself.
      if (value === value) numbers++
      if (value < min) min = value
      if (value > max) max = value
      if (isWhole && (value !== Math.floor(value) || (value === 0 && words[2 * index + 1] !== 0))) isWhole = false
    }
    const start = data.length
    const rawBytes = count * 8
    const width = isWhole && Number.isSafeInteger(min) && Number.isSafeInteger(max) ? offsetWidth(max - min) : 0
    const offsetBytes = width === 0 ? Infinity : 8 + count * width
    let encoding = ENCODING_RAW
    if (runs === 1) encoding = ENCODING_CONSTANT
    else if (runs * 10 + 2 < Math.min(rawBytes, offsetBytes)) encoding = ENCODING_RUN_LENGTH
    else if (offsetBytes < rawBytes) encoding = ENCODING_OFFSET

    if (encoding === ENCODING_RAW) data.copy(stagedBytes, 0, rawBytes)
    else if (encoding === ENCODING_CONSTANT) data.copy(stagedBytes, 0, 8)
    else if (encoding === ENCODING_OFFSET) {
      data.f64(min)
      let at = data.reserve(count * width)
      const { view, bytes } = data
      for (let index = 0; index < count; index++, at += width) {
        const distance = (wide[index] as number) - min
        if (width === 1) bytes[at] = distance
        else if (width === 2) view.setUint16(at, distance, true)
        else view.setUint32(at, distance, true)
      }
      data.length = at
    } else this.#runs(count, runs, 2)
    const zoned = hasZoneMap && encoding !== ENCODING_CONSTANT && count >= ZONE_MAP_VALUES_MIN
    this.#entry(column, encoding, data.length - start, zoned, min, max, numbers)
  }

  /** Encodes the first `count` staged narrow values. */
  narrowChunk(column: number, count: number, kind: NarrowKind, hasZoneMap: boolean): void {
    const { data } = this
    const { words, bytes: stagedBytes } = this.staged
    const values = kind === 'unsigned' ? words : kind === 'signed' ? this.staged.signed : this.staged.single
    let runs = 1
    let min = Infinity
    let max = -Infinity
    let numbers = count
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      if (index > 0 && words[index] !== words[index - 1]) runs++
      if (value < min) min = value
      if (value > max) max = value
      // NaN alone differs from itself.
      if (value !== value) numbers--
    }
    const start = data.length
    const rawBytes = count * 4
    const width = kind === 'f32' ? 4 : offsetWidth(max - min)
    const offsetBytes = width === 4 ? Infinity : 4 + count * width
    let encoding = ENCODING_RAW
    if (runs === 1) encoding = ENCODING_CONSTANT
    else if (runs * 6 + 2 < Math.min(rawBytes, offsetBytes)) encoding = ENCODING_RUN_LENGTH
    else if (offsetBytes < rawBytes) encoding = ENCODING_OFFSET

    if (encoding === ENCODING_RAW) data.copy(stagedBytes, 0, rawBytes)
    else if (encoding === ENCODING_CONSTANT) data.copy(stagedBytes, 0, 4)
    else if (encoding === ENCODING_OFFSET) {
      data.u32(min >>> 0)
      let at = data.reserve(count * width)
      const { view, bytes } = data
      for (let index = 0; index < count; index++, at += width) {
        const distance = (values[index] as number) - min
        if (width === 1) bytes[at] = distance
        else view.setUint16(at, distance, true)
      }
      data.length = at
    } else this.#runs(count, runs, 1)
    const zoned = hasZoneMap && encoding !== ENCODING_CONSTANT && count >= ZONE_MAP_VALUES_MIN
    this.#entry(column, encoding, data.length - start, zoned, min, max, numbers)
  }

  /** Enters a byte column whose bytes the caller has put behind `data` since it was `start` long. */
  byteChunk(column: number, encoding: typeof ENCODING_RAW | typeof ENCODING_CONSTANT, start: number): void {
    this.#entry(column, encoding, this.data.length - start, false, 0, 0, 0)
  }

  #runs(count: number, runs: number, wordsPerValue: 1 | 2): void {
    const { data } = this
    const { words } = this.staged
    data.varint(runs)
    let length = 0
    for (let index = 0; index < count; index++) {
      length++
      if (index + 1 === count || !this.#isSame(index, wordsPerValue)) {
        data.varint(length)
        length = 0
      }
    }
    for (let index = 0; index < count; index++) {
      if (index + 1 < count && this.#isSame(index, wordsPerValue)) continue
      for (let word = 0; word < wordsPerValue; word++) data.u32(words[index * wordsPerValue + word] as number)
    }
  }

  #isSame(index: number, wordsPerValue: 1 | 2): boolean {
    const { words } = this.staged
    const at = index * wordsPerValue
    return words[at] === words[at + wordsPerValue] && (wordsPerValue === 1 || words[at + 1] === words[at + 3])
  }

  #entry(column: number, encoding: number, bytes: number, hasZoneMap: boolean, min: number, max: number, numbers: number): void {
    this.count++
    const zone = hasZoneMap ? { min, max, count: numbers } : undefined
    writeEntry(this.directory, { column, encoding, bytes, zone, codec: CODEC_NONE, rawBytes: bytes })
  }
}

/** Bytes that hold every distance up to `range`, 0 when none of 1, 2 and 4 do. */
function offsetWidth(range: number): 0 | 1 | 2 | 4 {
  if (range < 0x100) return 1
  if (range < 0x10000) return 2
  return range < 0x100000000 ? 4 : 0
}
