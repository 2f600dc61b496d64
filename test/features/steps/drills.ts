import { Then, When } from 'quickpickle'
import { expect } from 'vitest'
import { planKills } from '#drills/fault-plan.js'
import type { Sabotage, TrialSabotage } from '#drills/sabotage.js'
import type { Seat } from '#processes/process-role.js'
import { type Health, HEALTH_LIMITS } from '#recovery/health.js'
import { Drills, type PlannedDrill, type ReadDrill } from '../drills.js'
import { INLINE_WORKERS } from '../inline-plant.js'
import type { OperatorWorld } from '../operator-world.js'
import type { Count } from './words.js'

const NOTHING_WRONG = /<p class="verdict good">Nothing that was acknowledged is missing/
/** Times are shown in whole milliseconds from a hundred on. */
const ROUNDING_MS = 0.5

/** What is tried out besides machines: with a worker that dies while timers are pending, and another one while children err. */
const TRIED = [
  { kind: 'timers', seat: { role: 'worker', slot: 0 }, forMs: 0 },
  {
    kind: 'erring-entity',
    seat: { role: 'gateway', slot: 0 },
    forMs: 0,
    during: { kind: 'kill', seat: { role: 'worker', slot: 1 }, forMs: 0 },
  },
] as const

/** What the scenario's operator has at hand. */
interface DrillingWorld extends OperatorWorld {
  drills?: Drills
  planned?: PlannedDrill
  drill?: ReadDrill
}

When('a drill kills the {seats}', async (world: DrillingWorld, seats: readonly Seat[]) => {
  const roles = seats.map(({ role }) => role)
  const killed = roles.join()
  const faults = planKills(roles, roles.length, { workers: INLINE_WORKERS })
  world.planned = { name: `kill ${killed}`, words: ['--kill', killed], faults }
  await drill(world)
})

When('a drill tries out timers, and children that err', async (world: DrillingWorld) => {
  const kinds = 'timers,erring-entity'
  world.planned = { name: kinds, words: ['--scenario', kinds], faults: TRIED }
  await drill(world)
})

When('the next drill has a network that {sabotage}', (world: DrillingWorld, sabotage: Sabotage) => drill(world, sabotage))

When('the next drill has a plant {misdeed}', (world: DrillingWorld, misdeed: TrialSabotage) => drill(world, misdeed))

Then('the drill succeeds', (world: DrillingWorld) => expect(read(world).code, read(world).text).toBe(0))

Then('the drill fails', (world: DrillingWorld) => expect(read(world).code, read(world).text).toBe(1))

Then('its report says that nothing acknowledged is missing', (world: DrillingWorld) =>
  expect(read(world).text).toMatch(/^clean: nothing acknowledged is missing/m),
)

Then('its report says that {string}', (world: DrillingWorld, wrong: string) =>
  expect(read(world).text.split('\n')).toContain(`WRONG: ${wrong}`),
)

Then('its report says that each timer went off as it was set, and how late at worst', (world: DrillingWorld) => {
  const { text } = read(world)
  expect(text).toMatch(/^timers +102 +30 cancelled, \d+ times one went off, late p50 [\d.]+ ms, max [\d.]+ ms$/m)
  expect(text).not.toMatch(/^WRONG: .*timer/m)
})

Then('its report says that children began anew as their supervisors say', (world: DrillingWorld) => {
  const { text } = read(world)
  expect(text).toMatch(/^children erred +21 +in 3 trees of supervision: 48 restarts, 3 went on, 6 escalated$/m)
  expect(text).not.toMatch(/^WRONG: .*supervision/m)
})

Then('its report names the machine whose report is lost, and its time', (world: DrillingWorld) =>
  expect(read(world).text).toMatch(/^ {2}lost [a-z]+\/\S+ at \d{16}$/m),
)

Then('its report has a line for each of the {int} recoveries', (world: DrillingWorld, recoveries: number) => {
  const lines = read(world).text.match(/^(worker|journal)\/\d+ +SIGKILL +1 +[\d.]+ ms/gm)
  expect(lines, read(world).text).toHaveLength(recoveries)
})

Then('its report calls the health of the plant {health}', (world: DrillingWorld, health: Health) =>
  expect(healthIn(read(world).text)).toBe(health),
)

/** Where many others use the machine no plant recovers fast: what the report says must be true of its own numbers. */
Then('its report calls the health of the plant as good as the recovery times are', (world: DrillingWorld) => {
  const { text } = read(world)
  const p99 = Number(/^recovery time over all: .*p99 ([\d.]+) ms/m.exec(text)?.[1])
  expect([p99 - ROUNDING_MS, p99 + ROUNDING_MS].map(healthAt), text).toContain(healthIn(text))
})

Then('its report says that the next one is compared with it', (world: DrillingWorld) =>
  expect(read(world).text).toMatch(/^the first run of kill \S+ here: the next one is compared with it$/m),
)

Then('its report says that more is missing than the last time', (world: DrillingWorld) =>
  expect(read(world).text).toMatch(/^against the last run of kill [^\n]*:$[^]*^ {2}worse +missing +0 → 1$/m),
)

Then(
  'its report for programs tells of {count} missing command(s) and of {int} recovery/recoveries',
  (world: DrillingWorld, missing: Count, recoveries: number) => {
    const { text, report } = read(world)
    expect(report).toMatchObject({ ackedMissing: missing, duplicated: 0, outOfOrder: 0, health: healthIn(text) })
    expect(report?.recoveries).toHaveLength(recoveries)
  },
)

Then('its page for the browser says that nothing is wrong', (world: DrillingWorld) => {
  expect(read(world).page).toMatch(/^<!doctype html>/)
  expect(read(world).page).toMatch(NOTHING_WRONG)
})

Then('its page for the browser says that {string}', (world: DrillingWorld, wrong: string) => {
  expect(read(world).page).not.toMatch(NOTHING_WRONG)
  expect(read(world).page).toContain(`<li>${wrong}</li>`)
})

function healthIn(text: string): string | undefined {
  return /^health: (\w+)$/m.exec(text)?.[1]
}

/** Of a plant in which processes were replaced in such times. */
function healthAt(p99Ms: number): Health {
  return HEALTH_LIMITS.find(({ replacedMs }) => p99Ms < replacedMs)?.health ?? 'POOR'
}

async function drill(world: DrillingWorld, sabotage?: Sabotage | TrialSabotage): Promise<void> {
  if (world.planned === undefined) throw new Error('the scenario has not said yet what a drill is to do')
  if (world.drills === undefined) {
    const drills = new Drills(world.isOfProcesses)
    world.onEnd(() => drills.remove())
    world.drills = drills
  }
  world.drill = await world.drills.run(world.planned, sabotage)
}

function read({ drill: last }: DrillingWorld): ReadDrill {
  if (last === undefined) throw new Error('the scenario has not run a drill yet')
  return last
}
