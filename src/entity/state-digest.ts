import { crc32 } from '#base/hash.js'

/** What was looked at since `digestCost` was asked for last: values, and pieces of text and bytes. */
let cost = 0
let isPlain = true

/**
 * A 32-bit number that is the same for states that are equal, whatever order their properties were made in, and another one for others but for a chance of 1 in 2^32: a
 * cheap stand-in for the hash of their canonical encodings within one run. Undefined for what is no plain data, which encodeCanonical then tells why.
 */
export function digestState(state: unknown): number | undefined {
  isPlain = true
  const digest = digestValue(state, 0, 0)
  return isPlain ? digest >>> 0 : undefined
}

/** Of all states so far and one more. Of two histories that differ once it stays different as long as no other difference makes up for it. */
export function chainDigests(before: number, next: number): number {
  return mix(before, next) >>> 0
}

/** How much the digests cost that were taken since the last call, in values of a few nanoseconds each. */
export function takeDigestCost(): number {
  const taken = cost
  cost = 0
  return taken
}

const DEPTH_MAX = 500
const BYTES_PER_COST = 16
const { prototype: dates } = Date
const number = new Float64Array(1)
const words = new Int32Array(number.buffer)
const keyDigests = new Map<string, number>()
const KEYS_MAX = 10_000

/** One seed for each kind of value, so that none is taken for another. */
const UNDEFINED = 0x11
const NULL = 0x22
const FALSE = 0x33
const TRUE = 0x44
const NUMBER = 0x55
const BIGINT = 0x66
const TEXT = 0x77
const LIST = 0x88
const OBJECT = 0x99
const BARE = 0xaa
const MAP = 0xbb
const SET = 0xcc
const DATE = 0xdd
const BYTES = 0xee

function digestValue(value: unknown, seed: number, depth: number): number {
  cost++
  switch (typeof value) {
    case 'number':
      return digestNumber(value, mix(seed, NUMBER))
    case 'string':
      return digestText(value, mix(seed, TEXT))
    case 'boolean':
      return mix(seed, value ? TRUE : FALSE)
    case 'undefined':
      return mix(seed, UNDEFINED)
    case 'bigint':
      return digestText(value.toString(36), mix(seed, BIGINT))
    case 'object':
      return value === null ? mix(seed, NULL) : digestObject(value, seed, depth)
    default:
      isPlain = false
      return 0
  }
}

function digestObject(value: object, seed: number, depth: number): number {
  // An object that holds itself is nested for ever.
  if (depth > DEPTH_MAX) isPlain = false
  if (!isPlain) return 0
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype) return digestProperties(value, mix(seed, OBJECT), depth)
  if (prototype === Array.prototype) {
    const list = value as readonly unknown[]
    let digest = mix(mix(seed, LIST), list.length)
    for (let index = 0; index < list.length; index++) digest = digestValue(list[index], digest, depth + 1)
    return digest
  }
  switch (prototype) {
    case null:
      return digestProperties(value, mix(seed, BARE), depth)
    case Map.prototype: {
      let digest = mix(mix(seed, MAP), (value as Map<unknown, unknown>).size)
      for (const [key, one] of value as Map<unknown, unknown>) digest = digestValue(one, digestValue(key, digest, depth + 1), depth + 1)
      return digest
    }
    case Set.prototype: {
      let digest = mix(mix(seed, SET), (value as Set<unknown>).size)
      for (const one of value as Set<unknown>) digest = digestValue(one, digest, depth + 1)
      return digest
    }
    case dates:
      return digestNumber((value as Date).getTime(), mix(seed, DATE))
    case Uint8Array.prototype:
      cost += (value as Uint8Array).length / BYTES_PER_COST
      return mix(mix(seed, BYTES), crc32(value as Uint8Array))
    default:
      isPlain = false
      return 0
  }
}

/** A sum, so that it does not matter in which order they come. */
function digestProperties(value: object, seed: number, depth: number): number {
  let sum = 0
  let count = 0
  for (const key of Object.keys(value)) {
    count++
    sum = (sum + finish(digestValue((value as Record<string, unknown>)[key], digestKey(key), depth + 1))) | 0
  }
  if (Object.getOwnPropertySymbols(value).length > 0) isPlain = false
  return mix(mix(seed, count), sum)
}

function digestKey(key: string): number {
  const known = keyDigests.get(key)
  if (known !== undefined) return known
  if (keyDigests.size >= KEYS_MAX) keyDigests.clear()
  const digest = digestText(key, TEXT)
  keyDigests.set(key, digest)
  return digest
}

function digestNumber(value: number, seed: number): number {
  number[0] = Number.isNaN(value) ? Number.NaN : value
  return mix(mix(seed, words[0] as number), words[1] as number)
}

function digestText(value: string, seed: number): number {
  cost += value.length / BYTES_PER_COST
  let digest = mix(seed, value.length)
  for (let index = 0; index < value.length; index++) digest = mix(digest, value.charCodeAt(index))
  return digest
}

/** One round of Austin Appleby's MurmurHash3. */
function mix(digest: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e2d51)
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593) ^ digest
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** Its finalizer: what is summed up must not be related. */
function finish(digest: number): number {
  let mixed = digest ^ (digest >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
