import { afterEach, describe, expect, test } from 'vitest'
import type { ChildRole } from '#processes/process-role.js'
import { isPidAlive, eventually, PlantOfChildren, type PlantShape } from './plant-of-children.js'

let plant: PlantOfChildren

afterEach(() => plant.end())

describe('a plant that starts', () => {
  test('fills its seats journal first, then workers, then gateways, and then its spares', async () => {
    await startPlant({ workers: 2, gateways: 2 })

    const taken = plant.ledger().filter((line) => line.includes(' took '))
    const roles = taken.map((line) => line.split('/')[0])
    const readyAt = (role: ChildRole) => plant.eventsOf('ready').findIndex((event) => event.role === role)
    expect(roles).toEqual(['journal', 'worker', 'worker', 'gateway', 'gateway'])
    expect(readyAt('journal')).toBeLessThan(readyAt('worker'))
    expect(plant.eventsOf('plant-ready').length).toBe(1)
    expect(plant.eventsOf('died')).toEqual([])
    expect(plant.supervision.processes().map(({ role, slot, state }) => `${role}/${slot} ${state}`)).toEqual([
      'journal/0 ready',
      'worker/0 ready',
      'worker/1 ready',
      'gateway/0 ready',
      'gateway/1 ready',
      'worker/null standby',
    ])
  })

  test('gives every holder a term of its own and its assignment', async () => {
    await startPlant({ workers: 2 })

    const taken = plant.ledger().map((line) => /^(\S+) took (\d+) (.+)$/.exec(line))
    const terms = taken.map((match) => Number(match?.[2]))
    expect(new Set(terms).size).toBe(4)
    for (const match of taken) expect(JSON.parse(match?.[3] ?? '')).toEqual({ greeting: `${match?.[1]} under ${match?.[2]}` })
  })

  test('shows its processes in the table, alive', async () => {
    await startPlant({})

    const rows = plant.table.snapshot()
    const worker = rows.find((row) => row.role === 'worker' && row.slot === 0)

    expect(rows.length).toBe(4)
    expect(worker).toMatchObject({ pid: plant.pidOf('worker', 0), state: 'ready' })
    await eventually(
      'the pulse moves',
      () => (plant.table.snapshot().find((row) => row.index === worker?.index)?.pulse ?? 0) > (worker?.pulse ?? 0) + 2,
    )
  })

  test('records every process before it gives it a seat', async () => {
    await startPlant({})

    const pids = new Set(plant.recorded.at(-1)?.map((process) => process.pid))
    expect(pids).toEqual(new Set(plant.table.snapshot().map((row) => row.pid)))
    expect(plant.recorded.at(-1)?.every(({ startTime }) => startTime > 0)).toBe(true)
  })
})

describe('a worker killed with SIGKILL', () => {
  test('is replaced by the spare under a higher term, and a new spare follows', async () => {
    await startPlant({})
    const dead = plant.pidOf('worker', 0)
    const spare = plant.pidOf('worker', null)
    const termBefore = termOf('worker', 0)

    process.kill(dead, 'SIGKILL')
    const { replacement } = await plant.event('replaced')
    await plant.isSettled()

    expect(replacement).toMatchObject({ role: 'worker', slot: 0, pid: spare, cause: { kind: 'signal', signal: 'SIGKILL' }, attempts: 1 })
    expect(replacement.term).toBeGreaterThan(termBefore)
    expect(plant.pidOf('worker', 0)).toBe(spare)
    expect(plant.pidOf('worker', null)).not.toBe(spare)
    expect(isPidAlive(dead)).toBe(false)
  })

  test('costs no start of Node: the new spare is spawned only after the seat is ready again', async () => {
    await startPlant({})
    const from = plant.events.length

    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    await plant.event('started', () => true, from)

    const kinds = plant.events.slice(from).map((event) => event.kind)
    expect(kinds.indexOf('replaced')).toBeGreaterThan(-1)
    expect(kinds.indexOf('started')).toBeGreaterThan(kinds.indexOf('replaced'))
  })

  test('is reported with phases that add up, and with what the new process found', async () => {
    await startPlant({})

    plant.supervision.kill({ role: 'worker', slot: 0 })
    const { replacement } = await plant.event('replaced')

    const { noticed = 0, reaped = 0, started = 0, ready = 0, replay } = replacement.phases
    expect(noticed + reaped + started + ready).toBeCloseTo(replacement.ms, 6)
    expect(noticed).toBeGreaterThan(0)
    expect(replay).toBe(1.5)
    expect(replacement.details).toMatchObject({ entities: 7, events: 70 })
  })

  test('leaves the others alone, but rings them twice: for the death and for the successor', async () => {
    await startPlant({ workers: 2 })
    const others = [plant.pidOf('journal', 0), plant.pidOf('worker', 1), plant.pidOf('gateway', 0)]

    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    await plant.isSettled()

    const rings = () => plant.ledger().filter((line) => line.endsWith('rung for worker/0'))
    await eventually('both rings arrive', () => rings().length === 6)
    expect([plant.pidOf('journal', 0), plant.pidOf('worker', 1), plant.pidOf('gateway', 0)]).toEqual(others)
    expect(rings().sort()).toEqual(
      ['gateway/0', 'gateway/0', 'journal/0', 'journal/0', 'worker/1', 'worker/1'].map((seat) => `${seat} rung for worker/0`),
    )
  })
})

