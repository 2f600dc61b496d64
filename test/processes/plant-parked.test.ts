import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ParkedCommands } from '#runtime/parked-commands.js'
import { PlantSession } from '#runtime/plant-session.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { run } from '../apps/program-under-test.js'

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

describe('a command that takes its worker along, each time that it is executed', () => {
  const folder = new PlantFolder(FRAGILE)
  let session: PlantSession

  const sample = (press: string, temperature: number, sequence: number) =>
    run(folder, [
      'send',
      `press/${press}`,
      'sample',
      JSON.stringify({ temperature }),
      '--source',
      'plc',
      '--sequence',
      `${sequence}`,
      '--json',
    ])

  beforeAll(async () => {
    const env = { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: '1', MILLRACE_PROCESSES__LONG_TURN_MS: '200' }
    session = await PlantSession.start({ dataDirectory: folder.data, plantFile: folder.plantFile, env })
  })

  afterAll(async () => {
    await session.close()
    folder.remove()
  })

  test('is parked with its name after the third, and its entity and the others go on', async () => {
    await sample('a', 20, 1)

    const fatal = await sample('a', 666, 2)
    const after = [await sample('a', 21, 3), await sample('b', 22, 1)]
    const { json } = await run(folder, ['status', '--parked', '--json'])

    expect(fatal.code).toBe(1)
    expect(fatal.json['error']).toMatch(/executing it ended 3 workers \(SIGKILL, SIGKILL, SIGKILL\); it is parked as [0-9a-f]{8}/)
    expect(after.map((one) => one.json)).toMatchObject([
      { ok: true, version: 3 },
      { ok: true, version: 1 },
    ])
    expect(json['parked']).toMatchObject([
      {
        entity: 'press/a',
        command: 'sample',
        data: { temperature: 666 },
        source: 'plc',
        sequence: 2,
        causes: ['SIGKILL', 'SIGKILL', 'SIGKILL'],
      },
    ])
  })

  test('is not one that only takes long: that is named while it runs, in the status and in the log, and done', async () => {
    const slow = sample('c', 777, 1)

    const turn = await eventually(
      async () => (await session.status()).processes.find(({ longTurn }) => (longTurn?.command ?? null) !== null)?.longTurn,
    )
    const done = await slow

    expect(turn?.command).toMatchObject({ entity: 'press/c', command: 'sample' })
    expect(done.json).toMatchObject({ ok: true, version: 1 })
    const said = readFileSync(join(folder.data, 'logs', 'supervisor.log'), 'utf8')
    expect(said.match(/has not turned for [\d.]+ s, executing sample of press\/c for [\d.]+ s of that/g)).toHaveLength(1)
  })

  test('is parked again when it is tried again and nothing has changed, as the one that it was, and done once it has', async () => {
    const parkedNow = async () => (await run(folder, ['status', '--parked', '--json'])).json['parked'] as { id: string; causes: string[] }[]
    const id = (await parkedNow())[0]?.id as string

    const again = await run(folder, ['parked', 'retry', id, '--json'])
    const still = await parkedNow()
    folder.write('mended', '')
    const done = await run(folder, ['parked', 'retry', id, '--json'])

    expect([again.code, again.json['error']]).toEqual([1, expect.stringContaining(`it is parked as ${id}`)])
    expect(still).toMatchObject([{ id, causes: Array.from({ length: 6 }, () => 'SIGKILL') }])
    expect(done.json).toMatchObject({ ok: true })
    expect((await run(folder, ['status', '--parked'])).stdout).toBe('No command is parked.\n')
    expect((await run(folder, ['parked', 'retry', id])).stderr).toMatch(/no command is parked under that id/)
  }, 60_000)

  test('is forgotten when nobody wants it any more', async () => {
    const parked = new ParkedCommands(folder.data)
    const command = { parkedAt: 1, entity: 'press/a', command: 'sample', data: {}, packed: '', source: '', sequence: 0, at: undefined }
    const { id } = parked.add({ ...command, worker: 0, causes: ['SIGKILL'] })

    const { code, json } = await run(folder, ['parked', 'discard', id, '--json'])

    expect([code, json]).toEqual([0, { id, isDiscarded: true }])
    expect(parked.list()).toEqual([])
  })
})

/** What the question comes to, as soon as it is something. */
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 30_000
  for (;;) {
    const found = await ask()
    if (found !== undefined && found !== null) return found
    if (performance.now() > deadline) throw new Error('it did not come about')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
