/** Memory for the values of one column, seen as whatever its kind is. Grows, never shrinks; growing loses what was in it and replaces the views. */
export class ColumnBuffer {
  bytes = new Uint8Array(0)
  /** Narrow values, or wide ones as two words, low first: the view that keeps every bit of a NaN. */
  words = new Uint32Array(0)
  signed = new Int32Array(0)
  single = new Float32Array(0)
  wide = new Float64Array(0)

  /** Makes room for `count` values of up to 8 bytes. */
  fit(count: number): this {
    if (this.wide.length >= count) return this
    const buffer = new ArrayBuffer(Math.max(64, 2 ** Math.ceil(Math.log2(count))) * 8)
    this.bytes = new Uint8Array(buffer)
    this.words = new Uint32Array(buffer)
    this.signed = new Int32Array(buffer)
    this.single = new Float32Array(buffer)
    this.wide = new Float64Array(buffer)
    return this
  }
}
