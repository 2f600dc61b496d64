import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { defineEntity, f64, label } from '#entity/index.js'
import { csv, parseMap } from '#ingest/index.js'
import { readRows } from '#journal/index.js'
import { type InlinePlant, type OpenPlantOptions, openPlant } from '#runtime/inline-plant.js'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { temperature: f64('°C'), force: f64('kN') }, AlarmRaised: { code: label(), value: f64() } },
  commands: { sample: { temperature: f64('°C'), force: f64('kN') }, jam: {} },
  initial: () => ({ temperature: Number.NaN, force: Number.NaN, alarms: 0 }),
  decide: {
    sample(state, command, { emit, refuse }) {
      if (state.alarms > 2) return refuse('TOO_MANY_ALARMS', { alarms: state.alarms })
      emit.Sampled(command)
      if (command.temperature > 90) emit.AlarmRaised({ code: 'OVERHEAT', value: command.temperature })
      return { alarms: state.alarms }
    },
    jam() {
      throw new Error('the ram is stuck')
    },
  },
  apply: {
    Sampled(state, event) {
      state.temperature = event.temperature
      state.force = event.force
      if (event.force < 0) throw new Error('negative force')
    },
    AlarmRaised(state) {
      state.alarms++
    },
  },
})

async function withPlant<T>(options: Partial<OpenPlantOptions>, use: (plant: InlinePlant) => Promise<T>): Promise<T> {
  const plant = await openPlant({ entities: [Press], ...options })
  try {
    return await use(plant)
  } finally {
    await plant.close()
  }
}

