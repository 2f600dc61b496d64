import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { PlantHash, PlantModel } from '#entity/index.js'
import type { Row } from '#journal/index.js'
import { connectDoor } from '#runtime/door-access.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { importPlant } from '#runtime/plant-module.js'
import { PlantSession } from '#runtime/plant-session.js'
import { replayHashOf } from '#runtime/replay-hash.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { checkChain } from './chain-check.js'
import { CHAIN_LENGTH, writeChainPlant } from './chain-plant.js'

const KILLS = soakTimes({ smoke: 3, full: 1000 })
const SEED = soakSeed(1)
const WORKERS = 2
/** Of numbers on their way to the first relay. */
const WINDOW = 8
/** Longest time between two kills: a number takes about that long along the chain. */
const APART_MS = 120
const IDLE_WITHIN_MS = isSoak ? 120_000 : 30_000

type Victims = readonly (readonly ['worker' | 'journal' | 'gateway', number])[]

/** One after the other: each alone, and those at both ends of a message or of an append at once. */
const VICTIMS: readonly Victims[] = [
  [['worker', 0]],
  [['journal', 0]],
  [
    ['worker', 1],
    ['journal', 0],
  ],
  [
    ['worker', 0],
    ['worker', 1],
  ],
  [['worker', 1]],
  [['gateway', 0]],
]

/** Numbers for the first relay, one after the other, as long as it runs. */
class NumberFeeder {
  sent = 0
  settled = 0
  #isStopped = false
  #running: Promise<void> | undefined

  async start(dataDirectory: string): Promise<void> {
    const door = await connectDoor(dataDirectory)
    this.#running = this.#run(door)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #run(door: Awaited<ReturnType<typeof connectDoor>>): Promise<void> {
    while (!this.#isStopped || this.settled < this.sent) {
      if (this.#isStopped || this.sent - this.settled >= WINDOW) {
        await delay(1)
        continue
      }
      const id = this.sent + 1
      const command = { source: 'feeder', sequence: id, entity: 'relay/0', command: 'pass', data: { id }, at: undefined } as const
      if (door.offer(command, 'refused', () => this.settled++) === 'accepted') this.sent++
      else await new Promise<void>((resolve) => door.onRoom(resolve))
      await delay(2)
    }
    await door.close()
  }
}

async function rowsOf(dataDirectory: string): Promise<Row[]> {
  const access = await JournalAccess.open(dataDirectory)
  try {
    const rows: Row[] = []
    for await (const row of access.query({ receipts: true })) rows.push(row)
    return rows
  } finally {
    await access.close()
  }
}

/** Until nothing is under way in any worker, and all timers have gone off. */
async function untilIdle(session: PlantSession, count: number): Promise<Row[]> {
  const deadlineMs = performance.now() + IDLE_WITHIN_MS
  for (;;) {
    const idle = await Promise.all(Array.from({ length: WORKERS }, (_, slot) => session.call('worker', slot, 'idle')))
    if (idle.every((one) => one === true)) {
      const rows = await rowsOf(session.dataDirectory)
      const { missing, unsettled } = checkChain(rows, count)
      if ((missing === 0 && unsettled === 0) || performance.now() > deadlineMs) return rows
    }
    if (performance.now() > deadlineMs) throw new Error(`the plant did not come to rest, killed under seed ${SEED}`)
    await delay(20)
  }
}

/** Kills all of them at once and resolves when each seat works again. */
async function killAndRecover(session: PlantSession, victims: Victims): Promise<void> {
  const { recoveryCount } = await session.status()
  const deadlineMs = performance.now() + IDLE_WITHIN_MS
  await Promise.all(victims.map(([role, slot]) => session.kill(role, slot)))
  while ((await session.status()).recoveryCount < recoveryCount + victims.length) {
    if (performance.now() > deadlineMs) throw new Error(`${JSON.stringify(victims)} did not come back, killed under seed ${SEED}`)
    await delay(5)
  }
}

describe(`a chain of ${CHAIN_LENGTH} entities over two workers`, () => {
  test(`does each thing once although processes die ${KILLS} times at any step`, { timeout: 24 * 3_600_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-chain-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const plantFile = writeChainPlant(directory)
    const session = await PlantSession.start({
      dataDirectory: join(directory, 'data'),
      plantFile,
      env: { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: String(WORKERS), MILLRACE_WORKERS__SNAPSHOT_EVERY: '50' },
    })
    onTestFinished(() => session.close())
    const prng = new Prng(SEED)
    const feeder = new NumberFeeder()
    await feeder.start(session.dataDirectory)

    for (let kill = 0; kill < KILLS; kill++) {
      await delay(prng.below(APART_MS))
      const victims = VICTIMS[kill % VICTIMS.length] as Victims
      await killAndRecover(session, victims)
    }
    await feeder.stop()
    const rows = await untilIdle(session, feeder.sent)

    const report = checkChain(rows, feeder.sent)
    process.stderr.write(`message-kills: ${JSON.stringify({ kills: KILLS, numbers: feeder.sent, ...report })}\n`)
    expect(feeder.sent).toBeGreaterThan(KILLS)
    expect(report, `killed under seed ${SEED}`).toEqual({ ...report, missing: 0, doubled: 0, outOfOrder: 0, unsettled: 0, wrong: 0 })
    const live = new PlantHash()
    for (let slot = 0; slot < WORKERS; slot++) live.merge(((await session.call('worker', slot, 'stateHash')) as { hash: string }).hash)
    const access = await JournalAccess.open(session.dataDirectory)
    const replayed = await replayHashOf(access, new PlantModel((await importPlant(plantFile)).entities))
    await access.close()
    expect(live.hex()).toBe(replayed)
  })
})

describe('the check of a chain', () => {
  const row = (entity: string, event: string, data: object): Row => ({ entity, event, data }) as unknown as Row
  const last = `relay/${CHAIN_LENGTH - 1}`
  const rows = [1, 2].flatMap((id) => [
    ...Array.from({ length: CHAIN_LENGTH }, (_, place) => [
      row(`relay/${place}`, 'Took', { id }),
      row(`relay/${place}`, '#message', { number: id }),
      row(`relay/${place}`, '#settled', { number: id, outcome: 'done' }),
    ]).flat(),
    row(last, 'Heard', { id, outcome: 'done' }),
    row(last, 'Rang', { id }),
  ])
  const clean = { effects: 24, missing: 0, doubled: 0, outOfOrder: 0, unsettled: 0, wrong: 0 }
  const at = (event: string): number => rows.findIndex((one) => one.event === event)

  test('finds nothing where nothing is wrong', () => {
    expect(checkChain(rows, 2)).toEqual(clean)
  })

  test.each([
    ['an effect that is lost', rows.toSpliced(at('Took'), 1), { missing: 1 }],
    ['a timer that went off twice', [...rows, rows[at('Rang')] as Row], { doubled: 1 }],
    ['two that changed places', [...rows.slice(rows.length / 2), ...rows.slice(0, rows.length / 2)], { outOfOrder: CHAIN_LENGTH }],
    ['a message that has no end', rows.toSpliced(at('#settled'), 1), { unsettled: 1 }],
    ['an answer that is wrong', rows.with(at('Heard'), row(last, 'Heard', { id: 1, outcome: 'wrong' })), { wrong: 1 }],
  ])('finds %s', (_, wrong, found) => {
    expect(checkChain(wrong, 2)).toEqual({ ...clean, ...found })
  })
})
