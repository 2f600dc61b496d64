import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { allowedCores } from '#shm/index.js'
import { BUS_THROUGHPUT_SMOKE, describeBusThroughput, measureBusThroughput } from '../../bench/bus-throughput.js'
import { allocatedBytes } from '../../bench/harness/throughput-end.js'

function leftovers(): string[] {
  const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : [])
  return [...names('/dev/shm'), ...names(tmpdir())].filter((name) => new RegExp(`^millrace-(throughput|c)-${process.pid}-`).test(name))
}

describe.runIf(allowedCores().length >= 2)('the throughput of the bus', () => {
  test('is measured for every size and batch beside the ring in C, and leaves nothing behind', async () => {
    const result = await measureBusThroughput(BUS_THROUGHPUT_SMOKE)

    expect(result.rows.map(({ bytes, batch }) => `${bytes} by ${batch}`)).toEqual(
      [32, 256, 1024, 16_384].flatMap((bytes) => [1, 16, 64].map((batch) => `${bytes} by ${batch}`)),
    )
    expect(result.discarded).toBeLessThan(1)
    expect(describeBusThroughput(result).match(/^ +(32|256|1024|16384) +(1|16|64) +\d+\.\d+/gm)).toHaveLength(12)
    for (const { messagesPerSecond, referenceMessagesPerSecond, ratio } of result.rows) {
      expect(messagesPerSecond).toBeGreaterThan(0)
      if (referenceMessagesPerSecond === null) expect(result.referenceMissing).toMatch(/C compiler/)
      else expect(ratio).toBeCloseTo(messagesPerSecond / referenceMessagesPerSecond, 1)
    }
    await expect.poll(leftovers).toEqual([])
  })

  test('is measured without a reference too, says why there is none, and allocates next to nothing', async () => {
    const options = { ...BUS_THROUGHPUT_SMOKE, bytes: [32], batches: [64], allocationFrames: 4_000_000, withReference: false }

    const result = await measureBusThroughput(options)

    expect(result).toMatchObject({ reference: null, referenceMissing: 'it was not asked for' })
    expect(result.rows).toMatchObject([{ referenceMessagesPerSecond: null, ratio: null }])
    expect(describeBusThroughput(result)).toMatch(/no ring in C to compare with: it was not asked for/)
    expect(result.allocatedBytesPerMillion).toBeGreaterThanOrEqual(0)
    expect(result.allocatedBytesPerMillion).toBeLessThan(65_536)
  })
})

describe('the bytes that some work allocates', () => {
  test('are counted, also when they were collected meanwhile', () => {
    const kept: number[][] = []
    const allocate = (times: number) => {
      for (let time = 0; time < times; time++) kept[0] = Array.from({ length: 1000 }, () => time)
    }

    // 8000 bytes each: 80 MB do not stay in the young generation.
    const allocated = allocatedBytes(() => allocate(10_000))

    expect(allocated).toBeGreaterThan(80e6)
    expect(allocated).toBeLessThan(320e6)
  })

  test('are next to none when there is nothing to allocate', () => {
    const cells = new Float64Array(16)
    const count = (times: number) => {
      for (let time = 0; time < times; time++) cells[time & 15] = time
    }
    count(1e6)

    expect(allocatedBytes(() => count(1e6))).toBeLessThan(65_536)
  })
})
