import { mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DiskPressure } from '#drills/disk-pressure.js'

const MEGABYTE = 1 << 20

describe('a disk that is to seem full', () => {
  test('has less than the reserve while it is full, room above it otherwise, and leaves no file behind', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-pressure-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const disk = DiskPressure.open(directory)
    if (typeof disk === 'string') return expect(disk).toMatch(/free on the disk/)
    let reserve = 0
    const room = () => {
      disk.tend()
      return freeBytes(directory) - reserve
    }

    // Whatever else runs on this disk moves what is free, so a look may come at a bad moment.
    expectSoon(() => {
      reserve = disk.newReserve()
      return room() > 8 * MEGABYTE && disk.fill() === undefined && room() < 0
    })
    disk.empty()
    expectSoon(() => room() > 8 * MEGABYTE)
    expect(readdirSync(directory)).toEqual([])
    const before = freeBytes(directory)
    disk.close()

    expectSoon(() => freeBytes(directory) > before + 32 * MEGABYTE)
  })
})

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

function expectSoon(condition: () => boolean): void {
  const deadline = performance.now() + 5000
  while (!condition()) if (performance.now() > deadline) throw new Error('not in time')
}
