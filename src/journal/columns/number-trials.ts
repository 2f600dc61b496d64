import { ByteWriter } from '#journal/bytes.js'
import {
  ENCODING_CONSTANT,
  ENCODING_DECIMAL,
  ENCODING_DELTA,
  ENCODING_DELTA_OF_DELTA,
  ENCODING_DICTIONARY,
  ENCODING_PACKED,
  ENCODING_RAW,
  ENCODING_RUN_LENGTH,
  ENCODING_XOR,
  type NarrowKind,
  type WideKind,
} from './column-chunk.js'
import { ColumnBuffer } from './column-buffer.js'
import { DecimalWriter } from './decimal.js'
import { ValueDictionary } from './dictionary.js'
import { CODEC_NONE, compress } from './last-stage.js'
import { ORDERS, type Packing, PLAIN, WholeNumberWriter } from './whole-numbers.js'
import { XorWriter } from './xor.js'

/** One chunk's data as it goes to disk. `data` is the trial's until the next one. */
export interface Encoded {
  readonly encoding: number
  readonly codec: number
  readonly data: Uint8Array
  /** Before the last stage. */
  readonly rawBytes: number
}

const ENCODING_OF_ORDER = [ENCODING_PACKED, ENCODING_DELTA, ENCODING_DELTA_OF_DELTA] as const
/** Trials look at runs of so many neighbours, so that differences show. */
const SAMPLE_RUNS = 4
const SAMPLE_RUN_VALUES = 512
const SAMPLE_VALUES = SAMPLE_RUNS * SAMPLE_RUN_VALUES
const DICTIONARY_MAX = 1 << 14
/** Digits are asked of so many values of the sample. */
const DIGITS_VALUES = 128
/** States take three times as long to read as plain bits, and a last stage as long again: each must save as much as this. */
const ENTROPY_WORTH = 0.95
const LAST_STAGE_WORTH = 0.9
const LAST_STAGE_VALUES_MIN = 64

type Writer = (packing: Packing, out: ByteWriter) => boolean

/** A way to encode a chunk with what it would take, by its sample. */
interface Trial {
  readonly encoding: number
  readonly estimate: number
  readonly write: Writer
  /** Whether `packing` makes a difference. */
  readonly isPacked: boolean
}

/** Tries encodings on a sample of a chunk, then encodes with the one that promised to be smallest. */
export class NumberTrials {
  readonly #numbers = new WholeNumberWriter()
  readonly #decimals = new DecimalWriter(this.#numbers)
  readonly #xor = new XorWriter()
  readonly #dictionary = new ValueDictionary()
  readonly #sample = new ColumnBuffer()
  readonly #whole = new ColumnBuffer()
  readonly #different = new ColumnBuffer()
  readonly #ranks = new Uint32Array(DICTIONARY_MAX)
  readonly #best = new ByteWriter(4096)
  readonly #other = new ByteWriter(4096)
  readonly #third = new ByteWriter(4096)

  /** Encodes the first `count` wide values of `staged`. At least one. */
  wide(staged: ColumnBuffer, count: number, kind: WideKind, isTried: boolean): Encoded {
    const { words, wide, bytes } = staged
    let runs = 1
    let isWhole = true
    for (let index = 0; index < count; index++) {
      if (index > 0 && (words[2 * index] !== words[2 * index - 2] || words[2 * index + 1] !== words[2 * index - 1])) runs++
      const value = wide[index] as number
      if (isWhole && !(Number.isSafeInteger(value) && (value !== 0 || words[2 * index + 1] === 0))) isWhole = false
    }
    if (runs === 1) return plain(ENCODING_CONSTANT, bytes.subarray(0, 8))
    const raw = bytes.subarray(0, count * 8)
    const trials: Trial[] = [{ encoding: ENCODING_RAW, estimate: raw.length, isPacked: false, write: (_, out) => copied(raw, out) }]
    trials.push(this.#runLength(words, count, runs, 2))
    if (!isTried) return this.#smallest(trials, count)
    const { wide: sample, words: sampleWords } = this.#sampleOf(staged, count)
    const sampled = Math.min(count, SAMPLE_VALUES)
    if (isWhole) this.#wholeTrials(trials, sample, sampled, wide, count)
    else {
      this.#decimalTrials(trials, sample, sampleWords, sampled, wide, words, count)
      if (kind === 'f64') this.#xorTrial(trials, sampleWords, sampled, words, count)
    }
    this.#dictionaryTrial(trials, words, wide, count, isWhole)
    return this.#smallest(trials, count)
  }

  /** Encodes the first `count` narrow values of `staged`. At least one. */
  narrow(staged: ColumnBuffer, count: number, kind: NarrowKind, isTried: boolean): Encoded {
    const { words, signed, single, bytes } = staged
    let runs = 1
    for (let index = 1; index < count; index++) if (words[index] !== words[index - 1]) runs++
    if (runs === 1) return plain(ENCODING_CONSTANT, bytes.subarray(0, 4))
    const raw = bytes.subarray(0, count * 4)
    const trials: Trial[] = [{ encoding: ENCODING_RAW, estimate: raw.length, isPacked: false, write: (_, out) => copied(raw, out) }]
    trials.push(this.#runLength(words, count, runs, 1))
    if (!isTried) return this.#smallest(trials, count)
    const whole = this.#whole.fit(count)
    const values = kind === 'signed' ? signed : words
    for (let index = 0; index < count; index++) whole.wide[index] = values[index] as number
    const sampled = Math.min(count, SAMPLE_VALUES)
    this.#wholeTrials(trials, this.#sampleOf(whole, count).wide, sampled, whole.wide, count)
    if (kind === 'f32') this.#singleTrials(trials, single, count)
    return this.#smallest(trials, count)
  }

  #sampleOf(values: ColumnBuffer, count: number): ColumnBuffer {
    if (count <= SAMPLE_VALUES) return values
    const sample = this.#sample.fit(SAMPLE_VALUES)
    const step = (count - SAMPLE_RUN_VALUES) / (SAMPLE_RUNS - 1)
    for (let run = 0; run < SAMPLE_RUNS; run++) {
      const start = Math.floor(run * step)
      sample.bytes.set(values.bytes.subarray(8 * start, 8 * (start + SAMPLE_RUN_VALUES)), 8 * run * SAMPLE_RUN_VALUES)
    }
    return sample
  }

  #wholeTrials(trials: Trial[], sample: Float64Array, sampled: number, values: Float64Array, count: number): void {
    for (const order of ORDERS)
      trials.push({
        encoding: ENCODING_OF_ORDER[order],
        estimate: this.#numbers.estimate(sample, sampled, count, order),
        isPacked: true,
        write: (packing, out) => this.#numbers.write(values, count, order, packing, out),
      })
  }

