import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileEntity } from '#entity/index.js'
import { DueQueue } from '#plant/due-queue.js'
import { Machine } from '#plant/machine.js'
import { MACHINE_KINDS } from '#plant/machine-kinds.js'
import { CALIBRATION_MICROS, MAINTENANCE_LEAD_MICROS, MAINTENANCE_MICROS } from '#plant/simulated-machine.js'
import { PlantSimulator, type SimulatedCommand } from '#plant/simulator.js'

const START = Date.UTC(2026, 0, 1) * 1000
const SECOND = 1_000_000

describe('a simulated set of five machines', () => {
  const commands = simulate({ machines: 5, seconds: 1000 })

  test('reports 28 times a second, each kind at its rate, from the start on', () => {
    const perMachine = MACHINE_KINDS.map(({ name }) => reports(commands, `machine/${name}-001`).length)

    expect(perMachine).toEqual([10_000, 10_000, 5_000, 2_000, 1_000])
    expect(commands.filter((one) => one.at < START + SECOND).length).toBe(28)
  })

  test.each(MACHINE_KINDS.map((kind) => [kind.name, kind] as const))('draws from the distributions of its kind: %s', (name, kind) => {
    const healthy = reports(simulate({ machines: 5, seconds: 1000, seed: 'sound' }), `machine/${name}-001`)

    for (const quantity of ['vibration', 'temperature', 'current'] as const) {
      const [mean, deviation] = kind[quantity]
      const values = healthy.map((data) => data[quantity])
      // Five standard errors.
      expect(Math.abs(meanOf(values) - mean)).toBeLessThan((5 * deviation) / Math.sqrt(values.length) + deviation * 0.001)
      expect(deviationOf(values) / deviation).toBeGreaterThan(0.88)
      expect(deviationOf(values) / deviation).toBeLessThan(1.12)
      expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
    }
  })

  test('counts cycles and wears its tools as its kind does', () => {
    for (const { name, wearPer1000Cycles } of MACHINE_KINDS) {
      const thousandth = reports(commands, `machine/${name}-001`)[999]
      expect(thousandth).toMatchObject({ cycles: 1000, toolWear: wearPer1000Cycles })
    }
  })
})

describe('a simulated plant', () => {
  test('gives commands in order of time, whatever the steps it is advanced in', () => {
    const whole = simulate({ machines: 23, seconds: 20 })
    const simulator = new PlantSimulator({ machines: 23, seed: 1, startMicros: START })
    const stepped: SimulatedCommand[] = []
    for (let step = 1; step <= 160; step++) stepped.push(...simulator.advanceTo(START + step * 125_000))

    expect(stepped).toEqual(whole)
    expect(whole.every((command, index) => index === 0 || command.at >= (whole[index - 1] as SimulatedCommand).at)).toBe(true)
    expect(simulator.nowMicros).toBe(START + 20 * SECOND)
    expect(simulator.nextDueMicros).toBeGreaterThan(simulator.nowMicros)
  })

  test('gives the same commands for the same seed and others for another', () => {
    expect(simulate({ machines: 5, seconds: 5, seed: 'a' })).toEqual(simulate({ machines: 5, seconds: 5, seed: 'a' }))
    expect(simulate({ machines: 5, seconds: 5, seed: 'a' })).not.toEqual(simulate({ machines: 5, seconds: 5, seed: 'b' }))
  })

  test('gives each machine the same commands however many others there are', () => {
    const alone = simulate({ machines: 1, seconds: 20 })
    const among = simulate({ machines: 50, seconds: 20 }).filter((command) => command.entity === 'machine/cnc-mill-001')

    expect(among).toEqual(alone)
  })

  test('loses nothing when its reader stops in between', () => {
    const simulator = new PlantSimulator({ machines: 5, seed: 1, startMicros: START })
    const read: SimulatedCommand[] = []
    for (const command of simulator.advanceTo(START + 5 * SECOND)) {
      read.push(command)
      if (read.length === 50) break
    }
    read.push(...simulator.advanceTo(START + 5 * SECOND))

    expect(read).toEqual(simulate({ machines: 5, seconds: 5 }))
  })

  test('numbers a thousand machines within their kinds', () => {
    const entities = new Set(simulate({ machines: 1000, seconds: 1 }).map((command) => command.entity))

    expect(entities.size).toBe(1000)
    expect(entities).toContain('machine/cnc-mill-001')
    expect(entities).toContain('machine/inspection-200')
  })

  test('is empty without machines', () => {
    expect(simulate({ machines: 0, seconds: 5 })).toEqual([])
    expect(new PlantSimulator({ machines: 0, seed: 1, startMicros: START }).nextDueMicros).toBeUndefined()
  })
})