describe('several deaths at once', () => {
  test('of two workers with one spare are both mended', async () => {
    await startPlant({ workers: 2 })
    const dead = [plant.pidOf('worker', 0), plant.pidOf('worker', 1)]

    for (const pid of dead) process.kill(pid, 'SIGKILL')
    await eventually('both are replaced', () => plant.eventsOf('replaced').length === 2)
    await plant.isSettled()

    expect(dead.some(isPidAlive)).toBe(false)
    expect(new Set(plant.eventsOf('replaced').map(({ replacement }) => replacement.slot))).toEqual(new Set([0, 1]))
  })

  test('of journal and worker are mended journal first, since the worker loads from it', async () => {
    await startPlant({})
    const from = plant.events.length

    process.kill(plant.pidOf('journal', 0), 'SIGKILL')
    await plant.event('died', ({ role }) => role === 'journal', from)
    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    await eventually('both are replaced', () => plant.eventsOf('replaced', from).length === 2)

    expect(plant.eventsOf('ready', from).map((event) => event.role)).toEqual(['journal', 'worker'])
  })

  test('of everybody are mended', async () => {
    await startPlant({})
    const everybody = plant.table.snapshot().map((row) => row.pid)

    for (const pid of everybody) process.kill(pid, 'SIGKILL')
    await eventually('all seats are replaced', () => plant.eventsOf('replaced').length === 3)
    await plant.isSettled()

    expect(everybody.some(isPidAlive)).toBe(false)
  })

  test('of a worker and then of its replacement while that takes the seat count as one recovery', async () => {
    await startPlant({})
    plant.setFault('worker', 'never-ready', true)
    const from = plant.events.length

    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    await eventually('the spare takes the seat', () =>
      plant.supervision.processes().some(({ role, state }) => role === 'worker' && state === 'taking'),
    )
    plant.setFault('worker', 'never-ready', false)
    process.kill(plant.pidOf('worker', 0), 'SIGKILL')
    const { replacement } = await plant.event('replaced', () => true, from)

    const terms = plant.eventsOf('died', from).map((event) => event.term)
    expect(replacement.attempts).toBe(2)
    expect(terms.length).toBe(2)
    expect(replacement.term).toBeGreaterThan(Math.max(...terms.map(Number)))
  })
})

describe('a journal or a gateway without a spare', () => {
  test.each(['journal', 'gateway'] as const)('is replaced by a new process: %s', async (role) => {
    await startPlant({})
    const worker = plant.pidOf('worker', 0)

    process.kill(plant.pidOf(role, 0), 'SIGKILL')
    const { replacement } = await plant.event('replaced')

    expect(replacement).toMatchObject({ role, slot: 0 })
    expect(plant.pidOf('worker', 0)).toBe(worker)
  })

  test('has a spare when one is asked for', async () => {
    await startPlant({ journalSpares: 1 })
    const spare = plant.pidOf('journal', null)

    process.kill(plant.pidOf('journal', 0), 'SIGKILL')

    expect((await plant.event('replaced')).replacement.pid).toBe(spare)
  })
})

describe('a process that dies again and again', () => {
  test('at once in its seat is tried later and later, said to fail, and seated when it is mended', async () => {
    plant = new PlantOfChildren({ limits: { backOff: { firstMs: 20, delayMsMax: 200, stableMs: 500, failuresMax: 4, windowMs: 60_000 } } })
    plant.setFault('worker', 'dies-taking', true)

    plant.supervision.start()
    const failing = await plant.event('failing')
    const deathsThen = plant.eventsOf('died').length
    const statesThen = plant.supervision.processes().filter(({ role, slot }) => role === 'worker' && slot === 0)
    await eventually('it goes on trying', () => plant.eventsOf('died').length >= deathsThen + 2)
    plant.setFault('worker', 'dies-taking', false)
    await plant.isSettled()

    expect(failing).toMatchObject({ role: 'worker', slot: 0, failures: 4 })
    expect(statesThen).toMatchObject([{ state: 'failing' }])
    expect(plant.eventsOf('failing').length).toBe(1)
    expect(plant.supervision.failingSeatCount).toBe(0)
  })

  test('while it loads holds up neither the journal nor other roles', async () => {
    plant = new PlantOfChildren({ limits: { backOff: { firstMs: 20, delayMsMax: 200, stableMs: 500, failuresMax: 3, windowMs: 60_000 } } })
    plant.setFault('gateway', 'dies-loading', true)

    plant.supervision.start()
    const failing = await plant.event('failing')

    expect(failing).toMatchObject({ role: 'gateway', slot: 0 })
    expect(plant.eventsOf('died').every((event) => event.cause.kind === 'exit' && event.cause.code === 3)).toBe(true)
    expect(
      plant.supervision
        .processes()
        .filter(({ state }) => state === 'ready')
        .map(({ role }) => role),
    ).toEqual(['journal', 'worker'])
    plant.setFault('gateway', 'dies-loading', false)
    await plant.isSettled()
  })

  test('waits longer each time', async () => {
    plant = new PlantOfChildren({ limits: { backOff: { firstMs: 50, delayMsMax: 5000, stableMs: 500, failuresMax: 5, windowMs: 60_000 } } })
    plant.setFault('journal', 'dies-taking', true)

    plant.supervision.start()
    await eventually('it died five times', () => plant.eventsOf('died').length >= 5)

    const at = plant.eventsOf('died').map((event) => event.at / 1000)
    const gaps = at.slice(1).map((time, index) => time - (at[index] as number))
    for (const [index, gap] of gaps.entries()) expect(gap).toBeGreaterThan((50 * 2 ** index) / 2)
  })
})

async function startPlant(shape: PlantShape): Promise<void> {
  plant = new PlantOfChildren(shape)
  await plant.start()
}

function termOf(role: ChildRole, slot: number): number {
  return Number(plant.supervision.processes().find((process) => process.role === role && process.slot === slot)?.term)
}
