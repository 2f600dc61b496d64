import { describe, expect, test } from 'vitest'
import { allowedCores, currentCore, pinThread } from '#shm/index.js'
import { codeOf, failureOf } from './failure-of.js'

describe('a pinned thread', () => {
  test('runs on that core only', () => {
    const before = allowedCores()

    for (const core of before) {
      pinThread(core)

      expect(allowedCores()).toEqual([core])
      expect(currentCore()).toBe(core)
    }
  })

  test('cannot be pinned to a core that is not there', () => {
    const failure = failureOf(() => pinThread(1023))

    expect(failure).toMatchObject({ code: 'ERR_CORE_UNAVAILABLE', values: { core: 1023, allowedCores: allowedCores() } })
  })

  test.each([-1, 1.5, Number.NaN, 1024, '0', undefined, null])('cannot be pinned to what is no core: %s', (core) => {
    expect(codeOf(() => pinThread(core as number))).toBe('ERR_ARGUMENT')
  })
})
