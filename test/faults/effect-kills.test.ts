import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import type { EntityId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import type { Row } from '#journal/index.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import { PostBox } from '../effects/post-box.js'
import { soakSeed, soakTimes } from '../soak.js'
import { writeEffectPlant } from './effect-plant.js'
import { storedRows } from '../apps/stored-rows.js'

const KILLS = soakTimes({ smoke: 3, full: 400 })
const SEED = soakSeed(1)
const WITHIN_MS = 30_000
const LAMPS = 4
const APART_MS = 100
/** Between a row and a request, whose times are from two clocks of one machine. */
const CLOCK_ERROR_MICROS = 20_000

const VICTIMS = [
  ['gateway', 0],
  ['worker', 0],
  ['journal', 0],
  ['worker', 1],
] as const

interface PlantUnderPages {
  readonly session: PlantSession
  readonly directory: string
  readonly plantFile: string
  readonly box: PostBox
  /** When each key came, in the plant's time. */
  readonly cameAt: Map<string, number[]>
}

const ENV = {
  MILLRACE_HTTP__PORT: '0',
  ...WITHOUT_SPARES,
  MILLRACE_WORKERS__COUNT: '2',
  MILLRACE_WORKERS__SNAPSHOT_EVERY: '20',
  PAGER_TOKEN: 's3cret',
}

/** Of a target that is slow at times, at times fails, and at times takes a page without saying so. */
async function plantUnderPages(prng: Prng): Promise<PlantUnderPages> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-effects-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const box = await PostBox.open()
  onTestFinished(() => box.close())
  const cameAt = new Map<string, number[]>()
  box.answer = ({ key }, response) => {
    cameAt.set(key, [...(cameAt.get(key) ?? []), systemClock.nowMicros()])
    const die = prng.below(20)
    if (die === 0) response.socket?.destroy()
    else if (die < 3) response.writeHead(503).end()
    else setTimeout(() => response.writeHead(200).end(), prng.below(10))
  }
  const plantFile = writeEffectPlant(directory, box.url)
  const session = await PlantSession.start({ dataDirectory: join(directory, 'data'), plantFile, env: ENV })
  onTestFinished(() => session.close())
  return { session, directory, plantFile, box, cameAt }
}

async function killAndRecover(session: PlantSession, role: 'gateway' | 'worker' | 'journal', slot: number): Promise<void> {
  const { recoveryCount } = await session.status()
  const deadlineMs = performance.now() + WITHIN_MS
  await session.kill(role, slot)
  while ((await session.status()).recoveryCount <= recoveryCount) {
    if (performance.now() > deadlineMs) throw new Error(`${role} ${slot} did not come back, killed under seed ${SEED}`)
    await delay(5)
  }
}

async function untilSettled(dataDirectory: string, count: number): Promise<Row[]> {
  const deadlineMs = performance.now() + WITHIN_MS
  for (;;) {
    const rows = await storedRows(dataDirectory)
    if (rows.filter(({ event }) => event === '#settled').length >= count) return rows
    if (performance.now() > deadlineMs) throw new Error(`not every effect has an end, killed under seed ${SEED}`)
    await delay(20)
  }
}

describe('a plant whose entities have pages sent', () => {
  test(`sends each at least once, in order, and none after its end is stored, although processes die ${KILLS} times`, {
    timeout: 24 * 3_600_000,
  }, async () => {
    const prng = new Prng(SEED)
    const { session, directory, plantFile, box, cameAt } = await plantUnderPages(prng)
    const door = await connectDoor(session.dataDirectory)
    let [sent, settled, isOver] = [0, 0, false]
    const feeding = (async () => {
      while (!isOver) {
        const id = sent + 1
        const entity = `lamp/${id % LAMPS}` as EntityId
        const command = { source: 'feeder', sequence: id, entity, command: 'light', data: { id }, at: undefined }
        if (door.offer(command, 'refused', () => settled++) === 'accepted') sent++
        await delay(4)
      }
      while (settled < sent) await delay(1)
    })()

    for (let kill = 0; kill < KILLS; kill++) {
      await delay(prng.below(APART_MS))
      const [role, slot] = VICTIMS[kill % VICTIMS.length] as (typeof VICTIMS)[number]
      await killAndRecover(session, role, slot)
    }
    isOver = true
    await feeding
    await door.close()
    const rows = await untilSettled(session.dataDirectory, sent)

    const told = new Map(rows.filter(({ event }) => event === '#message').map((row) => [keyOf(row), row]))
    const ends = rows.filter(({ event }) => event === '#settled')
    expect(told.size).toBe(sent)
    expect([...cameAt.keys()].sort()).toEqual([...told.keys()].sort())
    expect(ends.map(({ data }) => data['outcome'])).toEqual(Array.from({ length: sent }, () => 'done'))
    const keys = new Map([...told].map(([key, row]) => [`${row.entity} ${String(row.data['number'])}`, key]))
    for (const { entity, data, accepted } of ends) {
      const key = keys.get(`${entity} ${String(data['number'])}`) as string
      const late = (cameAt.get(key) as number[]).filter((at) => at > accepted + CLOCK_ERROR_MICROS)
      expect(late, `${key} came after its end was stored, killed under seed ${SEED}`).toEqual([])
    }
    for (let lamp = 0; lamp < LAMPS; lamp++) {
      const first = [...cameAt.keys()].filter((key) => key.startsWith(`lamp/${lamp}:`)).map((key) => Number(key.split(':')[1]))
      expect(first).toEqual([...first].sort((a, b) => a - b))
    }
    expect(rows.filter(({ event }) => event === 'Heard')).toHaveLength(sent)
    expect(box.posted.every(({ headers }) => headers['authorization'] === 'Bearer s3cret')).toBe(true)

    const before = box.posted.length
    await session.close()
    const again = await PlantSession.start({ dataDirectory: join(directory, 'data'), plantFile, env: ENV })
    await Promise.all([0, 1].map((slot) => again.call('worker', slot, 'idle')))
    await again.close()
    expect(box.posted).toHaveLength(before)
  })
})

function keyOf({ entity, data, at }: Row): string {
  return `${entity}:${String(data['number'])}:${at.toString(36)}`
}
