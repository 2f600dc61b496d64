import { afterEach, describe, expect, test } from 'vitest'
import type { CommandPlace } from '#processes/command-at-hand.js'
import type { ProcessRow } from '#processes/process-table.js'
import type { LongTurn } from '#processes/supervision-event.js'
import { eventually, isPidAlive, PlantOfChildren, type PlantShape } from './plant-of-children.js'

/** So long that a process which gets its turn late on a busy machine is not taken for one that hangs. */
const PULSE_LIMIT_MS = 600
const CALL_MS = 60_000
const NOTHING_FATAL = { isFatal: () => false, park: () => undefined }

let plant: PlantOfChildren

afterEach(() => plant.end())

describe('a process that hangs', () => {
  test('stopped by SIGSTOP is noticed by its pulse, killed, reaped and replaced', async () => {
    await startPlant({ limits: { pulseLimitMs: PULSE_LIMIT_MS } })
    const stopped = plant.pidOf('worker', 0)

    process.kill(stopped, 'SIGSTOP')
    const { replacement } = await plant.event('replaced')

    expect(replacement.cause).toMatchObject({ kind: 'hang', sign: 'pulse' })
    expect(replacement.phases.noticed).toBeGreaterThan(PULSE_LIMIT_MS)
    expect(isPidAlive(stopped)).toBe(false)
    expect(deathBefore('ready', stopped)).toBe(true)
  })

  test('in an endless turn is noticed by its event loop, though its pulse goes on', async () => {
    const commands = { ...NOTHING_FATAL, name: () => ({ entity: 'press/a', command: 'sample' }) }
    await startPlant({ limits: { pulseLimitMs: PULSE_LIMIT_MS, turnLimitMs: 2 * PULSE_LIMIT_MS }, commands })
    const stuck = plant.pidOf('worker', 0)

    const call = plant.supervision
      .call({ role: 'worker', slot: 0 }, 'spin', { ms: 60_000, position: 64 }, 60_000)
      .catch((error) => error.code)
    const { replacement } = await plant.event('replaced')

    expect(replacement.cause).toMatchObject({ kind: 'hang', sign: 'turn' })
    expect(isPidAlive(stuck)).toBe(false)
    expect(await call).toBe('ERR_PROCESS_GONE')
    expect(plant.eventsOf('hung')).toMatchObject([{ pid: stuck, sign: 'turn', command: { entity: 'press/a', command: 'sample' } }])
    expect(plant.eventsOf('died').find(({ pid }) => pid === stuck)?.fatalCommand).toEqual({ gateway: 0, position: 64 })
  })

  test('in a long turn within its limit is left alone, and its command named once', async () => {
    const commands = {
      ...NOTHING_FATAL,
      name: (slot: number, { position }: CommandPlace) => ({ entity: `press/${slot}`, command: `at ${position}` }),
    }
    await startPlant({ limits: { pulseLimitMs: PULSE_LIMIT_MS, longTurnMs: 300, turnLimitMs: 60_000 }, commands })
    const busy = plant.pidOf('worker', 0)

    const spun = plant.supervision.call({ role: 'worker', slot: 0 }, 'spin', { ms: PULSE_LIMIT_MS + 300, position: 128 }, CALL_MS)
    const named = await plant.event('long-turn', (event) => event.pid === busy)
    const meanwhile = longTurnOf('worker')
    await spun
    await eventually('the turn is seen to be over', () => longTurnOf('worker')?.isOver === true)

    expect(named).toMatchObject({ role: 'worker', slot: 0, command: { entity: 'press/0', command: 'at 128' } })
    expect(named.ms).toBeGreaterThan(300)
    expect(named.ms).toBeLessThan(PULSE_LIMIT_MS + 300)
    expect(meanwhile).toMatchObject({ isOver: false, command: { entity: 'press/0', command: 'at 128' } })
    expect(longTurnOf('worker')?.ms).toBeGreaterThan(named.ms)
    expect(plant.pidOf('worker', 0)).toBe(busy)
    expect(plant.eventsOf('long-turn').filter(({ pid }) => pid === busy)).toEqual([named])
    expect(plant.eventsOf('hung')).toEqual([])
  })

  test('as a spare is replaced, too', async () => {
    await startPlant({ limits: { pulseLimitMs: PULSE_LIMIT_MS } })
    const spare = plant.pidOf('worker', null)

    process.kill(spare, 'SIGSTOP')
    await plant.event('died', (event) => event.pid === spare)
    await plant.isSettled()

    expect(plant.pidOf('worker', null)).not.toBe(spare)
    expect(plant.eventsOf('replaced')).toEqual([])
  })
})

describe('a process that the others know under an older term than its seat has', () => {
  test('is killed, and replaced under a newer one', async () => {
    await startPlant({ gateways: 0, workerSpares: 0 })
    const old = plant.pidOf('worker', 0)
    const row = plant.table.snapshot().find(({ pid }) => pid === old) as ProcessRow

    plant.table.process(row.index).take(0, (row.term as number) - 1)
    await plant.event('replaced')

    expect(plant.eventsOf('hung')).toMatchObject([{ pid: old, sign: 'term' }])
    expect(isPidAlive(old)).toBe(false)
    expect(plant.eventsOf('ready').at(-1)?.term).toBeGreaterThan(row.term as number)
    expect(plant.eventsOf('died').map(({ pid }) => pid)).toEqual([old])
  })
})

describe('a process that writes what is no message to its supervisor', () => {
  test.each(['garbage', 'null', '"loaded"', '{"kind":"ready"}', '{"kind":"take"}'])('is killed and replaced: %s', async (line) => {
    await startPlant({ gateways: 0 })
    const babbler = plant.pidOf('worker', 0)

    const code = await plant.supervision.call({ role: 'worker', slot: 0 }, 'babble', { line }, CALL_MS).catch((error) => error.code)
    await plant.isSettled()

    expect(code).toBe('ERR_PROCESS_GONE')
    expect(plant.eventsOf('replaced')).toMatchObject([{ replacement: { cause: { kind: 'signal', signal: 'SIGKILL' } } }])
    expect(isPidAlive(babbler)).toBe(false)
  })
})

async function startPlant(shape: PlantShape): Promise<void> {
  plant = new PlantOfChildren(shape)
  await plant.start()
}

function longTurnOf(role: 'worker'): LongTurn | null | undefined {
  return plant.supervision.processes().find((process) => process.role === role && process.slot === 0)?.longTurn
}

/** Whether the death of the process stands before the first later event of that kind. */
function deathBefore(kind: 'ready', pid: number): boolean {
  const death = plant.events.findIndex((event) => event.kind === 'died' && event.pid === pid)
  const lastReady = plant.events.findLastIndex((event) => event.kind === kind)
  return death > -1 && death < lastReady
}
