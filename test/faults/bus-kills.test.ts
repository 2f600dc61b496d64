import { describe, expect, test } from 'vitest'
import { BUS_FAULTS_FULL, measureBusFaults } from '../../bench/bus-faults.js'
import { soakSeed, soakTimes } from '../soak.js'

const seed = soakSeed(20_261)
const kills = soakTimes({ smoke: 250, full: 10_000 })

describe('channels whose producers and consumers are killed at any moment', () => {
  test(`deliver what was published, in order, whole and once after its release: ${kills} kills, seed ${seed}`, async () => {
    const result = await measureBusFaults({ ...BUS_FAULTS_FULL, lanes: 2, seed, kills })

    expect(result).toMatchObject({ lost: 0, torn: 0, duplicated: 0, invented: 0 })
    expect(result.kills).toBeGreaterThanOrEqual(kills)
  })
})
