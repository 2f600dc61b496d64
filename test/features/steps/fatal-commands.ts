import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Given, Then, When } from 'quickpickle'
import { expect } from 'vitest'
import { systemClock } from '#base/clock.js'
import type { LongTurn } from '#processes/supervision-event.js'
import { type ParkedCommand, ParkedCommands } from '#runtime/parked-commands.js'
import { type Said, until } from '../../apps/program-under-test.js'
import type { OperatorWorld } from '../operator-world.js'
import { type Count, expectCount } from './words.js'

/** A press whose `decide` takes its process along at 666 degrees, as long as there is no file that says otherwise, and long at 777. */
const FRAGILE = `import { existsSync } from 'node:fs'
import { defineEntity, definePlant, f64 } from 'millrace'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64('°C') } },
  commands: { sample: { temperature: f64('°C') } },
  initial: () => ({ count: 0 }),
  decide: {
    sample(_state, command, { emit }) {
      for (const end = Date.now() + 700; command.temperature === 777 && Date.now() < end; );
      if (command.temperature === 666 && !existsSync(new URL('mended', import.meta.url))) process.kill(process.pid, 'SIGKILL')
      emit.Sampled(command)
    },
  },
  apply: { Sampled: (state) => void state.count++ },
})

export default definePlant({ entities: [Press] })
`
const LONG_TURN = { MILLRACE_PROCESSES__LONG_TURN_MS: '200' }
const DAY_MICROS = 86_400_000_000

export interface PressWorld extends OperatorWorld {
  /** To the report that was sent last, and to what the operator did last. */
  answer?: Said
  longTurn?: LongTurn
  discarded?: string
}

let sequence = 0

Given('a plant of presses whose worker ends at a report of 666 degrees, and is busy for long with one of 777', (world: PressWorld) =>
  world.share({ plantText: FRAGILE, workers: 1, env: LONG_TURN }),
)

When('press {word} reports {int} degrees', async (world: PressWorld, press: string, degrees: number) => {
  world.answer = await report(world, press, degrees)
})

When(
  'press {word} reports {int} degrees, and the operator looks at the plant meanwhile',
  async (world: PressWorld, press: string, degrees: number) => {
    const answer = report(world, press, degrees)
    await until('a turn is long', async () => {
      const { processes } = await world.running.session.status()
      const longTurn = processes.map((one) => one.longTurn).find((turn) => turn !== null && turn.command !== null) ?? null
      if (longTurn !== null) world.longTurn = longTurn
      return longTurn !== null
    })
    world.answer = await answer
  },
)

Then('the report is taken', ({ answer }: PressWorld) => expect(answer).toMatchObject({ code: 0, json: { ok: true } }))

Then('the report is refused, since it ended {int} workers and is parked', ({ answer }: PressWorld, workers: number) => {
  const ends = Array.from({ length: workers }, () => 'SIGKILL').join(', ')
  expect(answer?.code).toBe(1)
  expect(answer?.json['error']).toContain(`executing it ended ${workers} workers (${ends}); it is parked as `)
})

Then('the operator sees that the worker is busy with the report of press {word}', (world: PressWorld, press: string) => {
  expect(world.longTurn?.command).toMatchObject({ entity: `press/${press}`, command: 'sample' })
  const said = readFileSync(join(world.running.folder.data, 'logs', 'supervisor.log'), 'utf8')
  expect(said.split(`executing sample of press/${press} for `)).toHaveLength(2)
})

Then('{count} command(s) is/are parked', async (world: PressWorld, count: Count) => {
  expectCount((await parkedIn(world)).length, count, 'commands parked')
  if (count === 0) expect((await world.running.run('status', '--parked')).stdout).toBe('Nothing is parked.\n')
})

Then(
  'the oldest of them is the {int} degrees of press {word}, and names how {int} workers ended',
  async (world: PressWorld, degrees: number, press: string, workers: number) => {
    expect((await parkedIn(world))[0]).toMatchObject({
      entity: `press/${press}`,
      command: 'sample',
      data: { temperature: degrees },
      source: 'plc',
      causes: Array.from({ length: workers }, () => 'SIGKILL'),
    })
  },
)

When('the cause is mended', ({ running }: PressWorld) => void running.folder.write('mended', ''))

When('the operator tries the oldest parked command again', async (world: PressWorld) => {
  world.answer = await world.running.run('parked', 'retry', await oldestIn(world), '--json')
})

Given('a report of press {word} that was parked yesterday', ({ running }: PressWorld, press: string) => {
  const command = { entity: `press/${press}`, command: 'sample', data: { temperature: 666 }, packed: '', source: 'plc', sequence: 1 }
  const parkedAt = systemClock.nowMicros() - DAY_MICROS
  new ParkedCommands(running.folder.data).add({ ...command, parkedAt, at: undefined, worker: 0, causes: ['SIGKILL'] })
})

When('the operator discards the oldest parked command', async (world: PressWorld) => {
  const id = await oldestIn(world)
  world.discarded = id
  expect((await world.running.run('parked', 'discard', id, '--json')).json).toEqual({ id, isDiscarded: true })
})

When('the operator tries it again all the same', async (world: PressWorld) => {
  world.answer = await world.running.run('parked', 'retry', world.discarded ?? 'none', '--json')
})

Then('the operator is told that it is not there', ({ answer }: PressWorld) => {
  expect(answer?.code).toBe(1)
  expect(answer?.stderr).toContain('no command is parked under that id')
})

Then('the operator is told that it is parked', ({ answer }: PressWorld) => {
  expect(answer?.code).toBe(1)
  expect(answer?.json['error']).toContain('it is parked as')
})

Then('the operator is told that it is done', ({ answer }: PressWorld) => expect(answer).toMatchObject({ code: 0, json: { ok: true } }))

function report({ running }: PressWorld, press: string, temperature: number): Promise<Said> {
  const command = ['send', `press/${press}`, 'sample', JSON.stringify({ temperature })]
  return running.run(...command, '--source', 'plc', '--sequence', String(++sequence), '--json')
}

async function oldestIn(world: PressWorld): Promise<string> {
  return (await parkedIn(world))[0]?.id ?? 'none'
}

/** Oldest first. */
async function parkedIn({ running }: PressWorld): Promise<readonly ParkedCommand[]> {
  return (await running.run('status', '--parked', '--json')).json['parked'] as readonly ParkedCommand[]
}
