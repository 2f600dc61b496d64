import { describe, expect, test } from 'vitest'
import type { Config } from '#runtime/config-schema.js'
import { workerSlots, withKeptWorkers } from '#runtime/worker-slots.js'

function configOf(count: number, max: number | null = null): Config {
  return { workers: { count, max } } as Config
}

describe('a plant', () => {
  test.each([
    ['one more worker than it starts with', 2, null, 3],
    ['as many as the table has seats for', 48, null, 48],
    ['as many as it is to have room for', 2, 7, 7],
  ])('has room for %s', (_, count, max, slots) => {
    expect(workerSlots(configOf(count, max).workers)).toBe(slots)
  })

  test('starts with as many workers as it was changed to, until the configuration says something else', () => {
    const kept = { count: 5, configured: 2 }

    expect(withKeptWorkers(configOf(2), kept).workers.count).toBe(5)
    expect(withKeptWorkers(configOf(3), kept).workers.count).toBe(3)
    expect(withKeptWorkers(configOf(2), undefined).workers.count).toBe(2)
  })

  test('does not start with more than it is to have room for by now', () => {
    expect(withKeptWorkers(configOf(2, 3), { count: 5, configured: 2 }).workers.count).toBe(3)
  })
})
