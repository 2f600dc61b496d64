import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Prng } from '#base/prng.js'
import type { Row } from '#journal/index.js'
import { PlantSession } from '#runtime/plant-session.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { checkChain } from './chain-check.js'
import { NumberFeeder, stateHashes, untilIdle } from './chain-feeder.js'
import { CHAIN_LENGTH, writeChainPlant } from './chain-plant.js'

const KILLS = soakTimes({ smoke: 3, full: 1000 })
const SEED = soakSeed(1)
const WORKERS = 2
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
    const rows = await untilIdle(session, feeder.sent, IDLE_WITHIN_MS).catch((error: unknown) => {
      throw new Error(`killed under seed ${SEED}`, { cause: error })
    })

    const report = checkChain(rows, feeder.sent)
    process.stderr.write(`message-kills: ${JSON.stringify({ kills: KILLS, numbers: feeder.sent, ...report })}\n`)
    expect(feeder.sent).toBeGreaterThan(KILLS)
    expect(report, `killed under seed ${SEED}`).toEqual({ ...report, missing: 0, doubled: 0, outOfOrder: 0, unsettled: 0, wrong: 0 })
    const { live, replayed } = await stateHashes(session, plantFile)
    expect(live).toBe(replayed)
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
