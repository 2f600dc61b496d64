import { describe, expect, test } from 'vitest'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { ranDrill } from './ran-drill.js'

const ROLES = ['worker', 'journal', 'gateway', 'supervisor']
/** Kills in each drill. */
const times = soakTimes({ smoke: ROLES.length, full: 200 })
const seed = soakSeed(1)

describe('millrace drill', () => {
  // Each role by itself takes the start of a plant each, which only many kills are worth.
  test.each(isSoak ? ROLES : [ROLES.join()])(`that kills %s, ${times} times, loses, doubles and swaps nothing`, async (roles) => {
    const { code, report, left } = await ranDrill(['drill', '--kill', roles, '--times', String(times), '--seed', String(seed), '--json'])

    expect(report).toMatchObject({ ackedMissing: 0, duplicated: 0, outOfOrder: 0 })
    const turns = roles.split(',')
    expect(report.recoveries.map(({ process }) => process.split('/')[0])).toEqual(
      Array.from({ length: times }, (_, index) => turns[index % turns.length]),
    )
    expect(report.stateHash.live).toMatch(/^[0-9a-f]{64}$/)
    expect(report.stateHash.replayed).toBe(report.stateHash.live)
    expect(report.acked).toBe(report.sent)
    expect(code).toBe(0)
    expect(left).toEqual([])
  })
})
