import { ByteWriter } from '#journal/bytes.js'
import type { NarrowKind, WideKind } from './chunk-encoder.js'
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
} from './chunk-entry.js'
import { ColumnBuffer } from './column-buffer.js'
import { DecimalWriter } from './decimal.js'
import { SortedDictionary } from './dictionary.js'
import { CODEC_NONE, compress } from './last-stage.js'
import { Repeats } from './repeats.js'
import { Sampler } from './sampler.js'
import { countRuns, runLengthBytes, writeRuns } from './run-length.js'
import { DELTA, DELTA_OF_DELTA, type Order, type Packing, PLAIN, WholeNumberWriter } from './whole-numbers.js'
import { XorWriter } from './xor.js'

/** One chunk's data as it goes to disk. `data` is the trial's until the next one. */
export interface Encoded {
  readonly encoding: number
  readonly codec: number
  readonly data: Uint8Array
  /** Before the last stage. */
  readonly rawBytes: number
}

/** A way to encode the chunk at hand, with the bytes that it would take by the sample. */
interface Trial {
  readonly encoding: number
  readonly estimate: number
  readonly order: Order
  /** Of decimals. */
  readonly exponent: number
}

const ENCODING_OF_ORDER = [ENCODING_PACKED, ENCODING_DELTA, ENCODING_DELTA_OF_DELTA] as const
const DICTIONARY_MAX = 1 << 14
/** What a last stage must save to be worth undoing it. */
const LAST_STAGE_WORTH = 0.9
/** A chunk that is this short already, in all or per value, is not worth a last stage. */
const LAST_STAGE_BYTES_MIN = 64
const LAST_STAGE_VALUES_PER_BYTE = 48
const RAW_SAMPLE_BYTES = 4096
const RAW_WORTH = 0.8
/** A dictionary is tried when this part of a sample, or less, is different. */
const DIFFERENT_PART = 0.85

/** Tries encodings on a sample of a chunk, then encodes with the one that promises to be smallest. */
export class NumberTrials {
  readonly #numbers = new WholeNumberWriter()
  readonly #decimals = new DecimalWriter(this.#numbers)
  readonly #xor = new XorWriter()
  readonly #dictionary = new SortedDictionary()
  readonly #sampler = new Sampler()
  readonly #repeats = new Repeats()
  readonly #indexSampler = new Sampler()
  readonly #whole = new ColumnBuffer()
  readonly #out = new ByteWriter(4096)
  readonly #other = new ByteWriter(4096)
  readonly #nested = new ByteWriter(4096)
  #nestedEncoding = 0

  /** Encodes the first `count` wide values of `staged`. At least one. Without `isTried` in a way that is known to be cheap. */
  wide(staged: ColumnBuffer, count: number, kind: WideKind, isTried: boolean): Encoded {
    const { words, bytes } = staged
    const runs = countRuns(words, count, 2)
    if (runs === 1) return plain(ENCODING_CONSTANT, bytes.subarray(0, 8))
    const trials = [trial(ENCODING_RAW, 8 * count), trial(ENCODING_RUN_LENGTH, runLengthBytes(runs, 2))]
    if (!isTried) return this.#smallest(trials, staged, count, 2)
    const sample = this.#sampler.take(staged, count)
    const { count: sampled } = this.#sampler
    const isWhole = isAllWhole(staged, count)
    if (isWhole) this.#wholeTrials(trials, sample.wide, sampled, count)
    else {
      this.#decimalTrials(trials, sample, sampled, count)
      if (kind === 'f64' && leastOf(trials) > 5 * count) this.#xorTrial(trials, sample.words, sampled, count)
    }
    this.#dictionaryTrial(trials, sample.words, sampled, words, count, isWhole)
    return this.#smallest(trials, staged, count, 2)
  }