  #decimalTrials(
    trials: Trial[],
    sample: Float64Array,
    sampleWords: Uint32Array,
    sampled: number,
    values: Float64Array,
    words: Uint32Array,
    count: number,
  ): void {
    for (const exponent of this.#exponents(sample, sampled)) {
      this.#decimals.prepare(sample, sampleWords, sampled, exponent)
      for (const order of ORDERS) {
        const estimate = this.#decimals.estimate(sampled, count, order)
        const write: Writer = (packing, out) => {
          this.#decimals.prepare(values, words, count, exponent)
          return this.#decimals.write(words, count, order, packing, out)
        }
        trials.push({ encoding: ENCODING_DECIMAL, estimate, isPacked: true, write })
      }
    }
  }

  /** How many digits to try: what nearly all values of the sample get by with, and what most do. */
  #exponents(sample: Float64Array, sampled: number): number[] {
    const digits: number[] = []
    const step = Math.max(1, sampled / DIGITS_VALUES)
    for (let index = 0; index < sampled; index += step) {
      const own = this.#decimals.digitsOf(sample[Math.floor(index)] as number)
      if (own >= 0) digits.push(own)
    }
    if (digits.length * step < sampled / 4) return []
    digits.sort((a, b) => a - b)
    const at = (part: number): number => digits[Math.floor((digits.length - 1) * part)] as number
    return [...new Set([at(1), at(0.98), at(0.8)])]
  }

  #singleTrials(trials: Trial[], single: Float32Array, count: number): void {
    const doubles = this.#different.fit(count)
    const digits: number[] = []
    for (let index = 0; index < count; index += Math.max(1, count / DIGITS_VALUES)) {
      const value = single[Math.floor(index)] as number
      if (value === value) digits.push(this.#digitsOfSingle(value))
    }
    digits.sort((a, b) => a - b)
    const power = 10 ** Math.max(0, digits[Math.floor((digits.length - 1) * 0.98)] ?? 0)
    for (let index = 0; index < count; index++) {
      const value = single[index] as number
      // A NaN would lose its bits on the way through a double.
      if (value !== value) return
      const near = Math.round(value * power) / power
      doubles.wide[index] = Math.fround(near) === value && near !== 0 ? near : value
    }
    const sampled = Math.min(count, SAMPLE_VALUES)
    const { wide, words } = this.#sampleOf(doubles, count)
    this.#decimalTrials(trials, wide, words, sampled, doubles.wide, doubles.words, count)
  }

  #digitsOfSingle(value: number): number {
    for (let exponent = 0; exponent < 12; exponent++) {
      const power = 10 ** exponent
      if (Math.fround(Math.round(value * power) / power) === value) return exponent
    }
    return 0
  }

  #xorTrial(trials: Trial[], sampleWords: Uint32Array, sampled: number, words: Uint32Array, count: number): void {
    const out = this.#other.clear()
    this.#xor.write(sampleWords, sampled, out)
    const write: Writer = (_, into) => {
      this.#xor.write(words, count, into)
      return true
    }
    trials.push({ encoding: ENCODING_XOR, estimate: (out.length * count) / sampled, isPacked: false, write })
  }

  /** Values in ascending order, so that indexes are near where values are. */
  #dictionaryTrial(trials: Trial[], words: Uint32Array, values: Float64Array, count: number, isWhole: boolean): void {
    const dictionary = this.#dictionary
    if (!dictionary.fill(words, count, Math.min(DICTIONARY_MAX, count >> 2))) return
    const { count: differentCount, numbers } = dictionary
    const order = Array.from({ length: differentCount }, (_, number) => number)
    const known = new Float64Array(dictionary.words.buffer, 0, differentCount)
    order.sort((a, b) => (known[a] as number) - (known[b] as number) || a - b)
    const ranks = this.#ranks
    for (const [rank, number] of order.entries()) ranks[number] = rank
    const indexes = this.#whole.fit(count).wide
    for (let index = 0; index < count; index++) indexes[index] = ranks[numbers[index] as number] as number
    const sorted = this.#different.fit(differentCount)
    for (const [rank, number] of order.entries()) {
      sorted.words[2 * rank] = dictionary.words[2 * number] as number
      sorted.words[2 * rank + 1] = dictionary.words[2 * number + 1] as number
    }
    const nested = this.#nested(sorted, differentCount, isWhole)
    const write: Writer = (packing, out) => {
      out.varint(differentCount)
      out.u8(nested.encoding)
      out.varint(nested.bytes.length)
      out.copy(nested.bytes)
      return this.#numbers.write(indexes, count, PLAIN, packing, out)
    }
    const sampled = Math.min(count, SAMPLE_VALUES)
    const sample = this.#sampleOf(this.#whole, count).wide
    const estimate = nested.bytes.length + this.#numbers.estimate(sample, sampled, count, PLAIN)
    trials.push({ encoding: ENCODING_DICTIONARY, estimate, isPacked: true, write })
  }

  #nested(values: ColumnBuffer, count: number, isWhole: boolean): { encoding: number; bytes: Uint8Array } {
    const trials: Trial[] = []
    const raw = values.bytes.subarray(0, count * 8)
    trials.push({ encoding: ENCODING_RAW, estimate: raw.length, isPacked: false, write: (_, out) => copied(raw, out) })
    const sampled = Math.min(count, SAMPLE_VALUES)
    const { wide, words } = this.#sampleOf(values, count)
    if (isWhole) this.#wholeTrials(trials, wide, sampled, values.wide, count)
    else this.#decimalTrials(trials, wide, words, sampled, values.wide, values.words, count)
    trials.sort((a, b) => a.estimate - b.estimate)
    const best = trials.find(({ write }) => write('entropy', this.#third.clear())) as Trial
    return { encoding: best.encoding, bytes: new Uint8Array(this.#third.written()) }
  }

  #runLength(words: Uint32Array, count: number, runs: number, wordsPerValue: 1 | 2): Trial {
    const isLast = (index: number): boolean => {
      if (index + 1 === count) return true
      const at = index * wordsPerValue
      return words[at] !== words[at + wordsPerValue] || (wordsPerValue === 2 && words[at + 1] !== words[at + 3])
    }
    const write: Writer = (_, out) => {
      out.varint(runs)
      let length = 0
      for (let index = 0; index < count; index++) {
        length++
        if (!isLast(index)) continue
        out.varint(length)
        length = 0
      }
      for (let index = 0; index < count; index++) {
        if (!isLast(index)) continue
        for (let word = 0; word < wordsPerValue; word++) out.u32(words[index * wordsPerValue + word] as number)
      }
      return true
    }
    return { encoding: ENCODING_RUN_LENGTH, estimate: runs * (4 * wordsPerValue + 1.5), isPacked: false, write }
  }

  /** Encodes with the two most promising ones, and keeps the smaller. */
  #smallest(trials: readonly Trial[], count: number): Encoded {
    const promising = trials.filter(({ estimate }) => estimate < Infinity).sort((a, b) => a.estimate - b.estimate)
    let best: Encoded | undefined
    for (const trial of promising.slice(0, 3)) {
      const encoded = this.#encode(trial, count)
      if (encoded === undefined || (best !== undefined && encoded.data.length >= best.data.length)) continue
      this.#best.clear()
      this.#best.copy(encoded.data)
      best = { ...encoded, data: this.#best.written() }
    }
    return best as Encoded
  }

  #encode(trial: Trial, count: number): Encoded | undefined {
    const out = this.#other.clear()
    if (!trial.write('entropy', out)) return undefined
    let best = plain(trial.encoding, out.written())
    const third = this.#third.clear()
    if (trial.isPacked && trial.write('bits', third) && out.length > third.length * ENTROPY_WORTH)
      best = plain(trial.encoding, new Uint8Array(third.written()))
    if (count < LAST_STAGE_VALUES_MIN) return best
    let source = best.data
    if (trial.isPacked) {
      third.clear()
      trial.write('bytes', third)
      source = third.written()
    }
    const compressed = compress(source, best.data.length * LAST_STAGE_WORTH, false)
    if (compressed === undefined) return best
    return { encoding: trial.encoding, codec: compressed.codec, data: compressed.bytes, rawBytes: source.length }
  }
}

function plain(encoding: number, data: Uint8Array): Encoded {
  return { encoding, codec: CODEC_NONE, data, rawBytes: data.length }
}

function copied(bytes: Uint8Array, out: ByteWriter): true {
  out.copy(bytes)
  return true
}
