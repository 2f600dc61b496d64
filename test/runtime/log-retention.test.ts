import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { entityId } from '#base/ids.js'
import { defineEntity, f64 } from '#entity/index.js'
import { readRows } from '#journal/index.js'
import { subscribe } from '#reading/subscription.js'
import { subscriptionsOf } from '#reading/subscription-registry.js'
import { type InlinePlant, type OpenPlantOptions, openPlant } from '#runtime/inline-plant.js'
import { until } from '../shm/until.js'

const events = { Sampled: { temperature: f64('°C') } }
const Press = defineEntity({
  name: 'press',
  events,
  commands: { sample: { temperature: f64('°C') } },
  initial: () => ({ sum: 0, count: 0 }),
  decide: {
    sample(state, command, { emit }) {
      emit.Sampled(command)
      return { count: state.count + 1 }
    },
  },
  apply: {
    Sampled(state, event) {
      state.sum += event.temperature
      state.count++
    },
  },
})
/** The same with one more event, so that snapshots of the other are folded anew. */
const ChangedPress = defineEntity({
  name: 'press',
  events: { ...events, Opened: {} },
  commands: {},
  initial: () => ({ sum: 0, count: 0 }),
  decide: {},
  apply: { Sampled: Press.apply.Sampled, Opened() {} },
})

const PRESSES = 40
const DROP_ALL = { bytesMax: 0 }

