/** Up to so many UTF-16 units a loop over ASCII text beats the native call (bench/codec.ts). */
const SHORT = 32

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** How many bytes the text takes. It must be well-formed Unicode. */
export function utf8Bytes(text: string): number {
  const length = text.length
  if (length > SHORT) return Buffer.byteLength(text)
  for (let index = 0; index < length; index++) if (text.charCodeAt(index) > 0x7f) return Buffer.byteLength(text)
  return length
}

/** Writes the text at `offset`, where there is room for it, and returns the offset behind it. */
export function writeUtf8(text: string, bytes: Uint8Array, offset: number): number {
  const length = text.length
  if (length > SHORT) return writeLong(text, bytes, offset)
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    if (code > 0x7f) return writeLong(text, bytes, offset)
    bytes[offset + index] = code
  }
  return offset + length
}

/** Throws a TypeError when the bytes are not UTF-8. */
export function readUtf8(bytes: Uint8Array, start: number, length: number): string {
  return length === 0 ? '' : decoder.decode(bytes.subarray(start, start + length))
}

function writeLong(text: string, bytes: Uint8Array, offset: number): number {
  return offset + encoder.encodeInto(text, bytes.subarray(offset)).written
}

const LABEL_SLOTS = 64
const LABEL_BYTES_KEPT = 64

/**
 * Reads labels without making a new string for one seen lately: a direct-mapped table over length and three of the bytes. Besides the
 * time it saves the memory of a million equal strings, and equal labels compare by pointer.
 */
export class LabelReader {
  readonly #bytes: (Uint8Array | undefined)[] = new Array(LABEL_SLOTS).fill(undefined)
  readonly #texts: string[] = new Array(LABEL_SLOTS).fill('')

  /** Throws a TypeError when the bytes are not UTF-8. */
  read(bytes: Uint8Array, start: number, length: number): string {
    if (length === 0) return ''
    const middle = bytes[start + (length >> 1)] as number
    const slot = (length * 7 + (bytes[start] as number) * 5 + middle * 3 + (bytes[start + length - 1] as number)) & (LABEL_SLOTS - 1)
    const known = this.#bytes[slot]
    if (known !== undefined && known.length === length) {
      let index = 0
      while (index < length && known[index] === bytes[start + index]) index++
      if (index === length) return this.#texts[slot] as string
    }
    const text = readUtf8(bytes, start, length)
    if (length <= LABEL_BYTES_KEPT) {
      // Not slice(): that of a Buffer is a view, and the memory below it is reused.
      this.#bytes[slot] = new Uint8Array(bytes.subarray(start, start + length))
      this.#texts[slot] = text
    }
    return text
  }
}