  /** Encodes the first `count` narrow values of `staged`. At least one. Without `isTried` in a way that is known to be cheap. */
  narrow(staged: ColumnBuffer, count: number, kind: NarrowKind, isTried: boolean): Encoded {
    const { words, signed, bytes } = staged
    const runs = countRuns(words, count, 1)
    if (runs === 1) return plain(ENCODING_CONSTANT, bytes.subarray(0, 4))
    const trials = [trial(ENCODING_RAW, 4 * count), trial(ENCODING_RUN_LENGTH, runLengthBytes(runs, 1))]
    if (!isTried) return this.#smallest(trials, staged, count, 1)
    const whole = this.#whole.fit(count)
    if (kind === 'f32' && this.#singles(staged.single, count)) {
      this.#decimalTrials(trials, this.#sampler.take(whole, count), this.#sampler.count, count)
      if (leastOf(trials) < 3 * count) return this.#smallest(trials, staged, count, 1, whole)
    }
    const values = kind === 'signed' ? signed : words
    for (let index = 0; index < count; index++) whole.wide[index] = values[index] as number
    const numbersOnly = trials.filter(({ encoding }) => encoding !== ENCODING_DECIMAL)
    this.#wholeTrials(numbersOnly, this.#sampler.take(whole, count).wide, this.#sampler.count, count)
    return this.#smallest(numbersOnly, staged, count, 1, whole)
  }