async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-retention-'))
  try {
    return await use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function withPlant<T>(data: string, options: Partial<OpenPlantOptions>, use: (plant: InlinePlant) => Promise<T>): Promise<T> {
  const plant = await openPlant({ entities: [Press], data, ...options })
  try {
    return await use(plant)
  } finally {
    await plant.close()
  }
}

/** One sample of each press, numbered by the round, so that sending it again is a duplicate. */
async function sampleAll(plant: InlinePlant, round: number): Promise<unknown[]> {
  const one = (press: number) => plant.entity(Press, `press-${press}`).sample({ temperature: round }, { source: 'test', sequence: round })
  return Promise.all(Array.from({ length: PRESSES }, (_, press) => one(press)))
}

async function rowCount(plant: InlinePlant): Promise<number> {
  let count = 0
  for await (const row of readRows(plant.journal, { from: 0 })) count += row.version > 0 ? 1 : 0
  return count
}

/** Reads rows under a name, from where it was, up to the end of the log. */
async function rowsFor(plant: InlinePlant, name: string, countMax: number): Promise<void> {
  let version = 0
  let count = 0
  for await (const row of subscribe(plant.journal, { name, isLive: false })) {
    version += row.version
    if (++count >= countMax) break
  }
  expect(version).toBeGreaterThanOrEqual(count)
}

describe('a plant that keeps no sealed segment', () => {
  test('has every state, version and answer after the rows are gone, live and opened again', async () => {
    await inDirectory(async (data) => {
      await withPlant(data, { retention: DROP_ALL }, async (plant) => {
        for (const round of [1, 2, 3]) await sampleAll(plant, round)
        await plant.journal.seal()
        await until('the segment is gone', () => plant.journal.firstPosition === 3 * PRESSES)
        await sampleAll(plant, 4)

        expect(await rowCount(plant)).toBe(PRESSES)
        const { live, replayed } = await plant.stateHash()
        expect(replayed).toBe(live)
      })
      await withPlant(data, {}, async (plant) => {
        const again = await sampleAll(plant, 4)
        const next = await sampleAll(plant, 5)

        expect(again).toEqual(again.map(() => ({ ok: true, version: 4, reply: { count: 4 } })))
        expect(next).toEqual(next.map(() => ({ ok: true, version: 5, reply: { count: 5 } })))
        expect(await plant.state(Press, 'press-7')).toEqual({ sum: 15, count: 5 })
        const { live, replayed } = await plant.stateHash()
        expect(replayed).toBe(live)
      })
    })
  })

  test('gets base snapshots of passive entities too', async () => {
    await inDirectory((data) =>
      withPlant(data, { retention: DROP_ALL, liveEntitiesMax: 4 }, async (plant) => {
        for (const round of [1, 2]) await sampleAll(plant, round)
        await plant.journal.seal()
        await until('the segment is gone', () => plant.journal.firstPosition === 2 * PRESSES)

        for (let press = 0; press < PRESSES; press++) {
          expect(plant.journal.base(entityId('press', `press-${press}`))).toMatchObject({ version: 2 })
        }
      }),
    )
  })

  test('says of a state of the past that what it comes from is gone, and never folds the rest', async () => {
    await inDirectory((data) =>
      withPlant(data, { retention: { ...DROP_ALL, heldBytesMax: 2 ** 30 }, log: () => {} }, async (plant) => {
        const past = (asOf: { version: number } | { accepted: number }) => plant.stateAsOf(Press, 'press-3', asOf)
        const startMicros = systemClock.nowMicros()
        // Holds the first segment until there are later rows, so that the base is of one of these.
        await sampleAll(plant, 1)
        await rowsFor(plant, 'mes', 1)
        await plant.journal.seal()
        for (const round of [2, 3]) await sampleAll(plant, round)
        await subscriptionsOf(plant.journal).remove('mes')
        await until('the first rows are gone', () => plant.journal.firstPosition === PRESSES)
        await sampleAll(plant, 4)

        const gone = { code: 'ERR_ROWS_DROPPED', values: { entity: 'press/press-3', baseVersion: 3 } }
        await expect(past({ version: 1 })).rejects.toMatchObject(gone)
        await expect(past({ version: 2 })).rejects.toMatchObject(gone)
        await expect(past({ accepted: startMicros })).rejects.toMatchObject(gone)
        expect(await past({ version: 3 })).toEqual({ sum: 6, count: 3 })
        expect(await past({ version: 4 })).toEqual({ sum: 10, count: 4 })
        expect(await plant.stateAsOf(Press, 'nobody', { version: 1 })).toBeUndefined()
      }),
    )
  })

  test('takes no later base for a state of the past whose snapshot no longer fits', async () => {
    await inDirectory(async (data) => {
      await withPlant(data, { retention: { ...DROP_ALL, heldBytesMax: 2 ** 30 }, snapshotEvery: 1, log: () => {} }, async (plant) => {
        await sampleAll(plant, 1)
        await rowsFor(plant, 'mes', 1)
        await plant.journal.seal()
        for (const round of [2, 3]) await sampleAll(plant, round)
        await until('there are snapshots', () => plant.journal.snapshot(entityId('press', 'press-3'))?.version === 3)
        await subscriptionsOf(plant.journal).remove('mes')
        await until('the first rows are gone', () => plant.journal.firstPosition === PRESSES)
        expect(await plant.stateAsOf(Press, 'press-3', { version: 2 })).toEqual({ sum: 3, count: 2 })
      })

      const plant = await openPlant({ entities: [ChangedPress], data })
      try {
        await expect(plant.stateAsOf(ChangedPress, 'press-3', { version: 2 })).rejects.toMatchObject({ code: 'ERR_ROWS_DROPPED' })
        expect(await plant.stateAsOf(ChangedPress, 'press-3', { version: 3 })).toEqual({ sum: 6, count: 3 })
      } finally {
        await plant.close()
      }
    })
  })

  test('opens with nothing of an entity left but its base', async () => {
    await inDirectory(async (data) => {
      await withPlant(data, { retention: DROP_ALL }, async (plant) => {
        await sampleAll(plant, 1)
        await plant.journal.seal()
        await until('the segment is gone', () => plant.journal.firstPosition === PRESSES)
      })

      await withPlant(data, {}, async (plant) => {
        expect(await plant.state(Press, 'press-3')).toEqual({ sum: 1, count: 1 })
      })
    })
  })
})

describe('a subscription that lags behind what retention would drop', () => {
  test('holds it until it has had it', async () => {
    const said: string[] = []
    const log = (level: string, message: string) => void said.push(`${level} ${message}`)
    await inDirectory((data) =>
      withPlant(data, { retention: { ...DROP_ALL, heldBytesMax: 2 ** 30 }, log }, async (plant) => {
        await sampleAll(plant, 1)
        await rowsFor(plant, 'mes', 1)
        await plant.journal.seal()
        await until('it says that it holds', () => said.length > 0)
        expect(said).toEqual(['warn a segment is held for subscriptions that lag'])
        expect(plant.journal.firstPosition).toBe(0)

        await rowsFor(plant, 'mes', Number.POSITIVE_INFINITY)

        await until('the segment is gone', () => plant.journal.firstPosition === PRESSES)
        expect(subscriptionsOf(plant.journal).list()).toMatchObject([{ name: 'mes', isFenced: false }])
      }),
    )
  })

  test('is fenced and named when it holds more than it may', async () => {
    await inDirectory((data) =>
      withPlant(data, { retention: { ...DROP_ALL, heldBytesMax: 1 }, log: () => {} }, async (plant) => {
        await sampleAll(plant, 1)
        await rowsFor(plant, 'mes', 1)
        await plant.journal.seal()

        await until('the segment is gone', () => plant.journal.firstPosition === PRESSES)

        const [state] = subscriptionsOf(plant.journal).list()
        expect(state).toMatchObject({ name: 'mes', isFenced: true })
        expect(state?.reason).toContain('bytes of the log, more than retention.heldBytesMax=1')
        await expect(rowsFor(plant, 'mes', 1)).rejects.toMatchObject({
          code: 'ERR_SUBSCRIPTION_FENCED',
          message: expect.stringMatching(new RegExp(`firstPosition=${PRESSES}: .*\\bmillrace subscription reset mes\\b`)) as string,
        })
      }),
    )
  })
})

describe('a plant with an archive', () => {
  test('copies a segment there before it goes', async () => {
    await inDirectory(async (folder) => {
      const archive = join(folder, 'archive')
      await withPlant(join(folder, 'data'), { retention: { ...DROP_ALL, archive } }, async (plant) => {
        await sampleAll(plant, 1)
        await plant.journal.seal()
        await until('the segment is gone', () => plant.journal.firstPosition === PRESSES)
      })

      expect(readdirSync(archive)).toEqual(['000000000000.segment'])
    })
  })

  test('keeps the segment while it cannot be copied', async () => {
    await inDirectory(async (folder) => {
      const said: string[] = []
      const retention = { ...DROP_ALL, archive: '/proc/no-such-place' }
      await withPlant(join(folder, 'data'), { retention, log: (level, message) => said.push(`${level} ${message}`) }, async (plant) => {
        await sampleAll(plant, 1)
        await plant.journal.seal()
        await until('it says why', () => said.length > 0)

        expect(said).toEqual(['error retention failed and will try again'])
        expect(plant.journal.firstPosition).toBe(0)
      })
    })
  })
})
