import { hash32 } from '#base/hash.js'

export interface ByteString {
  readonly text: string
  readonly bytes: Uint8Array
}

export const NO_STRING: ByteString = { text: '', bytes: new Uint8Array(0) }
const utf8 = new TextDecoder()

/** Strings that come by again and again as bytes in frames (sources, correlations), decoded once. Forgets all when it is full. */
export class ByteStrings {
  readonly #capacity: number
  #strings = new Map<number, ByteString>()

  constructor(capacity = 65_536) {
    this.#capacity = capacity
  }

  get(bytes: Uint8Array, offset: number, length: number): ByteString {
    if (length === 0) return NO_STRING
    const hash = hash32(bytes, offset, offset + length)
    const known = this.#strings.get(hash)
    if (known !== undefined && isSame(known.bytes, bytes, offset, length)) return known
    const own = bytes.slice(offset, offset + length)
    const string = { text: utf8.decode(own), bytes: own }
    if (this.#strings.size >= this.#capacity) this.#strings.clear()
    this.#strings.set(hash, string)
    return string
  }
}

function isSame(expected: Uint8Array, bytes: Uint8Array, offset: number, length: number): boolean {
  if (expected.length !== length) return false
  for (let index = 0; index < length; index++) if (expected[index] !== bytes[offset + index]) return false
  return true
}