describe('a machine that runs until its tool is worn', () => {
  // 25,000 cycles of the mill at 10 Hz, then a minute until maintenance.
  const commands = simulate({ machines: 1, seconds: 2700 })
  const other = commands.filter((command) => command.command !== 'reportTelemetry' && command.command !== 'reportDegradation')

  test('is scheduled for maintenance at its limit, maintained, calibrated and runs on like new', () => {
    const [scheduled, begun, completed, calibrated] = other as [SimulatedCommand, SimulatedCommand, SimulatedCommand, SimulatedCommand]

    expect(other.map(({ command }) => command)).toEqual(['scheduleMaintenance', 'changeState', 'completeMaintenance', 'changeState'])
    expect(reports(commands.filter(({ at }) => at <= scheduled.at)).at(-1)).toMatchObject({ cycles: 25_000, toolWear: 2 })
    expect(scheduled.data).toMatchObject({ dueAt: scheduled.at + MAINTENANCE_LEAD_MICROS, kind: 'PREVENTIVE' })
    expect(begun).toMatchObject({ at: scheduled.at + MAINTENANCE_LEAD_MICROS, data: { to: 'MAINTENANCE' } })
    expect(completed.at).toBe(begun.at + MAINTENANCE_MICROS)
    expect(calibrated).toMatchObject({ at: completed.at + CALIBRATION_MICROS, data: { to: 'HEALTHY' } })
    expect(reports(commands.filter(({ at }) => at > calibrated.at))[0]).toHaveProperty('toolWear', 0.08 / 1000)
    expect(reports(commands.filter(({ at }) => at > begun.at && at <= calibrated.at))).toEqual([])
  })
})

describe('machines that run for hours', () => {
  const commands = simulate({ machines: 20, seconds: 6 * 3600, keep: ({ command }) => command !== 'reportTelemetry' })
  const found = commands.flatMap((command) => (command.command === 'reportDegradation' ? [command] : []))

  test('degrade about as often as their kinds say, by 30 to 70 percent', () => {
    // Rolls: 216 per mill and lathe, 108 per welder, 43 per assembly, 21 per inspection; four of each.
    const expected = 4 * (216 * 0.005 + 216 * 0.008 + 108 * 0.003 + 43 * 0.001 + 21 * 0.0005)

    expect(found.length).toBeGreaterThan(expected - 4 * Math.sqrt(expected))
    expect(found.length).toBeLessThan(expected + 4 * Math.sqrt(expected))
    expect(found.every(({ data }) => data.degradation >= 30 && data.degradation < 70)).toBe(true)
  })

  test('shake and warm more once degraded', () => {
    const [first] = found.filter(({ entity }) => entity.includes('cnc-lathe')) as [(typeof found)[number]]
    const number = Number(first.entity.slice(-3))
    const span = {
      machines: number * 5,
      seconds: Math.ceil((first.at - START) / SECOND) + 20,
      keep: (one: SimulatedCommand) => one.entity === first.entity,
    }
    const around = simulate(span)
    const before = reports(around.filter(({ at }) => at < first.at && at > first.at - 100 * SECOND))
    const after = reports(around.filter(({ at }) => at > first.at))
    const { degradation } = first.data

    const rise = (quantity: 'vibration' | 'temperature') =>
      meanOf(after.map((one) => one[quantity])) / meanOf(before.map((one) => one[quantity]))

    expect(Math.abs(rise('vibration') - (1 + degradation / 50))).toBeLessThan(0.1)
    expect(Math.abs(rise('temperature') - (1 + degradation / 100))).toBeLessThan(0.1)
  })

  test('give only commands that their entities take', () => {
    const model = compileEntity(Machine)
    const states = new Map<string, unknown>()
    const decisions: string[] = []
    for (const { entity, command, data, at } of simulate({ machines: 3, seconds: 3600 })) {
      const state = states.get(entity) ?? model.initial()
      states.set(entity, state)
      const index = model.commandIndex(command)
      const decision = model.decide(state, index, model.commandCodec(index).normalise(data), { at, entity, source: '', correlation: '' })
      for (let event = 0; event < decision.eventCount; event++)
        model.apply(state, decision.eventIndexes[event] as number, decision.events[event] as object)
      if (decision.kind !== 'done' || model.commandCodec(index).check(data) !== undefined)
        decisions.push(`${entity} ${command} ${decision.code}`)
    }

    expect(decisions).toEqual([])
    expect(states.get('machine/cnc-mill-001')).toMatchObject({ maintenanceCount: 1 })
  })
})

describe('a queue of things due', () => {
  test('gives them in order of time, then of number', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 40 }), fc.nat(30), (times, later) => {
        const queue = new DueQueue<{ dueAt: number; order: number }>()
        for (const [order, dueAt] of times.entries()) queue.push({ dueAt, order })
        const given: [number, number][] = []
        for (let count = 0; count < times.length * 3; count++) {
          const first = queue.peek() as { dueAt: number; order: number }
          given.push([first.dueAt, first.order])
          first.dueAt += 1 + (later % (first.order + 1))
          queue.settleFirst()
        }

        expect(given).toEqual(given.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]))
      }),
    )
  })
})

interface Simulation {
  readonly machines: number
  readonly seconds: number
  readonly seed?: number | string
  readonly keep?: (command: SimulatedCommand) => boolean
}

/** All commands of a span that begins at START and ends just before its last second is over. */
function simulate({ machines, seconds, seed = 1, keep = () => true }: Simulation): SimulatedCommand[] {
  const simulator = new PlantSimulator({ machines, seed, startMicros: START })
  const commands: SimulatedCommand[] = []
  for (const command of simulator.advanceTo(START + seconds * SECOND)) if (keep(command)) commands.push(command)
  return commands
}

function reports(commands: readonly SimulatedCommand[], entity?: string) {
  return commands.flatMap((one) => (one.command === 'reportTelemetry' && (entity === undefined || one.entity === entity) ? [one.data] : []))
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function deviationOf(values: readonly number[]): number {
  const mean = meanOf(values)
  return Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2)))
}
