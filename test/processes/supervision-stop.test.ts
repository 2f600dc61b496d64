import { afterEach, describe, expect, test } from 'vitest'
import { PlantOfChildren, type PlantShape } from './plant-of-children.js'

const CALL_MS = 60_000
/** Of those tests in which somebody does not end by itself. */
const STOP_WITHIN_MS = 1500

let plant: PlantOfChildren

afterEach(() => plant.end())

describe('calls to a process', () => {
  test('come back with its value, its error, or the reason why there is none', async () => {
    await startPlant({})
    const call = (name: string, args: unknown = {}, timeoutMs = CALL_MS) =>
      plant.supervision.call({ role: 'worker', slot: 0 }, name, args, timeoutMs)

    expect(await call('echo', { deep: [1, null, 'ü'] })).toEqual({ deep: [1, null, 'ü'] })
    await expect(call('fail')).rejects.toMatchObject({ code: 'ERR_INTERNAL', message: 'on purpose' })
    await expect(call('nonsense')).rejects.toMatchObject({ code: 'ERR_UNKNOWN_CALL' })
    await expect(call('never', {}, 30)).rejects.toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    await expect(call('exit', { code: 9 })).rejects.toMatchObject({ code: 'ERR_PROCESS_GONE' })
    await expect(plant.supervision.call({ role: 'worker', slot: 7 }, 'echo', {}, 10)).rejects.toMatchObject({ code: 'ERR_SEAT_EMPTY' })
  })

  test('are not needed for what it reports by itself', async () => {
    await startPlant({})

    await plant.supervision.call({ role: 'gateway', slot: 0 }, 'report', { port: 8080 }, CALL_MS)

    expect(await plant.event('reported')).toMatchObject({ role: 'gateway', slot: 0, name: 'report', data: { port: 8080 } })
  })
})

describe('a plant that stops', () => {
  test('lets gateways end first, then workers, the journal last, all by themselves', async () => {
    await startPlant({ workers: 2, gateways: 2 })

    await plant.supervision.stop()

    const ends = plant.ledger().filter((line) => line.endsWith('stops') || line.endsWith('stopped'))
    const order = ends.map((line) => line.replace(/\/\d/, ''))
    expect(order.slice(0, 4).every((line) => line.startsWith('gateway'))).toBe(true)
    expect(order.slice(4, 8).every((line) => line.startsWith('worker'))).toBe(true)
    expect(order.slice(8)).toEqual(['journal stops', 'journal stopped'])
    expect(plant.eventsOf('stopped')).toMatchObject([{ killed: [] }])
    expect(plant.table.snapshot()).toEqual([])
  })

  test('kills who does not end within its share of the bound, and names it', async () => {
    await startPlant({ limits: { stopWithinMs: STOP_WITHIN_MS } })
    plant.setFault('worker', 'ignores-stop', true)

    await plant.supervision.stop()

    expect(plant.eventsOf('stopped')).toMatchObject([{ killed: ['worker/0'] }])
    expect(plant.ledger()).toContain('journal/0 stopped')
  })

  test('stops at once when it is told again, by force', async () => {
    await startPlant({ limits: { stopWithinMs: 60_000 } })
    plant.setFault('gateway', 'ignores-stop', true)

    void plant.supervision.stop()
    await plant.supervision.forceStop()

    expect(plant.eventsOf('stopped')).toMatchObject([{ killed: expect.arrayContaining(['gateway/0']) }])
  })

  test('replaces nobody who dies meanwhile', async () => {
    await startPlant({ limits: { stopWithinMs: STOP_WITHIN_MS } })
    plant.setFault('gateway', 'ignores-stop', true)
    const from = plant.events.length

    const stopped = plant.supervision.stop()
    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    await stopped

    expect(plant.eventsOf('started', from)).toEqual([])
    expect(plant.eventsOf('ready', from)).toEqual([])
  })

  test('stops as well while it still starts', async () => {
    plant = new PlantOfChildren({})

    plant.supervision.start()
    await plant.supervision.stop()

    expect(plant.table.snapshot()).toEqual([])
    expect(plant.eventsOf('plant-ready')).toEqual([])
  })
})

describe('a plant of more processes than its table has room for', () => {
  test('is refused before anything starts', async () => {
    await startPlant({})

    expect(() => new PlantOfChildren({ workers: 49 })).toThrow(expect.objectContaining({ code: 'ERR_TOO_MANY_PROCESSES' }))
    expect(() => new PlantOfChildren({ workers: 48, workerSpares: 20 })).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_MANY_PROCESSES' }),
    )
  })
})

async function startPlant(shape: PlantShape): Promise<void> {
  plant = new PlantOfChildren(shape)
  await plant.start()
}
