import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineEntity, i32, PlantModel } from '#entity/index.js'
import { createInMemoryJournal, type InMemoryJournal } from '#journal/in-memory/index.js'
import { writePlantRecord } from '#runtime/plant-record.js'
import { newEventsOf, registerCode } from '#runtime/registered-code.js'
import { entitySchemaToJson } from '#schema/index.js'

const OLD = schemasWith({ Counted: { n: i32() } })
const NEW = schemasWith({ Counted: { n: i32() }, Marked: { n: i32() } })
const WITHOUT = schemasWith({ Marked: { n: i32() } })

let folder: string
let journal: InMemoryJournal

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-registered-'))
  journal = createInMemoryJournal()
  await registerCode(journal, OLD, folder)
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the events of new code', () => {
  test('are those that the log has not been told of, and asking changes nothing', async () => {
    const before = journal.eventTypes.length

    const events = await newEventsOf(journal, NEW, folder)

    expect(events).toEqual([expect.stringMatching(/^counter\.Marked \[.*"n".*\]$/)])
    expect(await newEventsOf(journal, OLD, folder)).toEqual([])
    expect(journal.eventTypes.length).toBe(before)
  })

  test('are refused with those that are stored and cannot be read', async () => {
    await expect(newEventsOf(journal, WITHOUT, folder)).rejects.toMatchObject({ code: 'ERR_SCHEMA_CHANGED' })
  })

  test('keep the old code from starting, unless the record of the plant says that they were given up', async () => {
    const abandonedEvents = await newEventsOf(journal, NEW, folder)
    await registerCode(journal, NEW, folder)

    await expect(registerCode(journal, OLD, folder)).rejects.toMatchObject({ code: 'ERR_SCHEMA_CHANGED' })
    writePlantRecord(folder, { plantFile: '/plant.js', configFile: undefined, abandonedEvents })
    await registerCode(journal, OLD, folder)
    await registerCode(journal, NEW, folder)
  })
})

function schemasWith(events: object): string[] {
  const apply = Object.fromEntries(Object.keys(events).map((name) => [name, () => undefined]))
  const definition = { name: 'counter', events, commands: {}, initial: () => ({}), decide: {}, apply }
  const entity = defineEntity(definition as unknown as Parameters<typeof defineEntity>[0])
  return new PlantModel([entity as never]).schemas.map(entitySchemaToJson)
}