async function withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-inline-'))
  try {
    return await use(join(directory, 'data'))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function rowsOf(plant: InlinePlant) {
  const rows = []
  for await (const row of readRows(plant.journal, { from: 0 })) rows.push(row)
  return rows
}

describe('an inline plant', () => {
  test('answers a command with its reply and the version behind its events', async () => {
    await withPlant({}, async (plant) => {
      const answer = await plant.entity(Press, 'press-1').sample({ temperature: 95, force: 3 })

      expect(answer).toEqual({ ok: true, version: 2, reply: { alarms: 0 } })
      expect(await plant.state(Press, 'press-1')).toEqual({ temperature: 95, force: 3, alarms: 1 })
    })
  })

  test('stores both events of a command, the outcome with the last', async () => {
    await withPlant({}, async (plant) => {
      await plant.entity(Press, 'press-1').sample({ temperature: 95, force: 3 })

      const rows = await rowsOf(plant)

      expect(rows.map(({ event, version, data }) => ({ event, version, data }))).toEqual([
        { event: 'Sampled', version: 1, data: { temperature: 95, force: 3 } },
        { event: 'AlarmRaised', version: 2, data: { code: 'OVERHEAT', value: 95 } },
      ])
      expect(rows.map((row) => row.outcomeKind)).toEqual([0, 1])
    })
  })

  test('answers a refusal with code and detail, and leaves a receipt', async () => {
    await withPlant({}, async (plant) => {
      const press = plant.entity(Press, 'press-1')
      for (let count = 0; count < 3; count++) await press.sample({ temperature: 95, force: 3 })

      const answer = await press.sample({ temperature: 20, force: 3 })

      expect(answer).toEqual({ ok: false, version: 7, refused: 'TOO_MANY_ALARMS', detail: { alarms: 3 } })
      expect((await rowsOf(plant)).at(-1)).toMatchObject({ event: undefined, version: 7, outcomeKind: 2 })
    })
  })

  test('gives the first answer to a command that is sent again', async () => {
    await withPlant({}, async (plant) => {
      const press = plant.entity(Press, 'press-1')
      const first = await press.sample({ temperature: 95, force: 3 }, { source: 'plc-7', sequence: 1 })
      await press.sample({ temperature: 50, force: 1 }, { source: 'plc-7', sequence: 2 })

      const again = await press.sample({ temperature: 95, force: 3 }, { source: 'plc-7', sequence: 1 })

      expect(again).toEqual(first)
      expect(plant.journal.endPosition).toBe(3)
    })
  })

  test('fails a command whose decide throws, once and for all', async () => {
    await withPlant({}, async (plant) => {
      const jam = () => plant.entity(Press, 'press-1').jam({}, { source: 'plc-7', sequence: 1 })

      await expect(jam()).rejects.toThrow(/the ram is stuck/)
      await expect(jam()).rejects.toThrow(/the ram is stuck/)

      expect(plant.journal.endPosition).toBe(1)
    })
  })

  test('refuses a command whose apply throws, and goes on from the state before it', async () => {
    await withPlant({}, async (plant) => {
      const press = plant.entity(Press, 'press-1')
      await press.sample({ temperature: 50, force: 1 })

      await expect(press.sample({ temperature: 60, force: -1 })).rejects.toThrow(/negative force/)

      expect(await plant.state(Press, 'press-1')).toEqual({ temperature: 50, force: 1, alarms: 0 })
      expect((await press.sample({ temperature: 70, force: 2 })).ok).toBe(true)
    })
  })

  test('refuses what no entity can take, naming it', async () => {
    await withPlant({}, async (plant) => {
      await expect(plant.send('press/1', 'sample', { temperature: 'hot', force: 1 })).rejects.toThrow(/temperature/)
      await expect(plant.send('press/1', 'smash', {})).rejects.toThrow(/no command smash/)
      await expect(plant.send('lathe/1', 'sample', {})).rejects.toThrow(/no entity type lathe/)
    })
  })

  test('keeps the order of many commands to many entities on two workers', async () => {
    await withPlant({ workers: 2 }, async (plant) => {
      const answers = await Promise.all(
        Array.from({ length: 2000 }, (_, index) => plant.entity(Press, `press-${index % 50}`).sample({ temperature: 50, force: index })),
      )

      expect(answers.every((answer) => answer.ok)).toBe(true)
      const last = new Map<string, number>()
      for (const row of await rowsOf(plant)) {
        const force = row.data['force'] as number
        expect(force).toBeGreaterThan(last.get(row.entity) ?? -1)
        last.set(row.entity, force)
      }
      expect(last.size).toBe(50)
    })
  })

  test('passivates idle entities and brings them back with state and outcomes', async () => {
    await withPlant({ liveEntitiesMax: 4 }, async (plant) => {
      for (let round = 0; round < 3; round++) {
        for (let index = 0; index < 40; index++) {
          await plant
            .entity(Press, `press-${index}`)
            .sample({ temperature: round, force: index }, { source: 'line', sequence: round * 40 + index })
        }
      }

      expect(await plant.state(Press, 'press-7')).toEqual({ temperature: 2, force: 7, alarms: 0 })
      const again = await plant.entity(Press, 'press-7').sample({ temperature: 2, force: 7 }, { source: 'line', sequence: 87 })
      expect(again).toEqual({ ok: true, version: 3, reply: { alarms: 0 } })
      const { live, replayed } = await plant.stateHash()
      expect(live).toBe(replayed)
      expect(live).not.toBe('0'.repeat(64))
    })
  })

  test('gives the same events and state hash when it runs twice under one clock', async () => {
    const run = () =>
      withPlant({ clock: new FakeClock(), workers: 2 }, async (plant) => {
        await Promise.all(
          Array.from({ length: 300 }, (_, index) =>
            plant.entity(Press, `press-${index % 7}`).sample({ temperature: index % 100, force: index }),
          ),
        )
        return { rows: await rowsOf(plant), hash: await plant.stateHash() }
      })

    const [first, second] = [await run(), await run()]

    expect(second).toEqual(first)
    expect(first.rows.length).toBeGreaterThan(300)
  })
})

describe('an inline plant with a data directory', () => {
  test('goes on from its log, and remembers what it answered', async () => {
    await withDirectory(async (data) => {
      const send = (plant: InlinePlant) =>
        plant.entity(Press, 'press-1').sample({ temperature: 95, force: -0 }, { source: 'plc-7', sequence: 1 })
      const first = await withPlant({ data }, send)

      const again = await withPlant({ data }, async (plant) => ({ answer: await send(plant), state: await plant.state(Press, 'press-1') }))

      expect(again).toEqual({ answer: first, state: { temperature: 95, force: -0, alarms: 1 } })
    })
  })

  test('has it alone', async () => {
    await withDirectory(async (data) => {
      await withPlant({ data }, async () => {
        await expect(openPlant({ entities: [Press], data })).rejects.toMatchObject({ code: 'ERR_PLANT_RUNNING' })
      })
    })
  })
})

describe('the sources of an inline plant', () => {
  const rows = (plant: InlinePlant) => rowsOf(plant).then((all) => all.map(({ entity, data }) => [entity, data]))
  const source = (file: string) => {
    const map = parseMap(
      [
        'format: csv',
        'header: true',
        'time: { start: 2026-01-01T00:00:00Z, step: 1s }',
        'entity: { type: press, name: { constant: press-1 } }',
        'command: sample',
        'fields: { temperature: t, force: f }',
      ].join('\n'),
      'press.map.yaml',
    )
    return csv({ file, map })
  }

  test('bring their rows in, once per data directory', async () => {
    await withDirectory(async (data) => {
      const file = `${data}.csv`
      writeFileSync(file, 't,f\n60,1\n61,2\n')
      const run = () =>
        withPlant({ data, sources: [source(file)] }, async (plant) => {
          await expect.poll(() => plant.journal.endPosition).toBe(2)
          return rows(plant)
        })

      const first = await run()

      expect(first).toEqual([
        ['press/press-1', { temperature: 60, force: 1 }],
        ['press/press-1', { temperature: 61, force: 2 }],
      ])
      expect(await run()).toEqual(first)
    })
  })

  test('start over where the log does', async () => {
    await withDirectory(async (data) => {
      const file = `${data}.csv`
      writeFileSync(file, 't,f\n60,1\n')
      for (let run = 0; run < 2; run++) {
        await withPlant({ sources: [source(file)] }, async (plant) => {
          await expect.poll(() => plant.journal.endPosition).toBe(1)
        })
      }
    })
  })
})

describe('an entity of the past', () => {
  test('is what it was as of a version and as of a time, also when a row came late', async () => {
    const clock = new FakeClock()
    await withPlant({ clock, snapshotEvery: 2 }, async (plant) => {
      const press = plant.entity(Press, 'press-1')
      const at = (): number => clock.nowMicros()
      const [before, times] = [at(), [] as number[]]
      for (const temperature of [60, 70, 80, 85]) {
        clock.advance(1000)
        await press.sample({ temperature, force: 1 })
        times.push(at())
      }
      clock.advance(1000)
      // It happened before everything else, and the plant hears of it now.
      await press.sample({ temperature: 20, force: 1 }, { at: before })
      const past = async (asOf: { version: number } | { accepted: number }) => (await plant.stateAsOf(Press, 'press-1', asOf))?.temperature

      expect(await Promise.all([1, 2, 3, 4, 5, 99].map((version) => past({ version })))).toEqual([60, 70, 80, 85, 20, 20])
      expect(await Promise.all(times.map((accepted) => past({ accepted })))).toEqual([60, 70, 80, 85])
      expect([await past({ accepted: before }), await past({ accepted: at() })]).toEqual([undefined, 20])
      expect(await plant.stateAsOf(Press, 'nobody', { version: 1 })).toBeUndefined()
    })
  })
})
