import { assert } from '#base/assert.js'
import { ByteReader } from '#journal/bytes.js'
import { readHeader } from '#journal/block-format.js'
import { decodeNarrow, decodeWide } from '#journal/columns/chunk-decoder.js'
import type { ChunkEntry } from '#journal/columns/chunk-entry.js'
import { ColumnBuffer } from '#journal/columns/column-buffer.js'
import type { Journal } from '#journal/journal.js'
import { PART_PRESENCE, PART_VALUES, PARTS, RowGroup } from '#journal/row-group.js'
import { isVariable } from '#schema/index.js'
import { median } from './samples.js'

/** How fast chunks of numbers are decoded that have been encoded in the same way, in values per second of processor time. */
export interface DecodeSpeed {
  readonly encoding: string
  readonly chunks: number
  readonly valuesPerChunk: number
  readonly valuesPerSecond: number
}

interface Sample {
  readonly chunk: ChunkEntry
  readonly block: ByteReader
  readonly count: number
  readonly isWide: boolean
}

const NAMES = ['raw', 'constant', 'run length', 'offset', 'dictionary', 'delta', 'delta of delta', 'decimal', 'XOR', 'msgpack', 'packed']
const CODECS = ['', ' + deflate', ' + brotli']
/** Chunks of a kind that are measured. */
const CHUNKS_MAX = 24
const ROUNDS = 5

/** Collects chunks of fields from sealed logs, then measures each kind. */
export class DecodeSpeeds {
  readonly #samples = new Map<string, Sample[]>()
  readonly #column = new ColumnBuffer()

  async collect(journal: Journal): Promise<void> {
    const group = new RowGroup()
    for await (const block of journal.blocks({ from: 0 })) {
      const bytes = new Uint8Array(block)
      for (const one of readHeader(bytes).groups)
        for (const { typeNumber, rowCount, fieldCount, chunks } of group.open(bytes, one).sections) {
          const fields = journal.eventTypes.find(({ number }) => number === typeNumber)?.fields ?? []
          for (let field = 0; field < fieldCount; field++) {
            const { kind } = fields[field] as (typeof fields)[number]
            const chunk = chunks[field * PARTS + PART_VALUES]
            if (chunk === undefined || chunks[field * PARTS + PART_PRESENCE] !== undefined || isVariable(kind)) continue
            const isWide = kind === 'f64' || kind === 'i64' || kind === 'time'
            this.#add({ chunk, block: new ByteReader(bytes), count: rowCount, isWide })
          }
        }
    }
  }

  #add(sample: Sample): void {
    const { encoding, codec } = sample.chunk
    const name = `${NAMES[encoding] ?? encoding}${CODECS[codec] ?? ''}`
    const own = this.#samples.get(name) ?? []
    this.#samples.set(name, own)
    if (own.length < CHUNKS_MAX) own.push(sample)
    else {
      // Long ones tell more: what a chunk takes besides its values counts less.
      const shortest = own.reduce((least, { count }, index) => (count < (own[least] as Sample).count ? index : least), 0)
      if ((own[shortest] as Sample).count < sample.count) own[shortest] = sample
    }
  }

  /** Each kind with the median of rounds; `millisEach` is how long one round takes at least. */
  measure(millisEach: number): DecodeSpeed[] {
    return [...this.#samples]
      .map(([encoding, samples]) => {
        const values = samples.reduce((sum, { count }) => sum + count, 0)
        const rates = Array.from({ length: ROUNDS }, () => this.#round(samples, values, millisEach))
        return {
          encoding,
          chunks: samples.length,
          valuesPerChunk: Math.round(values / samples.length),
          valuesPerSecond: Math.round(median(rates)),
        }
      })
      .sort((a, b) => b.valuesPerSecond - a.valuesPerSecond)
  }

  #round(samples: readonly Sample[], values: number, millisEach: number): number {
    const before = process.cpuUsage()
    let micros = 0
    let decoded = 0
    do {
      for (const { chunk, block, count, isWide } of samples) {
        if (isWide) decodeWide(chunk, block, count, this.#column)
        else decodeNarrow(chunk, block, count, this.#column)
      }
      decoded += values
      const { user, system } = process.cpuUsage(before)
      micros = user + system
    } while (micros < millisEach * 1000)
    assert(decoded > 0, 'something was decoded')
    return (decoded / micros) * 1e6
  }
}
