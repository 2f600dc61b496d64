import { existsSync, mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DiskPressure } from '#drills/disk-pressure.js'

const MEGABYTE = 1 << 20

describe('a disk that is to seem full', () => {
  test('has less than the reserve while it is full, room above it otherwise, and a ballast that is bounded and goes away', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-pressure-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const ballast = join(directory, 'drill-ballast')
    const disk = DiskPressure.open(directory)
    if (typeof disk === 'string') return expect(disk).toMatch(/free on the disk/)
    const reserve = disk.newReserve()
    const room = () => {
      disk.tend()
      const { bavail, bsize } = statfsSync(directory)
      return bavail * bsize - reserve
    }

    // Whatever else runs on this disk moves what is free, so a look may come at a bad moment.
    expectSoon(() => room() > 8 * MEGABYTE)
    expect(disk.fill()).toBeUndefined()
    expectSoon(() => room() < 0)
    disk.empty()
    expectSoon(() => room() > 8 * MEGABYTE)
    expect(statSync(ballast).size).toBeLessThanOrEqual(256 * MEGABYTE)
    disk.remove()

    expect(existsSync(ballast)).toBe(false)
  })
})

function expectSoon(condition: () => boolean): void {
  const deadline = performance.now() + 5000
  while (!condition()) if (performance.now() > deadline) throw new Error('not in time')
}
