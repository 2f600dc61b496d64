import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RecordSplitter, type RawRecord } from '#ingest/record-splitter.js'

const layout = { delimiter: ',', quote: '"', gzip: 'auto', header: false, decimal: '.', encoding: 'utf-8' } as const

function split(chunks: readonly Buffer[], recordBytesMax = 64): RawRecord[] {
  const splitter = new RecordSplitter({ layout, recordBytesMax, offset: 0, line: 1, columnCount: 2 })
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.end()]
}

const piece = fc.constantFrom('a', 'b,c', '"', '""', '"d,e"', ',', '\n', '\n', '\r\n', 'é', '€', '\ufeff', 'x'.repeat(40))
const text = fc
  .array(
    fc.oneof(
      piece.map((one) => Buffer.from(one)),
      fc.constant(Buffer.from([0xc3])),
    ),
    { maxLength: 60 },
  )
  .map((pieces) => Buffer.concat(pieces))

describe('bytes cut anywhere', () => {
  test('give the same records as in one piece', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(200), { maxLength: 8 }), (bytes, cuts) => {
        const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length]
        const chunks = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge))

        // A record that is too long may be told by more or fewer bytes of its beginning; nothing else may differ.
        expect(split(chunks).map(essence)).toEqual(split([bytes]).map(essence))
      }),
      { numRuns: 3000 },
    )
  })
})

describe('any bytes at all', () => {
  test('end up in records whose offsets and lines only grow, to the end of the file', () => {
    fc.assert(
      fc.property(text, (bytes) => {
        const records = split([bytes])

        records.reduce(
          (before, record) => {
            expect(record.end).toBeGreaterThan(before.end)
            expect(record.line).toBeGreaterThanOrEqual(before.line + before.lines)
            return record
          },
          { end: 0, line: 1, lines: 0 },
        )
        const lines = bytes.toString('latin1').split('\n').length - 1
        expect(records.reduce((sum, record) => sum + record.lines, 0)).toBeLessThanOrEqual(lines)
        expect(bytes.subarray(records.at(-1)?.end ?? 0).toString('latin1')).toMatch(/^[\r\n]*$/)
      }),
      { numRuns: 2000 },
    )
  })
})

function essence(record: RawRecord): unknown {
  const { text: raw, ...rest } = record
  return record.problem === undefined ? record : { ...rest, raw: raw.slice(0, 10) }
}
