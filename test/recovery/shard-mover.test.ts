import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import type { ChildRole, Seat } from '#processes/process-role.js'
import { moveShards } from '#recovery/shard-mover.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { FakeMovedPlant, FAULTS, type Fault, SHARDS, WORKERS } from './moved-plant.js'

const RUNS = { numRuns: soakTimes({ smoke: 300, full: 100_000 }), ...(isSoak ? { seed: soakSeed(1) } : {}) }
/** Of worker 0. */
const MOVED = [0, 3]
const TO = 2

/** Holds at four senders, then these. */
const RELEASE = 4
const ADOPT = 5

async function move(plant: FakeMovedPlant) {
  const moved = await moveShards(plant, systemClock, MOVED, { from: 0, to: TO }).catch((error: unknown) => error as Error)
  await plant.settled()
  return moved
}

/** Whatever went wrong. */
function expectOneOwner(plant: FakeMovedPlant, isMoved: boolean): void {
  for (let shard = 0; shard < SHARDS; shard++) {
    const slot = isMoved && MOVED.includes(shard) ? TO : shard % WORKERS
    expect({ shard, placed: plant.placement.slotOf(shard), owners: plant.owners(shard), isHeld: plant.placement.isHeld(shard) }).toEqual({
      shard,
      placed: slot,
      owners: [slot],
      isHeld: false,
    })
  }
  expect(plant.shared).toEqual([])
  expect(plant.rings).toBe(1)
}

describe('shards that move', () => {
  test('are let go once nobody has anything for them under way, and then taken', async () => {
    const plant = new FakeMovedPlant()

    expect(await move(plant)).toMatchObject({ entities: 3, events: 30, pauseMs: expect.any(Number), leftMs: expect.any(Number) })
    expect(plant.calls.slice(0, RELEASE).toSorted()).toEqual(['hold gateway/0', 'hold worker/0', 'hold worker/1', 'hold worker/2'])
    expect(plant.calls.slice(RELEASE)).toEqual(['release worker/0', 'adopt worker/2'])
    expectOneOwner(plant, true)
  })

  test('stay where they are when anybody cannot say that nothing is under way', async () => {
    for (let sender = 0; sender < RELEASE; sender++) {
      for (const fault of ['dies-before', 'dies-behind', 'late', 'fails'] as const) {
        const plant = new FakeMovedPlant()
        plant.faults.set(sender, fault)

        expect(await move(plant)).toBeInstanceOf(Error)
        expect(plant.calls).not.toContain('release worker/0')
        expectOneOwner(plant, false)
      }
    }
  })

  test.each<[Fault, string, number]>([
    ['busy', 'ERR_SHARDS_BUSY', 0],
    ['dies-before', 'ERR_PROCESS_GONE', 0],
    ['dies-behind', 'ERR_PROCESS_GONE', 0],
    ['late', 'ERR_CALL_TIMEOUT', 1],
    ['fails', 'ERR_BROKEN', 1],
  ])(
    'stay with the one that has them when its release is %s, which is killed where nobody knows what it has',
    async (fault, code, kills) => {
      const plant = new FakeMovedPlant()
      plant.faults.set(RELEASE, fault)

      expect(await move(plant)).toMatchObject({ code })
      expect(plant.kills).toBe(kills)
      expectOneOwner(plant, false)
    },
  )

  test.each<[Fault]>([['dies-before'], ['dies-behind'], ['late'], ['fails']])('have moved also when taking them is %s', async (fault) => {
    const plant = new FakeMovedPlant()
    plant.faults.set(ADOPT, fault)

    expect(await move(plant)).toMatchObject({ entities: 3 })
    expectOneOwner(plant, true)
  })

  test('are loaded by a successor that took its seat before they were placed there', async () => {
    const plant = new FakeMovedPlant()
    // It looks at the placement while the other worker lets them go.
    plant.deaths.set(RELEASE - 1, { role: 'worker', slot: TO })

    await move(plant)

    expect(plant.shared).toEqual([])
    for (let shard = 0; shard < SHARDS; shard++) expect(plant.owners(shard)).toEqual([plant.placement.slotOf(shard)])
  })

  test('stay when not everybody works', async () => {
    const plant = new FakeMovedPlant()
    plant.kill({ role: 'worker', slot: 1 })

    expect(await move(plant)).toMatchObject({ code: 'ERR_PLANT_NOT_READY' })
    expectOneOwner(plant, false)
  })

  test('have one owner each, whatever dies and fails at whatever step', async () => {
    const seat: fc.Arbitrary<Seat<ChildRole>> = fc.oneof(
      fc.record({ role: fc.constant('worker' as const), slot: fc.nat({ max: WORKERS - 1 }) }),
      fc.constant({ role: 'gateway' as const, slot: 0 }),
    )
    const step = fc.nat({ max: 9 })
    const faults = fc.array(fc.tuple(step, fc.constantFrom(...FAULTS)), { maxLength: 4 })
    const deaths = fc.array(fc.tuple(step, seat), { maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(faults, deaths, async (wrong, dead) => {
        const plant = new FakeMovedPlant()
        for (const [at, fault] of wrong) if (at < ADOPT || fault !== 'busy') plant.faults.set(at, fault)
        for (const [at, victim] of dead) plant.deaths.set(at, victim)

        expectOneOwner(plant, !((await move(plant)) instanceof Error))
      }),
      RUNS,
    )
  })
})
