import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Edition } from '#processes/editions.js'
import type { ChildRole, Seat } from '#processes/process-role.js'
import { eventually, isPidAlive, PlantOfChildren } from './plant-of-children.js'

const WORKER: Seat<ChildRole> = { role: 'worker', slot: 0 }
const PATIENCE_MS = 30_000

let plant: PlantOfChildren
/** Of the children of the other edition: their notes, and what is wrong with them. */
let folder: string
let other: Edition

beforeEach(async () => {
  plant = new PlantOfChildren({ workerSpares: 1 })
  folder = join(plant.folder, 'other')
  mkdirSync(folder)
  const settings = { folder }
  other = { number: 1, settings: { journal: settings, worker: settings, gateway: settings } }
  await plant.start()
})

afterEach(() => plant.end())

describe('a seat that is handed over', () => {
  test('is left by its holder, which finishes first, and taken by a process of the other edition, as it is from then on', async () => {
    const before = plant.pidOf('worker', 0)

    await plant.supervision.stage('worker', other)
    const over = await plant.supervision.handOver(WORKER, other, PATIENCE_MS)

    expect(plant.ledger().filter((line) => line.startsWith('worker/0 stop'))).toEqual(['worker/0 stops', 'worker/0 stopped'])
    expect(otherLedger()).toEqual([expect.stringContaining('worker/0 took')])
    expect(isPidAlive(before)).toBe(false)
    expect(over).toMatchObject({ ...WORKER, pid: plant.pidOf('worker', 0) })
    expect(over.pauseMs).toBeGreaterThan(over.leftMs)
    expect(plant.eventsOf('handed-over').map((event) => event.over)).toEqual([over])
    expect([...plant.eventsOf('died'), ...plant.eventsOf('replaced')]).toEqual([])

    plant.supervision.kill(WORKER)
    await plant.event('replaced')
    expect(otherLedger().length).toBe(2)

    plant.supervision.settle(other)
    await plant.isSettled()
    const killed = plant.eventsOf('died').filter(({ slot }) => slot === null)
    expect(killed).toEqual([])
    plant.supervision.kill({ role: 'gateway', slot: 0 })
    await plant.event('replaced', ({ replacement }) => replacement.role === 'gateway')
    expect(otherLedger()).toContainEqual(expect.stringContaining('gateway/0 took'))
  })

  test('goes back when whoever took it ends, without waiting for what others failed over', async () => {
    writeFileSync(join(folder, 'worker-fails-taking'), '{"code":"ERR_SCHEMA_CHANGED","message":"it does not fit","action":"operator"}')
    await plant.supervision.stage('worker', other)

    await expect(plant.supervision.handOver(WORKER, other, PATIENCE_MS)).rejects.toMatchObject({ code: 'ERR_SCHEMA_CHANGED' })
    const standing = plant.supervision.edition
    await plant.supervision.handOver(WORKER, standing, PATIENCE_MS)
    plant.supervision.settle(standing)
    await plant.isSettled()

    expect(standing.number).toBe(0)
    expect(plant.supervision.failingSeatCount).toBe(0)
    await eventually('all of the other edition are gone', () => plant.table.snapshot().length === 4)
  })

  test('is not left for code that does not even load, which is not tried again', async () => {
    writeFileSync(join(folder, 'worker-dies-loading'), '')
    const before = plant.pidOf('worker', 0)

    await expect(plant.supervision.stage('worker', other)).rejects.toMatchObject({ code: 'ERR_CODE_LOAD' })
    plant.supervision.kill(WORKER)
    const { replacement } = await plant.event('replaced')

    expect(replacement.attempts).toBe(1)
    expect(plant.pidOf('worker', 0)).not.toBe(before)
    expect(plant.eventsOf('died').filter(({ slot }) => slot === null).length).toBe(1)
  })
})

function otherLedger(): string[] {
  return readFileSync(join(folder, 'ledger'), 'utf8').trimEnd().split('\n')
}
