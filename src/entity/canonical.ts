import { MillraceError } from '#base/errors.js'
import { isPlainObject } from '#schema/index.js'
import { ByteWriter } from './byte-writer.js'

/**
 * The canonical encoding: one logical value, one byte string, whatever order its properties were made in. Snapshots store it and state
 * hashes are taken over it. A tag byte, then (little-endian; `n` is an unsigned LEB128 number below 2^53, -0 and NaN keep their meaning):
 *
 *   undefined 0   null 1   false 2   true 3
 *   whole     4   zigzag n            a number that is a whole one of at most 2^31 either way, but not -0
 *   number    5   f64                 any other number; NaN always as the same bytes
 *   bigint    6   sign, n, bytes      magnitude, lowest byte first
 *   text      7   n, UTF-8
 *   units     8   n, UTF-16           text that is not well-formed Unicode
 *   date      9   f64                 milliseconds since 1970
 *   bytes    10   n, bytes
 *   list     11   n, values           a hole is an undefined
 *   object   12   n, (text, value)…   sorted by the UTF-16 units of the keys; their order is not part of the value
 *   bare     13   the same            an object without a prototype
 *   map      14   n, (key, value)…    in order of insertion, which is part of the value
 *   set      15   n, values           in order of insertion
 *
 * An object reached twice is encoded twice. Recorded in each snapshot by SNAPSHOT_FORMAT: never change it without counting that up.
 */
export const TAG = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  whole: 4,
  number: 5,
  bigint: 6,
  text: 7,
  units: 8,
  date: 9,
  bytes: 10,
  list: 11,
  object: 12,
  bare: 13,
  map: 14,
  set: 15,
} as const

/** Values nested deeper are refused, as are those that hold themselves. */
export const CANONICAL_DEPTH_MAX = 500

const WHOLE_MAX = 0x7fffffff

/**
 * Throws ERR_STATE_NOT_PLAIN naming the path when the value holds a function, a symbol, an instance of a class (a Buffer is one) or itself.
 */
export function encodeCanonical(value: unknown): Uint8Array {
  const writer = new ByteWriter()
  write(value, writer, new Path())
  return writer.take()
}

function write(value: unknown, to: ByteWriter, path: Path): void {
  switch (typeof value) {
    case 'undefined':
      return to.byte(TAG.undefined)
    case 'boolean':
      return to.byte(value ? TAG.true : TAG.false)
    case 'number':
      return writeNumber(value, to)
    case 'string':
      return writeText(value, to)
    case 'bigint':
      return writeBigint(value, to)
    case 'object':
      return value === null ? to.byte(TAG.null) : writeObject(value, to, path)
    default:
      throw notPlain(path, `a ${typeof value}`)
  }
}

function writeNumber(value: number, to: ByteWriter): void {
  if ((value | 0) === value && value >= -WHOLE_MAX && !Object.is(value, -0)) {
    to.byte(TAG.whole)
    to.count(value < 0 ? -value * 2 - 1 : value * 2)
  } else {
    to.byte(TAG.number)
    to.f64(value)
  }
}

function writeText(value: string, to: ByteWriter): void {
  if (value.isWellFormed()) {
    to.byte(TAG.text)
    to.utf8(value)
  } else {
    to.byte(TAG.units)
    to.count(value.length)
    for (let index = 0; index < value.length; index++) to.u16(value.charCodeAt(index))
  }
}

function writeBigint(value: bigint, to: ByteWriter): void {
  const hex = (value < 0n ? -value : value).toString(16)
  const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').reverse()
  to.byte(TAG.bigint)
  to.byte(value < 0n ? 1 : 0)
  to.count(magnitude.length)
  to.bytes(magnitude)
}

function writeObject(value: object, to: ByteWriter, path: Path): void {
  path.enter(value)
  if (Array.isArray(value)) {
    to.byte(TAG.list)
    to.count(value.length)
    for (let index = 0; index < value.length; index++) write(value[index], to, path.at(index))
  } else if (isPlainObject(value)) {
    writeProperties(value as Record<string, unknown>, to, path)
  } else {
    writeBuiltIn(value, to, path)
  }
  path.leave()
}

function writeProperties(value: Record<string, unknown>, to: ByteWriter, path: Path): void {
  if (Object.getOwnPropertySymbols(value).length > 0) throw notPlain(path, 'an object with a symbol as a key')
  const keys = Object.keys(value).sort()
  to.byte(Object.getPrototypeOf(value) === null ? TAG.bare : TAG.object)
  to.count(keys.length)
  for (const key of keys) {
    writeText(key, to)
    write(value[key], to, path.at(key))
  }
}

function writeBuiltIn(value: object, to: ByteWriter, path: Path): void {
  switch (Object.getPrototypeOf(value)) {
    case Date.prototype:
      to.byte(TAG.date)
      return to.f64((value as Date).getTime())
    case Uint8Array.prototype:
      to.byte(TAG.bytes)
      to.count((value as Uint8Array).length)
      return to.bytes(value as Uint8Array)
    case Map.prototype: {
      to.byte(TAG.map)
      to.count((value as Map<unknown, unknown>).size)
      let index = 0
      for (const [key, one] of value as Map<unknown, unknown>) {
        write(key, to, path.at(`(key ${index++})`))
        write(one, to, path.at(typeof key === 'string' ? key : `(value ${index - 1})`))
      }
      return
    }
    case Set.prototype: {
      to.byte(TAG.set)
      to.count((value as Set<unknown>).size)
      let index = 0
      for (const one of value as Set<unknown>) write(one, to, path.at(`(member ${index++})`))
      return
    }
    default:
      throw notPlain(path, `an instance of ${value.constructor?.name ?? 'an unknown class'}`)
  }
}

/** Where in the value the writer is: objects entered, to find one that holds itself, and the step taken in each. */
class Path {
  readonly #objects: object[] = []
  readonly #steps: (string | number | undefined)[] = []

  enter(object: object): void {
    if (this.#objects.includes(object)) throw notPlain(this, 'an object that holds itself')
    if (this.#objects.length === CANONICAL_DEPTH_MAX) throw notPlain(this, `something nested deeper than ${CANONICAL_DEPTH_MAX}`)
    this.#objects.push(object)
    this.#steps.push(undefined)
  }

  at(step: string | number): this {
    this.#steps[this.#steps.length - 1] = step
    return this
  }

  leave(): void {
    this.#objects.pop()
    this.#steps.pop()
  }

  toString(): string {
    const taken = this.#steps.filter((step) => step !== undefined)
    return `state${taken.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}`
  }
}

function notPlain(path: Path, what: string): MillraceError {
  return new MillraceError('ERR_STATE_NOT_PLAIN', {
    fact: `a state holds ${what}`,
    action: 'operator',
    values: { path: path.toString() },
    next: 'keep plain data only: objects, lists, Map, Set, Date, Uint8Array, text, numbers, bigint, booleans, null, undefined',
  })
}
