import type { ByteWriter } from '#journal/bytes.js'
import { ByteChunks } from './byte-chunks.js'
import type { NarrowKind, WideKind } from './chunk-encoder.js'
import { ENCODING_CONSTANT, type ENCODING_RAW, writeEntry, ZONE_MAP_VALUES_MIN } from './chunk-entry.js'
import { ColumnBuffer } from './column-buffer.js'
import { CODEC_NONE } from './last-stage.js'
import { type Encoded, NumberTrials } from './number-trials.js'
import type { ZoneMap } from './zone-map.js'

/** Chunks of fewer values stay as ChunkEncoder writes them: the header of anything else is longer than what it saves. */
const TRIAL_VALUES_MIN = 8

/**
 * Encodes columns of a group like ChunkEncoder, with the same calls, but takes its time: for the clustered blocks of sealed segments, each
 * chunk in the encoding that makes it smallest. Values are staged by the caller as 32-bit words in `staged` from index 0. Single-threaded
 * and synchronous; nothing of it depends on anything but the values.
 */
export class ChunkChooser {
  readonly directory: ByteWriter
  readonly data: ByteWriter
  /** Entries written since the caller set it to 0. */
  count = 0
  readonly staged = new ColumnBuffer()
  readonly #trials = new NumberTrials()
  readonly #byteChunks = new ByteChunks()

  /** Entries go to `directory`, data to `data`. */
  constructor(directory: ByteWriter, data: ByteWriter) {
    this.directory = directory
    this.data = data
  }

  /** Encodes the first `count` staged wide values. */
  wideChunk(column: number, count: number, kind: WideKind, hasZoneMap: boolean): void {
    const zone = hasZoneMap && count >= ZONE_MAP_VALUES_MIN ? zoneOfWide(this.staged.wide, count) : undefined
    this.#enter(column, zone, this.#trials.wide(this.staged, count, kind, count >= TRIAL_VALUES_MIN))
  }

  /** Encodes the first `count` staged narrow values. */
  narrowChunk(column: number, count: number, kind: NarrowKind, hasZoneMap: boolean): void {
    const { words, signed, single } = this.staged
    const values = kind === 'unsigned' ? words : kind === 'signed' ? signed : single
    const zone = hasZoneMap && count >= ZONE_MAP_VALUES_MIN ? zoneOfNarrow(values, count) : undefined
    this.#enter(column, zone, this.#trials.narrow(this.staged, count, kind, count >= TRIAL_VALUES_MIN))
  }

  /** Enters a byte column whose bytes the caller has put behind the data since it was `start` long: presence bits, names of sources. */
  byteChunk(column: number, encoding: typeof ENCODING_RAW | typeof ENCODING_CONSTANT, start: number): void {
    const bytes = this.data.bytes.subarray(start, this.data.length)
    const { codec, data } = this.#byteChunks.lastStage(bytes)
    const rawBytes = bytes.length
    if (codec !== CODEC_NONE) {
      this.data.length = start
      this.data.copy(data)
    }
    this.count++
    writeEntry(this.directory, { column, encoding, zone: undefined, bytes: data.length, codec, rawBytes })
  }

  /**
   * Encodes `count` byte strings, value i from `starts[i]` to `starts[i + 1]` of `bytes`, as two chunks: `column` (lengths, or what stands for
   * them) and `column + 1` (bytes). Overwrites `staged`. At least one value.
   */
  variableChunk(column: number, count: number, starts: Uint32Array, bytes: Uint8Array): void {
    const { words } = this.staged.fit(count)
    const encoded = this.#byteChunks.encode(count, starts, bytes, words)
    this.narrowChunk(column, count, 'unsigned', false)
    this.#enter(column + 1, undefined, encoded)
  }

  #enter(column: number, zone: ZoneMap | undefined, encoded: Encoded): void {
    const { encoding, codec, data, rawBytes } = encoded
    this.count++
    this.data.copy(data)
    writeEntry(this.directory, {
      ...{ column, encoding, bytes: data.length, codec, rawBytes },
      zone: encoding === ENCODING_CONSTANT ? undefined : zone,
    })
  }
}

/** Apart from the one for narrow values, so that each sees few kinds of arrays. */
function zoneOfWide(values: Float64Array, count: number): ZoneMap {
  let min = Infinity
  let max = -Infinity
  let numbers = 0
  for (let index = 0; index < count; index++) {
    const value = values[index] as number
    // NaN alone differs from itself.
    if (value === value) numbers++
    if (value < min) min = value
    if (value > max) max = value
  }
  return { min, max, count: numbers }
}

function zoneOfNarrow(values: ArrayLike<number>, count: number): ZoneMap {
  let min = Infinity
  let max = -Infinity
  let numbers = 0
  for (let index = 0; index < count; index++) {
    const value = values[index] as number
    // NaN alone differs from itself.
    if (value === value) numbers++
    if (value < min) min = value
    if (value > max) max = value
  }
  return { min, max, count: numbers }
}
