import { describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { FAULT_KINDS, type Fault } from '#drills/fault.js'
import { planChaos, planKills, planScenario } from '#drills/fault-plan.js'

const SHAPE = { workers: 2 }
const MINUTE_MS = 60_000

describe('the plan of a chaos', () => {
  test('is the same for the same seed and another for another', () => {
    const plan = (seed: number) => planChaos(2 * MINUTE_MS, new Prng(seed), SHAPE)

    expect(plan(7)).toEqual(plan(7))
    expect(plan(8)).not.toEqual(plan(7))
  })

  test('has every kind in each round, and the first round in any case', () => {
    for (let seed = 0; seed < 50; seed++) {
      const plan = planChaos(MINUTE_MS, new Prng(seed), SHAPE)

      for (let from = 0; from < plan.length; from += FAULT_KINDS.length) {
        const round = plan.slice(from, from + FAULT_KINDS.length)
        expect(round.map(({ kind }) => kind).sort()).toEqual([...FAULT_KINDS].sort())
        expect(round.every(({ isOptional }) => isOptional === from > 0)).toBe(true)
      }
    }
  })

  test('has kills in the middle of faults that last, from the second round on', () => {
    const plan = planChaos(10 * MINUTE_MS, new Prng(1), SHAPE)
    const mixed = plan.filter(({ during }) => during !== undefined)

    expect(plan.slice(0, FAULT_KINDS.length).some(({ during }) => during !== undefined)).toBe(false)
    expect(new Set(mixed.map(({ kind }) => kind))).toEqual(new Set(['slow-disk', 'full-disk', 'flood', 'erring-entity']))
    expect(mixed.every(({ during }) => during?.kind === 'kill')).toBe(true)
    expect(mixed.filter(({ kind, during }) => kind === 'erring-entity' && during?.seat.role !== 'worker')).toEqual([])
  })

  test('hits every seat, and stops the supervisor, too', () => {
    const plan = planChaos(30 * MINUTE_MS, new Prng(3), SHAPE)
    const hit = (kind: string) => [...new Set(plan.filter((fault) => fault.kind === kind).map(seatOf))].sort()

    expect(hit('kill')).toEqual(['gateway/0', 'journal/0', 'worker/0', 'worker/1'])
    expect(hit('stop')).toEqual(['gateway/0', 'journal/0', 'supervisor/0', 'worker/0', 'worker/1'])
    expect(hit('journal-in-recovery')).toEqual(['worker/0', 'worker/1'])
    expect(hit('timers')).toEqual(['journal/0', 'worker/0', 'worker/1'])
  })
})

describe('the plan of a scenario', () => {
  test('takes its kinds in turn', () => {
    const plan = planScenario(['flood', 'stop'], 3, new Prng(1), SHAPE)

    expect(plan.map(({ kind }) => kind)).toEqual(['flood', 'stop', 'flood'])
    expect(plan.every(({ forMs }) => forMs > 0)).toBe(true)
  })
})

describe('the plan of kills', () => {
  test('takes roles in turn, of workers each', () => {
    const plan = planKills(['worker', 'supervisor'], 4, SHAPE)

    expect(plan.map((fault) => `${fault.kind} ${seatOf(fault)}`)).toEqual([
      'kill worker/0',
      'supervisor supervisor/0',
      'kill worker/1',
      'supervisor supervisor/0',
    ])
    expect(planKills(['worker'], 3, SHAPE).map(seatOf)).toEqual(['worker/0', 'worker/1', 'worker/0'])
  })
})

function seatOf({ seat }: Fault): string {
  return `${seat.role}/${seat.slot}`
}
