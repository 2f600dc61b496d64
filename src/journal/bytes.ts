/** Says that stored bytes are not what their writer wrote. Caught where segment and block are known and turned into ERR_BLOCK_DAMAGED there. */
export class Damage extends Error {}

/** A growing little-endian buffer. `bytes` and `view` are replaced when it grows, so read them again after each write. */
export class ByteWriter {
  bytes: Buffer
  view: DataView
  length = 0

  constructor(capacityBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacityBytes)
    this.view = new DataView(this.bytes.buffer)
  }

  clear(): this {
    this.length = 0
    return this
  }

  /** Makes room for `count` bytes behind `length` and returns where they begin. Does not move `length`. May replace `bytes` and `view`: call it before naming them. */
  reserve(count: number): number {
    if (this.length + count > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + count))
      this.bytes.copy(grown, 0, 0, this.length)
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    return this.length
  }

  /** Unsigned LEB128, up to 2^53. */
  varint(value: number): void {
    let at = this.reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.bytes[at++] = (rest % 0x80) | 0x80
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80)
    }
    this.bytes[at++] = rest
    this.length = at
  }

  u8(value: number): void {
    const at = this.reserve(1)
    this.bytes[at] = value
    this.length += 1
  }

  u16(value: number): void {
    const at = this.reserve(2)
    this.view.setUint16(at, value, true)
    this.length += 2
  }

  u32(value: number): void {
    const at = this.reserve(4)
    this.view.setUint32(at, value, true)
    this.length += 4
  }

  f64(value: number): void {
    const at = this.reserve(8)
    this.view.setFloat64(at, value, true)
    this.length += 8
  }

  /** A position: low word, then high word. */
  u64(value: number): void {
    this.u32(value % 0x100000000)
    this.u32(Math.floor(value / 0x100000000))
  }

  copy(source: Uint8Array, start = 0, end = source.length): void {
    const at = this.reserve(end - start)
    if (end - start > 32) this.bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), at)
    else for (let index = start; index < end; index++) this.bytes[at + index - start] = source[index] as number
    this.length += end - start
  }

  written(): Buffer {
    return this.bytes.subarray(0, this.length)
  }
}

/** Reads what ByteWriter wrote. Every read is checked against `end`; beyond it lies Damage. */
export class ByteReader {
  bytes: Uint8Array
  view: DataView
  at: number
  end: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = start
    this.end = end
    if (end > bytes.length || start > end) throw new Damage('it ends early')
  }

  get left(): number {
    return this.end - this.at
  }

  /** Steps over `count` bytes and returns where they began. */
  skip(count: number): number {
    const start = this.at
    if (count > this.end - start) throw new Damage('it ends early')
    this.at = start + count
    return start
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let index = 0; index < 8; index++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 0x80
    }
    throw new Damage('a number in it is longer than 53 bits')
  }

  u8(): number {
    return this.bytes[this.skip(1)] as number
  }

  u16(): number {
    return this.view.getUint16(this.skip(2), true)
  }

  u32(): number {
    return this.view.getUint32(this.skip(4), true)
  }

  f64(): number {
    return this.view.getFloat64(this.skip(8), true)
  }

  u64(): number {
    const low = this.u32()
    const value = this.u32() * 0x100000000 + low
    if (value > Number.MAX_SAFE_INTEGER) throw new Damage('a position in it is beyond 2^53')
    return value
  }

  slice(count: number): Uint8Array {
    const start = this.skip(count)
    return this.bytes.subarray(start, start + count)
  }
}
