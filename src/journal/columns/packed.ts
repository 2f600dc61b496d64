import { type ByteReader, ByteWriter, Damage } from '#journal/bytes.js'
import { BinnedReader, BinnedWriter } from './binned.js'
import { BITS_MAX, BitInput, bitsOf, BitWriter, LOAD_BITS } from './bits.js'

/**
 * Packed whole numbers from 0 to 2^53 - 1: what most encodings come down to. A byte says how:
 *
 *   0 same bits  varint lowest, u8 width, 0 to 53; then each number's distance from the lowest in `width` bits, zeros up to a byte
 *   1 binned     binned.ts
 *   2 runs       varint runs, varint bytes; packed in so many bytes: length of each run - 1; then packed: number of each run. Runs have no runs.
 */
const SAME_BITS = 0
const BINNED = 1
const RUNS = 2

/** Bins take three times as long to read as plain bits. */
const BINNED_WORTH = 0.95
/** Runs are that much faster to read than bins that they are taken when a little longer. */
const RUNS_WORTH = 1.1
/** From so many numbers in a run on average they are tried. */
const RUN_MIN = 8

export class PackedWriter {
  readonly #binned = new BinnedWriter()
  readonly #bits = new BitWriter()
  readonly #section = new ByteWriter(256)
  #lengths = new Float64Array(0)
  #firsts = new Float64Array(0)

  /** Estimates the bytes of `total` numbers, of which these `count` are a sample. */
  estimate(values: Float64Array, count: number, total: number): number {
    return count === 0 ? 3 : 1 + this.#binned.estimate(values, count, total)
  }

  /** In the shortest form, with some regard for how long it takes to read. */
  write(values: Float64Array, count: number, out: ByteWriter): void {
    this.#write(values, count, true, out)
  }

  /** Each in the same whole bytes, for a last stage to work on. */
  writeBytes(values: Float64Array, count: number, out: ByteWriter): void {
    const lowest = lowestOf(values, count)
    this.#sameBits(values, count, lowest, Math.min(BITS_MAX, Math.ceil(bitsOf(highestOf(values, count) - lowest) / 8) * 8), out)
  }

  #write(values: Float64Array, count: number, mayRun: boolean, out: ByteWriter): void {
    const lowest = lowestOf(values, count)
    const width = bitsOf(highestOf(values, count) - lowest)
    const sameBytes = 4 + (count * width) / 8
    const start = out.length
    let runs = 1
    for (let index = 1; index < count; index++) runs += values[index] === values[index - 1] ? 0 : 1
    const runBytes = mayRun && width > 0 && runs * RUN_MIN <= count ? this.#runs(values, count, runs, out) : Infinity
    if (width > 0 && runBytes * 4 > sameBytes / 4) {
      const binnedStart = out.length
      out.u8(BINNED)
      this.#binned.write(values, count, out)
      const binnedBytes = out.length - binnedStart
      if (binnedBytes < sameBytes * BINNED_WORTH && binnedBytes * RUNS_WORTH < runBytes) {
        out.bytes.copyWithin(start, binnedStart, out.length)
        out.length = start + binnedBytes
        return
      }
      out.length = binnedStart
    }
    if (runBytes < sameBytes) return
    out.length = start
    this.#sameBits(values, count, lowest, width, out)
  }

  #sameBits(values: Float64Array, count: number, lowest: number, width: number, out: ByteWriter): void {
    out.u8(SAME_BITS)
    out.varint(lowest)
    out.u8(width)
    if (width === 0) return
    const stream = this.#bits.begin(out, count * width)
    for (let index = 0; index < count; index++) stream.write((values[index] as number) - lowest, width)
    stream.end()
  }

  /** Returns how many bytes it wrote. */
  #runs(values: Float64Array, count: number, runs: number, out: ByteWriter): number {
    if (this.#lengths.length < runs) {
      this.#lengths = new Float64Array(2 * runs)
      this.#firsts = new Float64Array(2 * runs)
    }
    let run = 0
    let start = 0
    for (let index = 1; index <= count; index++) {
      if (index < count && values[index] === values[start]) continue
      this.#lengths[run] = index - start - 1
      this.#firsts[run++] = values[start] as number
      start = index
    }
    const first = out.length
    const section = this.#section.clear()
    this.#write(this.#lengths, runs, false, section)
    out.u8(RUNS)
    out.varint(runs)
    out.varint(section.length)
    out.copy(section.bytes, 0, section.length)
    this.#write(this.#firsts, runs, false, out)
    return out.length - first
  }
}

/** Reads what PackedWriter wrote. */
export class PackedReader {
  readonly #binned = new BinnedReader()
  readonly #input = new BitInput()
  #lengths = new Float64Array(0)
  #firsts = new Float64Array(0)

  /** Decodes `count` numbers from `reader` up to its end into `out`, which has room for them. Throws Damage. */
  read(reader: ByteReader, count: number, out: Float64Array): void {
    const form = reader.u8()
    if (form === RUNS) this.#runs(reader, count, out)
    else this.#readForm(form, reader, count, out)
  }

  #readForm(form: number, reader: ByteReader, count: number, out: Float64Array): void {
    if (form === SAME_BITS) this.#sameBits(reader, count, out)
    else if (form === BINNED) this.#binned.read(reader, count, out)
    else throw new Damage('the numbers of a chunk are packed in no known way')
  }

  #sameBits(reader: ByteReader, count: number, out: Float64Array): void {
    const lowest = reader.varint()
    const width = reader.u8()
    if (width > BITS_MAX) throw new Damage('the numbers of a chunk are too wide')
    if (Math.ceil((count * width) / 8) !== reader.left) throw new Damage('a chunk has the wrong length')
    const input = this.#input.load(reader.bytes, reader.at, reader.end)
    const { view } = input
    let at = 0
    if (width === 0) out.fill(lowest, 0, count)
    else if (width <= LOAD_BITS) {
      const mask = (1 << width) - 1
      for (let index = 0; index < count; index++, at += width) out[index] = lowest + ((view.getUint32(at >>> 3, true) >>> (at & 7)) & mask)
    } else for (let index = 0; index < count; index++, at += width) out[index] = lowest + input.read(at, width)
  }

  #runs(reader: ByteReader, count: number, out: Float64Array): void {
    const runs = reader.varint()
    if (runs > count) throw new Damage('a chunk has more runs than values')
    if (this.#lengths.length < runs) {
      this.#lengths = new Float64Array(2 * runs)
      this.#firsts = new Float64Array(2 * runs)
    }
    const lengths = this.#lengths
    const firsts = this.#firsts
    const { end } = reader
    const bytes = reader.varint()
    const middle = reader.skip(bytes) + bytes
    reader.at = middle - bytes
    reader.end = middle
    this.#readForm(reader.u8(), reader, runs, lengths)
    reader.at = middle
    reader.end = end
    this.#readForm(reader.u8(), reader, runs, firsts)
    let done = 0
    for (let run = 0; run < runs; run++) {
      const next = done + (lengths[run] as number) + 1
      if (next > count) throw new Damage('a chunk has the wrong length')
      out.fill(firsts[run] as number, done, next)
      done = next
    }
    if (done !== count) throw new Damage('a chunk has the wrong length')
  }
}

function lowestOf(values: Float64Array, count: number): number {
  if (count === 0) return 0
  let lowest = Infinity
  for (let index = 0; index < count; index++) if ((values[index] as number) < lowest) lowest = values[index] as number
  return lowest
}

function highestOf(values: Float64Array, count: number): number {
  let highest = 0
  for (let index = 0; index < count; index++) if ((values[index] as number) > highest) highest = values[index] as number
  return highest
}