  #wholeTrials(trials: Trial[], sample: Float64Array, sampled: number, count: number): void {
    const of = (order: Order): number => {
      const estimate = this.#numbers.estimate(sample, sampled, count, order)
      trials.push(trial(ENCODING_OF_ORDER[order], estimate, order))
      return estimate
    }
    // Second differences are wilder than first ones, unless first ones are calmer than values.
    if (of(PLAIN) > of(DELTA)) of(DELTA_OF_DELTA)
  }

  #decimalTrials(trials: Trial[], sample: ColumnBuffer, sampled: number, count: number): void {
    let best: Order = PLAIN
    for (const [rank, exponent] of this.#decimals.exponentsOf(sample.wide, sampled).entries()) {
      this.#decimals.prepare(sample.wide, sample.words, sampled, exponent)
      const of = (order: Order): number => {
        const estimate = this.#decimals.estimate(sampled, count, order)
        trials.push(trial(ENCODING_DECIMAL, estimate, order, exponent))
        return estimate
      }
      if (rank > 0) of(best)
      else {
        const isCalm = of(PLAIN) > of(DELTA)
        if (isCalm) of(DELTA_OF_DELTA)
        best = isCalm ? DELTA : PLAIN
      }
    }
  }

  /** Puts doubles that round to the singles into #whole, short decimal ones where there are any. False when a NaN would lose its bits on the way. */
  #singles(single: Float32Array, count: number): boolean {
    const { wide } = this.#whole
    const power = this.#decimals.powerOfSingles(single, count)
    for (let index = 0; index < count; index++) {
      const value = single[index] as number
      if (value !== value) return false
      const near = Math.round(value * power) / power
      wide[index] = Math.fround(near) === value && near !== 0 ? near : value
    }
    return true
  }

  #xorTrial(trials: Trial[], sampleWords: Uint32Array, sampled: number, count: number): void {
    const out = this.#other.clear()
    this.#xor.write(sampleWords, sampled, out)
    trials.push(trial(ENCODING_XOR, (out.length * count) / sampled))
  }

  #dictionaryTrial(trials: Trial[], sampleWords: Uint32Array, sampled: number, words: Uint32Array, count: number, isWhole: boolean): void {
    const dictionary = this.#dictionary
    if (!dictionary.fill(sampleWords, sampled, Math.floor(sampled * DIFFERENT_PART))) return
    if (!dictionary.fill(words, count, Math.min(DICTIONARY_MAX, count >> 2))) return
    const { count: differentCount, values } = dictionary
    const trialsOfValues = [trial(ENCODING_RAW, 8 * differentCount)]
    const sampler = this.#indexSampler
    const sample = sampler.take(values, differentCount)
    if (isWhole) this.#wholeTrials(trialsOfValues, sample.wide, sampler.count, differentCount)
    else this.#decimalTrials(trialsOfValues, sample, sampler.count, differentCount)
    for (const candidate of trialsOfValues.sort(byEstimate)) {
      this.#nestedEncoding = candidate.encoding
      if (this.#write(candidate, values, differentCount, 2, 'short', this.#nested.clear())) break
    }
    const estimate = this.#nested.length + this.#numbers.estimate(sampler.take(dictionary.indexes, count).wide, sampler.count, count, PLAIN)
    trials.push(trial(ENCODING_DICTIONARY, estimate))
  }

  /** Encodes with the most promising one that can be. `whole`: the values as doubles, if `staged` has narrow ones. */
  #smallest(trials: Trial[], staged: ColumnBuffer, count: number, wordsPerValue: 1 | 2, whole = staged): Encoded {
    for (const candidate of trials.sort(byEstimate)) {
      const out = this.#out.clear()
      const values = candidate.encoding === ENCODING_RAW || candidate.encoding === ENCODING_RUN_LENGTH ? staged : whole
      if (this.#write(candidate, values, count, wordsPerValue, 'short', out))
        return this.#finish(candidate, values, count, wordsPerValue, out)
    }
    throw new Error('raw values can always be written')
  }

  #write(candidate: Trial, values: ColumnBuffer, count: number, wordsPerValue: 1 | 2, packing: Packing, out: ByteWriter): boolean {
    const { words, wide, bytes } = values
    switch (candidate.encoding) {
      case ENCODING_RAW:
        out.copy(bytes, 0, 4 * wordsPerValue * count)
        return true
      case ENCODING_RUN_LENGTH:
        writeRuns(words, count, wordsPerValue, out)
        return true
      case ENCODING_XOR:
        this.#xor.write(words, count, out)
        return true
      case ENCODING_DECIMAL:
        this.#decimals.prepare(wide, words, count, candidate.exponent)
        return this.#decimals.write(words, count, candidate.order, packing, out)
      case ENCODING_DICTIONARY:
        out.varint(this.#dictionary.count)
        out.u8(this.#nestedEncoding)
        out.varint(this.#nested.length)
        out.copy(this.#nested.bytes, 0, this.#nested.length)
        return this.#numbers.write(this.#dictionary.indexes.wide, count, PLAIN, packing, out)
      default:
        return this.#numbers.write(wide, count, candidate.order, packing, out)
    }
  }

  /** Takes a last stage behind whole bytes where that is worth it. */
  #finish(candidate: Trial, values: ColumnBuffer, count: number, wordsPerValue: 1 | 2, out: ByteWriter): Encoded {
    const { encoding } = candidate
    const isPacked = encoding !== ENCODING_RAW && encoding !== ENCODING_RUN_LENGTH && encoding !== ENCODING_XOR
    const best = plain(encoding, out.written())
    if (!this.#isPromising(candidate, values, count, isPacked, best.data.length)) return best
    let source = best.data
    if (isPacked) {
      const other = this.#other.clear()
      this.#write(candidate, values, count, wordsPerValue, 'bytes', other)
      source = other.written()
    }
    const compressed = compress(source, best.data.length * LAST_STAGE_WORTH, false)
    return compressed === undefined ? best : { encoding, codec: compressed.codec, data: compressed.bytes, rawBytes: source.length }
  }

  /** May a last stage bring the chunk below `bytes`? */
  #isPromising(candidate: Trial, values: ColumnBuffer, count: number, isPacked: boolean, bytes: number): boolean {
    if (bytes < LAST_STAGE_BYTES_MIN || bytes * LAST_STAGE_VALUES_PER_BYTE < count) return false
    if (candidate.encoding === ENCODING_XOR) return false
    if (candidate.encoding === ENCODING_RAW) return this.#isRawPromising(values.bytes, bytes)
    if (!isPacked) return true
    const { wide } = candidate.encoding === ENCODING_DICTIONARY ? this.#dictionary.indexes : values
    return this.#repeats.areFrequent(wide, count, candidate.order, (8 * bytes) / count)
  }

  /** Raw values are read forty times as fast as a last stage is undone: it must save much. */
  #isRawPromising(raw: Uint8Array, bytes: number): boolean {
    if (bytes <= 2 * RAW_SAMPLE_BYTES) return true
    const start = ((bytes - RAW_SAMPLE_BYTES) >> 4) << 3
    return compress(raw.subarray(start, start + RAW_SAMPLE_BYTES), RAW_SAMPLE_BYTES * RAW_WORTH, false) !== undefined
  }
}

function trial(encoding: number, estimate: number, order: Order = PLAIN, exponent = 0): Trial {
  return { encoding, estimate, order, exponent }
}

function byEstimate(a: Trial, b: Trial): number {
  return a.estimate - b.estimate
}

function leastOf(trials: readonly Trial[]): number {
  return trials.reduce((least, { estimate }) => Math.min(least, estimate), Infinity)
}

function plain(encoding: number, data: Uint8Array): Encoded {
  return { encoding, codec: CODEC_NONE, data, rawBytes: data.length }
}

function isAllWhole(values: ColumnBuffer, count: number): boolean {
  const { wide, words } = values
  for (let index = 0; index < count; index++) {
    const value = wide[index] as number
    // -0 has the highest bit and nothing else.
    if (!(Number.isSafeInteger(value) && (value !== 0 || words[2 * index + 1] === 0))) return false
  }
  return true
}
