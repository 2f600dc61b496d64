import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ByRole, FleetPlant } from '../../bench/harness/fleet-plant.js'
import { median } from '../../bench/harness/samples.js'
import { isSoak, soakTimes } from '../soak.js'

/** Minutes of full load. The smoke run takes a second, and sees only what grows fast. */
const SECONDS = isSoak ? soakTimes({ smoke: 1, full: 30 }) * 60 : 1
const LOOKS = 12
/** Of these the first are warm-up: heaps and pools grow to their size. */
const WARM_UP_LOOKS = 4
/** Between the middle of the first and of the last looks that count: what garbage collection alone makes of it, and a trend that half an hour would show. */
const GROWTH_MB_MAX = 24
const GROWTH_SHARE_MAX = 0.1

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-ingest-memory-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('a plant under full load', () => {
  test('needs no more memory at the end than when it was warm, in any of its processes', async () => {
    const plant = await FleetPlant.start(join(folder, 'data'), { MILLRACE_RETENTION__BYTES_MAX: '1GiB' })
    const looks: ByRole[] = []
    let sent = 0
    try {
      for (let look = 0; look < LOOKS; look++) {
        sent += (await plant.run({ sensors: 10_000, seconds: SECONDS / LOOKS, perSecond: null })).sent
        looks.push(plant.residentMb())
      }
    } finally {
      await plant.close()
    }

    expect(sent).toBeGreaterThan(0)
    for (const role of ['supervisor', 'gateway', 'worker', 'journal'] as const) {
      const warm = looks.slice(WARM_UP_LOOKS).map((look) => look[role])
      const [first, last] = [median(warm.slice(0, 4)), median(warm.slice(-4))]
      const allowed = first + Math.max(GROWTH_MB_MAX, first * GROWTH_SHARE_MAX)
      expect(first, role).toBeGreaterThan(0)
      expect(last, `${role}: ${looks.map((look) => Math.round(look[role])).join(' ')} MB`).toBeLessThan(allowed)
    }
  })
})
