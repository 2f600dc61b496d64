import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { undisturbed } from '../../bench/harness/undisturbed.js'

const MS_PER_TRY = 1000

describe('a measurement that other work can interrupt', () => {
  let nowMs = 0
  beforeEach(() => {
    nowMs = 0
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })

  async function measureUntil(firstThatCounts: number): Promise<number[]> {
    let tries = 0
    const measure = async () => {
      nowMs += MS_PER_TRY
      return ++tries
    }
    return undisturbed('the channel', measure, (measured) => measured >= firstThatCounts)
  }

  test('is made once where it counts at once', async () => {
    expect(await measureUntil(1)).toEqual([1])
  })

  test('is made again until it counts, and tells what came before', async () => {
    expect(await measureUntil(3)).toEqual([1, 2, 3])
  })

  test('gives up after a minute, naming what was measured', async () => {
    await expect(measureUntil(61)).rejects.toMatchObject({
      code: 'ERR_BENCH_DISTURBED',
      message: expect.stringContaining('every measurement of the channel'),
      values: { measurements: 60 },
    })
  })
})
