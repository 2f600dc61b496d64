import fc from 'fast-check'
import { isSoak, soakSeed } from '../../soak.js'

/**
 * Columns of values as they are and as they should not be. A value is its words: two of a double, low first, one of a narrow value. NaN payloads
 * are words from the start, since a NaN may lose its bits on the way through a variable.
 */
type Words = readonly number[]

/** Runs a property so often: in a soak under the seed of the command line. */
export function runs(count: number): { numRuns: number; seed?: number } {
  return isSoak ? { numRuns: count, seed: soakSeed(1) } : { numRuns: count }
}

const double = new Float64Array(1)
const doubleWords = new Uint32Array(double.buffer)

function wordsOfDouble(value: number): Words {
  double[0] = value
  return [...doubleWords]
}

const wholeNumbers = fc.oneof(
  fc.integer({ min: -100, max: 100 }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 51, -(2 ** 51) - 1, 2 ** 32, 2 ** 31),
  fc.integer({ min: 0, max: 1_000_000 }).map((step) => 1_778_479_200_000_000 + step),
)

export const wholes = wholeNumbers.map(wordsOfDouble)

const nans = fc.tuple(fc.nat(0xffffffff), fc.nat(0xfffff), fc.boolean()).map(([low, high, isNegative]) => {
  const top = (0x7ff00000 | high) >>> 0
  return [low === 0 && high === 0 ? 1 : low, (isNegative ? top | 0x80000000 : top) >>> 0]
})

export const doubles: fc.Arbitrary<Words> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.integer({ min: -99999, max: 99999 }), fc.nat(5)).map(([whole, digits]) => wordsOfDouble(whole / 10 ** digits)),
  },
  // A sum of decimals is some steps beside a decimal.
  { weight: 2, arbitrary: fc.tuple(fc.nat(9999), fc.nat(9999)).map(([a, b]) => wordsOfDouble(a / 100 + b / 1000)) },
  { weight: 2, arbitrary: fc.double().map(wordsOfDouble) },
  { weight: 1, arbitrary: wholes },
  { weight: 1, arbitrary: nans },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        0,
        -0,
        Infinity,
        -Infinity,
        NaN,
        Number.MIN_VALUE,
        -Number.MIN_VALUE,
        2.2250738585072014e-308,
        Number.MAX_VALUE,
        -Number.MAX_VALUE,
      )
      .map(wordsOfDouble),
  },
)

export function narrowWordsOf(kind: 'unsigned' | 'signed'): fc.Arbitrary<Words> {
  const extremes = kind === 'signed' ? [-2147483648, 2147483647, -1, 0] : [0, 1, 4294967295, 2147483648]
  return fc.oneof(fc.nat(9), fc.nat(100_000), fc.nat(0xffffffff), fc.constantFrom(...extremes)).map((value) => [value >>> 0])
}

const single = new Float32Array(1)
const singleWords = new Uint32Array(single.buffer)

export const singlesOf: fc.Arbitrary<Words> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.integer({ min: -9999, max: 9999 }).map((whole) => {
      single[0] = whole / 100
      return [singleWords[0] as number]
    }),
  },
  { weight: 1, arbitrary: fc.nat(0xffffffff).map((word) => [word]) },
  { weight: 1, arbitrary: fc.constantFrom([0], [0x80000000], [0x7f800000], [0xff800000], [1], [0x7fc00001]) },
)

/** Columns of such values: one, all equal, any, few different ones, runs, and slow walks through them. */
export function columnOf(value: fc.Arbitrary<Words>): fc.Arbitrary<Uint32Array> {
  const some = fc.array(value, { minLength: 1, maxLength: 60 })
  const long = fc.integer({ min: 1, max: 700 })
  return fc
    .oneof(
      value.map((one) => [one]),
      fc.tuple(value, long).map(([one, count]) => Array.from({ length: count }, () => one)),
      some,
      fc
        .tuple(some, long, fc.nat(1000))
        .map(([few, count, seed]) => Array.from({ length: count }, (_, at) => few[mixed(at + seed) % few.length] as Words)),
      fc.tuple(some, fc.integer({ min: 1, max: 40 })).map(([few, length]) => few.flatMap((one) => Array.from({ length }, () => one))),
      fc
        .tuple(some, long)
        .map(([few, count]) =>
          Array.from({ length: count }, (_, at) => (at % 11 === 0 ? (few[at % few.length] as Words) : walked(few[0] as Words, at))),
        ),
    )
    .map((values) => Uint32Array.from(values.flat()))
}

/** A value that lies `at` steps behind another one: the next whole numbers, or doubles that are close. */
function walked(words: Words, at: number): Words {
  if (words.length === 1) return [((words[0] as number) + at) >>> 0]
  doubleWords.set(words)
  const value = double[0] as number
  return Math.abs(value) < 2 ** 50 ? wordsOfDouble(value + at) : words
}

function mixed(value: number): number {
  return Math.imul(value ^ (value >>> 3), 0x9e3779b1) >>> 16
}
