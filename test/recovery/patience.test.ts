import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { type ErrorCode, MillraceError } from '#base/errors.js'
import { isLostCall, tryPatiently } from '#recovery/patience.js'

describe('whoever is patient', () => {
  test('tries until it works, later and later, and not before it makes sense', async () => {
    const { outcome, pauses, readied } = await patiently([
      failure('ERR_TEST', '1'),
      failure('ERR_TEST', '2'),
      failure('ERR_TEST', '3'),
      'done',
    ])

    expect(outcome).toBe('done')
    expect(pauses).toEqual([20, 40, 80])
    expect(readied).toBe(4)
  })

  test('gives up after ten attempts, with the last failure', async () => {
    const { outcome } = await patiently(Array.from({ length: 11 }, (_, index) => failure('ERR_TEST', `${index + 1}`)))

    expect(outcome).toMatchObject({ message: expect.stringContaining('10') })
  })

  test.each(['ERR_PLANT_STOPPING', 'ERR_TEST'] as const)(
    'gives up at once over %s, where no attempt is worthwhile behind it',
    async (code) => {
      const { outcome, pauses } = await patiently([failure(code, 'first'), 'done'], isLostCall)

      expect(outcome).toMatchObject({ code })
      expect(pauses).toEqual([])
    },
  )

  test.each(['ERR_SEAT_EMPTY', 'ERR_PROCESS_GONE', 'ERR_UNKNOWN_CALL'] as const)('calls again after %s', async (code) => {
    expect((await patiently([failure(code, 'first'), 'done'], isLostCall)).outcome).toBe('done')
  })
})

/** What came of attempts that end so, one after the other, without waiting for the pauses between them. */
async function patiently(ends: readonly unknown[], isWorthwhile?: (error: unknown) => boolean) {
  const pauses: number[] = []
  const postponed: unknown[] = []
  let [attempts, readied] = [0, 0]
  const attempt = async () => {
    const end = ends[attempts++]
    if (end instanceof Error) throw end
    return end
  }
  const after = (ms: number, run: () => void) => {
    pauses.push(ms)
    queueMicrotask(run)
    return () => undefined
  }
  const patience = {
    clock: { ...systemClock, after },
    whenReady: async () => void readied++,
    onPostponed: (error: unknown) => postponed.push(error),
    ...(isWorthwhile === undefined ? {} : { isWorthwhile }),
  }
  const outcome: unknown = await tryPatiently(attempt, patience).catch((error: unknown) => error)
  expect(postponed).toEqual(ends.slice(0, pauses.length))
  return { outcome, pauses, readied }
}

function failure(code: ErrorCode, fact: string): Error {
  return new MillraceError(code, { fact, action: 'retry' })
}
