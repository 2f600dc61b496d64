import { afterEach, describe, expect, test } from 'vitest'
import { eventually, PlantOfChildren, type PlantShape } from './plant-of-children.js'

const QUICK = { firstMs: 20, delayMsMax: 100, stableMs: 300, failuresMax: 100, windowMs: 60_000 }
/** The longest delay is longer than the test: whoever tries again before an hour is over spins. */
const RARE = { ...QUICK, delayMsMax: 3_600_000 }

let plant: PlantOfChildren

afterEach(() => plant.end())

describe('workers whose start fails over what only a person can change', () => {
  test('say so at once, each of them what, and are tried again rarely', async () => {
    const needs = [
      { code: 'ERR_SCHEMA_CHANGED', kind: 'schema', message: 'the log has another field' },
      { code: 'ERR_BLOCK_DAMAGED', kind: 'log', message: 'a block is damaged' },
      { code: 'ERR_HTTP_LISTEN', kind: 'port', message: 'somebody has the port' },
      { code: 'ERR_PLANT_MODULE', kind: 'operator', message: 'the plant has a typo' },
    ]
    await startPlant({ gateways: 0, workers: needs.length, limits: { backOff: RARE } })
    const from = plant.events.length

    for (const [slot, { code, message }] of needs.entries()) {
      plant.setFault('worker', 'fails-taking', true, { code, message, action: 'operator' })
      const before = plant.events.length
      process.kill(plant.pidOf('worker', slot), 'SIGKILL')
      // The one that was killed, its successor, and the one that is tried once more.
      await eventually('it is tried once more and then waited for', () => plant.eventsOf('died', before).length === 3)
    }
    const failing = plant.eventsOf('failing')
    const seats = plant.supervision.processes().filter(({ role, slot }) => role === 'worker' && slot !== null)

    expect(failing.map(({ slot, failure, needs: said }) => [slot, failure, said])).toEqual(
      needs.map(({ kind, message }, slot) => [slot, kind, message]),
    )
    expect(seats.map(({ state, needs: said }) => [state, said])).toEqual(needs.map(({ message }) => ['failing', message]))
    expect(plant.eventsOf('ready', from)).toEqual([])
  })
})

describe('a worker that ends while it loads, over what only a person can change', () => {
  test('says so at once, though it never had the seat', async () => {
    await startPlant({ gateways: 0, workerSpares: 0, limits: { backOff: RARE } })
    plant.setFault('worker', 'fails-loading', true, { code: 'ERR_PLANT_MODULE', message: 'the plant has a typo', action: 'operator' })
    const from = plant.events.length

    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    const failing = await plant.event('failing')
    await eventually('it is tried once more and then waited for', () => plant.eventsOf('died', from).length === 3)

    expect(failing).toMatchObject({ role: 'worker', slot: 0, failure: 'operator', needs: 'the plant has a typo' })
    expect(plant.eventsOf('failing').length).toBe(1)
  })
})

describe('a journal that finds no room', () => {
  test('is waited for until there is some, and taken then without anybody’s help', async () => {
    let hasRoom = true
    let looks = 0
    await startPlant({
      gateways: 0,
      limits: { backOff: QUICK },
      hasRoom: () => {
        looks++
        return hasRoom
      },
    })
    plant.setFault('journal', 'fails-taking', true, { code: 'ERR_DISK_FULL', message: 'the disk is full', action: 'retry' })
    const from = plant.events.length
    hasRoom = false

    process.kill(plant.pidOf('journal', 0), 'SIGKILL')
    const failing = await plant.event('failing')
    const diedUntilThen = plant.eventsOf('died', from).length
    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    await plant.event('died', ({ role }) => role === 'worker', from)
    // The worker waits for the journal, and the journal for room, long after all back-offs are over.
    const before = looks
    await eventually('room was looked for again and again', () => looks > before + 20)
    const seated = plant.eventsOf('ready', from)
    plant.setFault('journal', 'fails-taking', false)
    hasRoom = true
    await plant.isSettled()

    expect(failing).toMatchObject({ role: 'journal', failure: 'room', needs: 'the disk is full' })
    // The one that was killed, and the one that found no room.
    expect(diedUntilThen).toBe(2)
    expect(seated).toEqual([])
    const order = plant.eventsOf('ready', from).map(({ role }) => role)
    expect(order).toEqual(['journal', 'worker'])
  })
})

describe('a worker that died while the journal is down', () => {
  test('waits for it, and is seated behind it', async () => {
    await startPlant({ gateways: 0, limits: { backOff: QUICK } })
    plant.setFault('journal', 'never-ready', true)
    const from = plant.events.length

    process.kill(plant.pidOf('journal', 0), 'SIGKILL')
    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    await plant.event('died', ({ role }) => role === 'worker', from)
    await eventually('the journal is being taken', () => stateOf('journal') === 'taking')
    const workerThen = stateOf('worker')
    plant.setFault('journal', 'never-ready', false)
    process.kill(plant.pidOf('journal', 0), 'SIGKILL')
    await plant.isSettled()

    expect(workerThen).toBe('empty')
    expect(plant.eventsOf('ready', from).map(({ role }) => role)).toEqual(['journal', 'worker'])
  })
})

describe('a command that ends its workers', () => {
  test('is parked before the next one is seated', async () => {
    const parked: number[] = []
    let isFatal = false
    const commands = {
      name: () => undefined,
      isFatal: () => isFatal,
      park: (slot: number) => {
        isFatal = false
        parked.push(slot, plant.eventsOf('ready').filter(({ role }) => role === 'worker').length)
      },
    }
    await startPlant({ gateways: 0, commands })
    isFatal = true

    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    await plant.event('replaced')

    expect(parked).toEqual([0, 1])
  })
})

async function startPlant(shape: PlantShape): Promise<void> {
  plant = new PlantOfChildren(shape)
  await plant.start()
}

function stateOf(role: 'journal' | 'worker'): string | undefined {
  return plant.supervision.processes().find((process) => process.role === role && process.slot === 0)?.state
}
