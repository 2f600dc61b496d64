import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countPowerLosses } from '../../bench/harness/power-losses.js'
import { compileRecordedDisk } from '../../bench/harness/recorded-disk.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'

/**
 * Assumed of the disk, and of nothing else: what a sync that returned covered is there; of all other writes any sectors of 512 bytes are there or not, in no
 * order, a sector old or new; names in one directory change in order, and are there for certain when the directory was synced; what was durable
 * stays. See bench/harness/power-loss.ts, which makes such images, and docs/operations.md.
 */
const images = soakTimes({ smoke: 6, full: 2000 })
const seed = soakSeed(1)
const IMAGES_PER_RECORD = isSoak ? 100 : images
const STEPS = isSoak ? 120 : 24

let folder: string
let recorder: Awaited<ReturnType<typeof compileRecordedDisk>>

beforeAll(async () => {
  folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-power-'))
  recorder = await compileRecordedDisk(folder)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const options = (record: number) => {
  if (typeof recorder === 'string') throw new Error(recorder)
  return { seed: seed * 1000 + record, steps: STEPS, library: recorder.library, folder: join(folder, `record-${record}`) }
}

describe(`a journal whose machine loses power (seed ${seed})`, () => {
  test(`opens, holds all that it acknowledged and is whole, ${images} times at any moment`, async (context) => {
    if (typeof recorder === 'string' && process.env['CI'] === undefined) context.skip(recorder)
    let done = 0
    for (let record = 0; done < images; record++) {
      const count = Math.min(IMAGES_PER_RECORD, images - done)

      const { found, ...counts } = await countPowerLosses({ ...options(record), images: count })

      expect(counts, found.join('\n')).toEqual({ images: count, ackedMissing: 0, wrongValues: 0, unreadable: 0 })
      done += count
    }
  })

  test('would be found out if it acknowledged before it synced', async (context) => {
    if (typeof recorder === 'string' && process.env['CI'] === undefined) context.skip(recorder)

    const { ackedMissing, wrongValues, unreadable } = await countPowerLosses({
      ...options(500),
      images: isSoak ? 50 : 8,
      isReleasedEarly: true,
    })

    expect(ackedMissing + wrongValues + unreadable).toBeGreaterThan(0)
  })
})
