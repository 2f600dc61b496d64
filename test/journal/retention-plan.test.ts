import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type LogReader, planRetention, type RetainedSegment } from '#journal/retention-plan.js'

/** Segments of 100 rows and 10 bytes, the newest row of each accepted at 100, 200, 300 … */
function segments(count: number): RetainedSegment[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `${index * 100}.segment`,
    firstPosition: index * 100,
    endPosition: index * 100 + 100,
    bytes: 10,
    acceptedMax: (index + 1) * 100,
  }))
}

const NOW = 1000

describe('a log without a limit', () => {
  test('keeps everything for ever', () => {
    expect(planRetention(segments(5), [], { heldBytesMax: 0 }, Number.MAX_SAFE_INTEGER)).toEqual({ action: 'keep' })
  })
})

describe('a log whose oldest segment is too old', () => {
  const policy = { ageMicrosMax: 850, heldBytesMax: 15 }

  test('drops it when nobody needs it', () => {
    const [oldest] = segments(3)

    const plan = planRetention(segments(3), [{ name: 'mes', position: 100 }], policy, NOW)

    expect(plan).toEqual({ action: 'drop', segment: oldest, because: 'age' })
  })

  test('keeps it while one row of it is young enough', () => {
    expect(planRetention(segments(3), [], { ...policy, ageMicrosMax: 900 }, NOW)).toEqual({ action: 'keep' })
  })

  test('holds it for a reader that has not had its last row', () => {
    const reader = { name: 'mes', position: 99 }

    const plan = planRetention(segments(3), [{ name: 'other', position: 250 }, reader], policy, NOW)

    expect(plan).toMatchObject({ action: 'hold', readers: [reader], heldBytes: 10 })
  })

  test('fences the reader once it holds more than it may', () => {
    const reader = { name: 'mes', position: 0 }

    const plan = planRetention(segments(3), [reader], { ...policy, ageMicrosMax: 750 }, NOW)

    expect(plan).toMatchObject({ action: 'fence', readers: [reader], heldBytes: 20 })
  })
})

describe('a log that takes too many bytes', () => {
  test('drops the oldest, whatever its age', () => {
    const plan = planRetention(segments(3), [], { bytesMax: 29, heldBytesMax: 0 }, 0)

    expect(plan).toMatchObject({ action: 'drop', segment: { name: '0.segment' }, because: 'size' })
  })

  test('keeps what just fits', () => {
    expect(planRetention(segments(3), [], { bytesMax: 30, heldBytesMax: 0 }, 0)).toEqual({ action: 'keep' })
  })
})

describe('any log, readers and policy', () => {
  test('never lose a row that a reader has not had and that no fence was asked for', () => {
    const reader = fc.record({ name: fc.string(), position: fc.integer({ min: 0, max: 1000 }) })
    const limit = fc.option(fc.integer({ min: 0, max: 1200 }), { nil: undefined })
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 }),
        fc.array(reader),
        limit,
        limit,
        fc.integer({ min: 0, max: 120 }),
        (count, all, age, bytes, held) => {
          const policy = {
            heldBytesMax: held,
            ...(age === undefined ? {} : { ageMicrosMax: age }),
            ...(bytes === undefined ? {} : { bytesMax: bytes }),
          }
          let left = segments(count)
          let readers: LogReader[] = all
          const fenced: LogReader[] = []
          for (;;) {
            const plan = planRetention(left, readers, policy, NOW)
            if (plan.action === 'keep') break
            if (plan.action === 'hold') {
              expect(plan.heldBytes).toBeLessThanOrEqual(held)
              break
            }
            if (plan.action === 'fence') {
              fenced.push(...plan.readers)
              readers = readers.filter((one) => !plan.readers.includes(one))
              continue
            }
            expect(plan.segment).toBe(left[0])
            left = left.slice(1)
          }
          const firstPosition = left[0]?.firstPosition ?? count * 100
          for (const { position } of readers)
            expect(Math.min(position, count * 100)).toBeGreaterThanOrEqual(Math.min(firstPosition, position))
          for (const one of readers) if (one.position < count * 100) expect(one.position).toBeGreaterThanOrEqual(firstPosition)
          if (fenced.length > 0) expect(Math.min(...fenced.map(({ position }) => position))).toBeLessThan(count * 100)
        },
      ),
    )
  })
})
