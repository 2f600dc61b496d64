const FIRST_BYTES = 256

/** Bytes that grow as they are written. Little-endian. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #end = 0

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#end++] = value
  }

  u16(value: number): void {
    this.#reserve(2)
    this.#end = this.#bytes.writeUInt16LE(value, this.#end)
  }

  /** NaN is written as one of its many patterns, always the same. */
  f64(value: number): void {
    this.#reserve(8)
    this.#end = this.#bytes.writeDoubleLE(Number.isNaN(value) ? Number.NaN : value, this.#end)
  }

  /** An unsigned LEB128 number below 2^53. */
  count(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }

  /** Well-formed text, its length in bytes before it. */
  utf8(text: string): void {
    const length = Buffer.byteLength(text)
    this.count(length)
    this.#reserve(length)
    this.#end += this.#bytes.write(text, this.#end, 'utf8')
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#end)
    this.#end += value.length
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#end))
  }

  #reserve(count: number): void {
    if (this.#end + count <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + count))
    this.#bytes.copy(grown, 0, 0, this.#end)
    this.#bytes = grown
  }
}
