import { describe, expect, test } from 'vitest'
import { ByteWriter } from '#journal/bytes.js'
import { ChunkChooser } from '#journal/columns/chunk-chooser.js'
import { ENCODING_CONSTANT, ENCODING_RAW } from '#journal/columns/chunk-entry.js'
import { entriesOf } from './chunks.js'

describe('a chunk chooser given byte strings', () => {
  test('stores one that all share once', () => {
    const { directory, data } = variable(['OVERHEAT', 'OVERHEAT', 'OVERHEAT'])

    expect(entriesOf(directory, data).map(({ column, encoding, bytes }) => [column, encoding, bytes])).toEqual([
      [11, ENCODING_CONSTANT, 4],
      [12, ENCODING_CONSTANT, 8],
    ])
  })

  test('stores different ones one behind the other', () => {
    const { directory, data } = variable(['a', 'bc', ''])

    const [, bytes] = entriesOf(directory, data)
    expect(bytes?.encoding).toBe(ENCODING_RAW)
    expect(data.written().subarray(bytes?.offset).toString()).toBe('abc')
  })
})

function variable(values: readonly string[]): { directory: ByteWriter; data: ByteWriter } {
  const directory = new ByteWriter(64)
  const data = new ByteWriter(64)
  const starts = new Uint32Array(values.length + 1)
  for (const [index, value] of values.entries()) starts[index + 1] = (starts[index] as number) + value.length
  new ChunkChooser(directory, data).variableChunk(11, values.length, starts, Buffer.from(values.join('')))
  return { directory, data }
}
