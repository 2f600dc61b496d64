import { type ByteReader, type ByteWriter, Damage } from '#journal/bytes.js'
import { BitInput, BitWriter } from './bits.js'

/**
 * Doubles that have much in common with the one before them, as Gorilla has it (Pelkonen and others, VLDB 2015). Bits, lowest first:
 *
 *   64 bits of the first value; then per value, of its 64 bits XOR those of the value before:
 *     0                     nothing differs
 *     1 0 BITS              what differs lies in the window of the last one that had a window of its own: these bits of it
 *     1 1 LEADING LENGTH    6 bits: zeros above the window; 6 bits: bits in it - 1; then its bits
 *
 * and zeros up to a byte.
 */
export class XorWriter {
  readonly #bits = new BitWriter()

  /** Writes `count` values, given as words: of each the low one first. At least one. */
  write(words: Uint32Array, count: number, out: ByteWriter): void {
    const bits = this.#bits.begin(out, count * (2 + 12 + 64))
    writeWindow(bits, words[0] as number, words[1] as number, 0, 64)
    let windowLeading = 65
    let windowTrailing = 65
    for (let index = 1; index < count; index++) {
      const low = ((words[2 * index] as number) ^ (words[2 * index - 2] as number)) >>> 0
      const high = ((words[2 * index + 1] as number) ^ (words[2 * index - 1] as number)) >>> 0
      if (low === 0 && high === 0) {
        bits.write(0, 1)
        continue
      }
      const leading = high === 0 ? 32 + Math.clz32(low) : Math.clz32(high)
      const trailing = low === 0 ? 32 + trailingZeros(high) : trailingZeros(low)
      const isInside = leading >= windowLeading && trailing >= windowTrailing
      // A window of its own takes 12 bits more.
      if (isInside && leading + trailing < windowLeading + windowTrailing + 12) bits.write(1, 2)
      else {
        bits.write(3, 2)
        bits.write(leading, 6)
        bits.write(63 - leading - trailing, 6)
        windowLeading = leading
        windowTrailing = trailing
      }
      writeWindow(bits, low, high, windowTrailing, 64 - windowLeading - windowTrailing)
    }
    bits.end()
  }
}

export class XorReader {
  readonly #input = new BitInput()

  /** Decodes `count` values from `reader` up to its end, as words. Throws Damage. */
  read(reader: ByteReader, count: number, words: Uint32Array): void {
    const input = this.#input.load(reader.bytes, reader.at, reader.end)
    if (count === 0) throw new Damage('a chunk has the wrong length')
    if (input.count < 64) throw new Damage('a chunk has the wrong length')
    let low = input.view.getUint32(0, true)
    let high = input.view.getUint32(4, true)
    words[0] = low
    words[1] = high
    let at = 64
    let trailing = 0
    let length = 64
    for (let index = 1; index < count; index++) {
      if (at >= input.count) throw new Damage('a chunk has the wrong length')
      const kind = input.read(at, 14)
      if ((kind & 1) === 0) at++
      else {
        at += 2
        if ((kind & 2) !== 0) {
          const leading = (kind >>> 2) & 63
          length = (kind >>> 8) + 1
          at += 12
          trailing = 64 - leading - length
          if (trailing < 0) throw new Damage('a window of a chunk is too wide')
        }
        if (at + length > input.count) throw new Damage('a chunk has the wrong length')
        // The window lies in the low word, in the high one, or across.
        const lowBits = Math.max(0, Math.min(length, 32 - trailing))
        if (lowBits > 0) low ^= input.read(at, lowBits) << trailing
        if (lowBits < length) high ^= input.read(at + lowBits, length - lowBits) << Math.max(0, trailing - 32)
        at += length
      }
      words[2 * index] = low
      words[2 * index + 1] = high
    }
    if ((at + 7) >>> 3 !== input.count >>> 3) throw new Damage('a chunk has the wrong length')
  }
}

/** The `length` bits above the lowest `trailing` ones. */
function writeWindow(bits: BitWriter, low: number, high: number, trailing: number, length: number): void {
  const lowBits = Math.max(0, Math.min(length, 32 - trailing))
  if (lowBits > 0) bits.write(masked(low >>> trailing, lowBits), lowBits)
  if (lowBits < length) bits.write(masked(high >>> Math.max(0, trailing - 32), length - lowBits), length - lowBits)
}

function masked(word: number, width: number): number {
  return width === 32 ? word : word & ((1 << width) - 1)
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word)
}
