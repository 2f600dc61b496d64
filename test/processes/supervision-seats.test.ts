import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChildRole, Seat } from '#processes/process-role.js'
import { seatName } from '#processes/process-role.js'
import { eventually, isPidAlive, PlantOfChildren } from './plant-of-children.js'

const SECOND: Seat<ChildRole> = { role: 'worker', slot: 1 }
const PATIENCE_MS = 30_000

let plant: PlantOfChildren

beforeEach(async () => {
  plant = new PlantOfChildren({ workerSpares: 1, workers: 1 })
  await plant.start()
})

afterEach(() => plant.end())

describe('a seat that is added', () => {
  test('is taken by the spare, and by another when that dies; once removed it is left in order and taken by nobody', async () => {
    const spare = plant.pidOf('worker', null)

    const added = plant.supervision.add(SECOND)
    expect(plant.supervision.isReady).toBe(true)
    await added
    expect(plant.pidOf('worker', 1)).toBe(spare)
    expect(plant.supervision.seats.map(seatName)).toEqual(['journal/0', 'worker/0', 'worker/1', 'gateway/0'])
    await plant.isSettled()

    plant.supervision.kill(SECOND)
    await plant.event('replaced', ({ replacement }) => replacement.slot === 1)
    const last = plant.pidOf('worker', 1)
    await plant.supervision.remove(SECOND, PATIENCE_MS)
    expect(isPidAlive(last)).toBe(false)
    expect(plant.ledger().filter((line) => line.startsWith('worker/1 stop'))).toEqual(['worker/1 stops', 'worker/1 stopped'])
    expect(plant.supervision.seats.map(seatName)).toEqual(['journal/0', 'worker/0', 'gateway/0'])
    expect(plant.eventsOf('died').map(({ pid }) => pid)).toEqual([spare])
    await plant.isSettled()

    await plant.supervision.add(SECOND)
    const terms = plant.eventsOf('ready').map(({ term }) => term)
    expect(new Set(terms).size).toBe(terms.length)
    expect(plant.supervision.isReady).toBe(true)
  })

  test('may die while it leaves, and is removed all the same', async () => {
    await plant.supervision.add(SECOND)
    plant.setFault('worker', 'ignores-stop', true)

    const removed = plant.supervision.remove(SECOND, PATIENCE_MS)
    expect(plant.supervision.isReady).toBe(true)
    process.kill(plant.pidOf('worker', 1), 'SIGKILL')
    await removed

    expect(plant.eventsOf('removed')).toMatchObject([SECOND])
    expect(plant.eventsOf('replaced')).toEqual([])
  })

  test('is killed when it does not leave in time', async () => {
    await plant.supervision.add(SECOND)
    plant.setFault('worker', 'ignores-stop', true)

    await plant.supervision.remove(SECOND, 1)

    expect(plant.eventsOf('died')).toMatchObject([{ slot: 1, cause: { kind: 'signal', signal: 'SIGKILL' } }])
  })

  test('can be given up when nobody gets to work there', async () => {
    plant.setFault('worker', 'dies-taking', true)
    const added = plant.supervision.add(SECOND).catch((error: unknown) => error)
    await plant.event('died', ({ slot }) => slot === 1)
    expect(plant.supervision.isReady).toBe(true)

    await plant.supervision.remove(SECOND, PATIENCE_MS)
    plant.setFault('worker', 'dies-taking', false)

    expect(await added).toMatchObject({ code: 'ERR_SEAT_REMOVED' })
    await plant.isSettled()
  })

  test('comes to nothing when the plant stops', async () => {
    plant.setFault('worker', 'never-ready', true)
    const added = plant.supervision.add(SECOND).catch((error: unknown) => error)
    await eventually('a process takes it', () => plant.ledger().some((line) => line.startsWith('worker/1 took')))

    await plant.supervision.stop()

    expect(await added).toMatchObject({ code: 'ERR_PLANT_STOPPING' })
    await expect(plant.supervision.add({ role: 'worker', slot: 2 })).rejects.toMatchObject({ code: 'ERR_PLANT_STOPPING' })
    await expect(plant.supervision.remove({ role: 'worker', slot: 0 }, 1)).rejects.toMatchObject({ code: 'ERR_PLANT_STOPPING' })
  })
})

describe('all processes', () => {
  test('look at what they share when they are told to', async () => {
    plant.supervision.ringAll()

    const rung = ['journal/0', 'worker/0', 'gateway/0'].map((name) => `${name} rung for ${name}`)
    await eventually('each has been rung', () => rung.every((line) => plant.ledger().includes(line)))
    expect(plant.ledger().filter((line) => line.includes('rung')).length).toBe(rung.length)
  })
})
