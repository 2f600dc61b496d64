import { expect, test } from 'vitest'
import { CODEC_SMOKE, describeCodec, measureCodec } from '../../bench/codec.js'

test('the codec benchmark checks what it measures and reports every step', () => {
  const result = measureCodec(CODEC_SMOKE)

  for (const times of [result.numbers, result.mixed]) expect(Object.values(times).every((ns) => ns >= 0 && Number.isFinite(ns))).toBe(true)
  expect(result.references.map(({ name }) => name)).toEqual(['msgpackr', 'json'])
  expect(result.decideAndApplyNs).toBeGreaterThan(0)
  expect(describeCodec(result).split('\n')).toHaveLength(5)
})
