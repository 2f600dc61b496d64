import { describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { ByteWriter } from '#journal/bytes.js'
import { ChunkChooser } from '#journal/columns/chunk-chooser.js'
import { bitsOf, Reader, readEntry } from './format-chunks.js'

const ROWS = 1500

/** What columns may be like. Each is to lead the chooser to another encoding. */
const COLUMNS: Readonly<Record<string, (prng: Prng) => Float64Array>> = {
  noise: (prng) => Float64Array.from({ length: ROWS }, () => (prng.next() - 0.5) * 1e300),
  'one value': () => new Float64Array(ROWS).fill(21.5),
  'odd values': () => Float64Array.from({ length: ROWS }, (_, index) => [Number.NaN, -0, Infinity, 5e-324, 1.5][index % 5] as number),
  counter: (prng) => wander(() => 1000 + prng.below(40)),
  'steady counter': (prng) => wander((index) => index * 3 + prng.below(2)),
  decimals: (prng) => Float64Array.from({ length: ROWS }, () => Math.round(prng.next() * 1e5) / 1000),
  'decimals with gaps': (prng) =>
    Float64Array.from({ length: ROWS }, (_, index) =>
      index % 97 === 0 ? Number.NaN : index % 31 === 0 ? 0.1 * 3 : prng.below(5000) / 100,
    ),
  'slow drift': (prng) => {
    let value = 1000 / 3
    return Float64Array.from({ length: ROWS }, () => (value += (prng.next() - 0.5) * 1e-3))
  },
  'values that stay': (prng) => {
    let value = 0
    return Float64Array.from({ length: ROWS }, () => (prng.below(2) === 0 ? value : (value = prng.next())))
  },
  'few doubles': (prng) => Float64Array.from({ length: ROWS }, () => Math.sqrt(2 + prng.below(5))),
  'small numbers': (prng) => Float64Array.from({ length: ROWS }, () => Math.floor(prng.next() ** 4 * 300)),
  'long runs': (prng) => {
    let value = 0
    return Float64Array.from({ length: ROWS }, () => (prng.below(60) === 0 ? (value = prng.below(1e6)) : value))
  },
}

function wander(step: (index: number) => number): Float64Array {
  let value = 1.7e15
  return Float64Array.from({ length: ROWS }, (_, index) => (value += step(index)))
}

describe('a chunk read by the page about the format alone', () => {
  const seen = new Set<number>()

  test.each(Object.keys(COLUMNS))('has the values that were written: %s', (name) => {
    const values = (COLUMNS[name] as (prng: Prng) => Float64Array)(new Prng(name))
    const bits = new BigUint64Array(values.buffer)
    for (const count of [1, 7, 100, ROWS]) {
      const [directory, data] = [new ByteWriter(64), new ByteWriter(64)]
      const chunks = new ChunkChooser(directory, data)
      chunks.staged.fit(count).wide.set(values.subarray(0, count))
      chunks.staged.words.set(new Uint32Array(values.buffer, 0, 2 * count))
      chunks.wideChunk(1, count, 'f64', true)

      const entry = readEntry(new Reader(new Uint8Array(directory.written())))
      seen.add(entry.encoding)

      expect(bitsOf(new Reader(new Uint8Array(data.written())), entry, count, 'wide')).toEqual([...bits.subarray(0, count)])
    }
  })

  test.each(['single', 'unsigned', 'signed'] as const)('has the values of a narrow column: %s', (kind) => {
    const prng = new Prng(kind)
    const single = Float32Array.from({ length: ROWS }, () => Math.fround(prng.below(3000) / 10))
    const words =
      kind === 'single'
        ? new Uint32Array(single.buffer)
        : Uint32Array.from({ length: ROWS }, () => (prng.below(900) - (kind === 'signed' ? 450 : 0)) >>> 0)
    const [directory, data] = [new ByteWriter(64), new ByteWriter(64)]
    const chunks = new ChunkChooser(directory, data)
    chunks.staged.fit(ROWS).words.set(words)
    chunks.narrowChunk(1, ROWS, kind === 'single' ? 'f32' : kind, true)

    const entry = readEntry(new Reader(new Uint8Array(directory.written())))
    seen.add(entry.encoding)

    const found = bitsOf(new Reader(new Uint8Array(data.written())), entry, ROWS, kind === 'single' ? 'single' : 'narrow')
    expect(found.map(Number)).toEqual([...words])
  })

  test('is of every encoding that sealing chooses', () => {
    expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 10])
  })
})
