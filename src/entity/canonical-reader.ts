import { MillraceError } from '#base/errors.js'
import { LabelReader } from '#schema/utf8.js'
import { CANONICAL_DEPTH_MAX, TAG } from './canonical.js'

/** Keys and short texts are the same ones again and again, in every state of a type. */
const texts = new LabelReader()

/** Makes the value anew from bytes of `encodeCanonical` (the layout stands there). Throws ERR_CANONICAL_DAMAGED when they are anything else. */
export function decodeCanonical(bytes: Uint8Array): unknown {
  const reader = new CanonicalReader(bytes)
  const value = reader.value(0)
  if (!reader.isAtEnd) throw damaged('there is more behind the value')
  return value
}

class CanonicalReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length
  }

  value(depth: number): unknown {
    if (depth > CANONICAL_DEPTH_MAX) throw damaged('it is nested too deeply')
    const tag = this.#byte()
    switch (tag) {
      case TAG.undefined:
        return undefined
      case TAG.null:
        return null
      case TAG.false:
        return false
      case TAG.true:
        return true
      case TAG.whole: {
        const zigzag = this.#count()
        return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
      }
      case TAG.number:
        return this.#f64()
      case TAG.bigint:
        return this.#bigint()
      case TAG.text:
        return this.#text()
      case TAG.units:
        return this.#units()
      case TAG.date:
        return new Date(this.#f64())
      case TAG.bytes:
        return new Uint8Array(this.#slice(this.#count()))
      case TAG.list: {
        const list: unknown[] = []
        for (let left = this.#length(); left > 0; left--) list.push(this.value(depth + 1))
        return list
      }
      case TAG.object:
        return this.#properties({}, depth)
      case TAG.bare:
        return this.#properties(Object.create(null), depth)
      case TAG.map: {
        const map = new Map()
        for (let left = this.#length(); left > 0; left--) map.set(this.value(depth + 1), this.value(depth + 1))
        return map
      }
      case TAG.set: {
        const set = new Set()
        for (let left = this.#length(); left > 0; left--) set.add(this.value(depth + 1))
        return set
      }
      default:
        throw damaged(`${tag} is no tag`)
    }
  }

  #properties(into: Record<string, unknown>, depth: number): Record<string, unknown> {
    for (let left = this.#length(); left > 0; left--) {
      const key = this.value(depth + 1)
      if (typeof key !== 'string') throw damaged('a key is not text')
      const value = this.value(depth + 1)
      if (key === '__proto__') Object.defineProperty(into, key, { value, writable: true, enumerable: true, configurable: true })
      else into[key] = value
    }
    return into
  }

  #bigint(): bigint {
    const isNegative = this.#byte() === 1
    const magnitude = Buffer.from(this.#slice(this.#count())).reverse()
    const value = BigInt(`0x${magnitude.toString('hex') || '0'}`)
    return isNegative ? -value : value
  }

  #text(): string {
    const { length } = this.#slice(this.#count())
    try {
      return texts.read(this.#bytes, this.#offset - length, length)
    } catch {
      throw damaged('a text is cut off or not UTF-8')
    }
  }

  #units(): string {
    const length = this.#length()
    let text = ''
    for (let left = length; left > 0; left--) text += String.fromCharCode(this.#byte() + this.#byte() * 256)
    return text
  }

  #f64(): number {
    this.#slice(8)
    return this.#view.getFloat64(this.#offset - 8, true)
  }

  /** A count of things that take a byte at least, so that a damaged one cannot ask for more memory than there are bytes. */
  #length(): number {
    const length = this.#count()
    if (length > this.#bytes.length - this.#offset) throw damaged('it ends too early')
    return length
  }

  #count(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
      if (scale > Number.MAX_SAFE_INTEGER) throw damaged('a number is too long')
    }
  }

  #byte(): number {
    if (this.#offset >= this.#bytes.length) throw damaged('it ends too early')
    return this.#bytes[this.#offset++] as number
  }

  #slice(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#offset) throw damaged('it ends too early')
    this.#offset += length
    return this.#bytes.subarray(this.#offset - length, this.#offset)
  }
}

function damaged(what: string): MillraceError {
  return new MillraceError('ERR_CANONICAL_DAMAGED', { fact: `a stored state cannot be read, ${what}`, action: 'operator' })
}
