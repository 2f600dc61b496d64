import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { isMillraceError } from '#base/errors.js'
import { streamControl } from '#processes/control-client.js'
import type { CountReport, CountStep } from '#recovery/worker-count.js'
import { dataPaths } from '#runtime/data-directory.js'
import { PlantSession } from '#runtime/plant-session.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { checkChain } from './chain-check.js'
import { NumberFeeder, stateHashes, untilIdle } from './chain-feeder.js'
import { writeChainPlant } from './chain-plant.js'

/** From one worker to two, and back. */
const CHANGES = soakTimes({ smoke: 2, full: 500 })
const SEED = soakSeed(1)
const IDLE_WITHIN_MS = isSoak ? 120_000 : 30_000
/** A move takes about that long: the kill hits any step of it. */
const WITHIN_MOVE_MS = 12
/** Of the moves of a change, those behind which somebody dies. */
const KILL_EVERY = 11

/** In turns: the worker that gives shards away and the one that takes them, the journal that both need, the gateway that has to wait. */
const VICTIMS = [
  ['worker', 0],
  ['worker', 1],
  ['journal', 0],
  ['gateway', 0],
] as const

let kills = 0

/** Kills while it changes; each kill comes at some moment of a move. */
async function change(session: PlantSession, count: number, prng: Prng): Promise<CountReport> {
  let report: CountReport | undefined
  for await (const step of streamControl(dataPaths(session.dataDirectory).supervisorSocket, 'workers', {
    count,
  }) as AsyncIterable<CountStep>) {
    if (step.kind === 'ended') report = step.report
    if (step.kind !== 'moved' || step.done % KILL_EVERY !== 1) continue
    await delay(prng.below(WITHIN_MOVE_MS))
    const [role, slot] = VICTIMS[kills++ % VICTIMS.length] as (typeof VICTIMS)[number]
    await session.kill(role, slot).catch((error: unknown) => {
      // It has no shards any more, or is dead already.
      if (!isMillraceError(error, 'ERR_SEAT_EMPTY')) throw error
    })
  }
  return report as CountReport
}

test(`the number of workers changes ${CHANGES} times under load while processes die: each thing is done once`, {
  timeout: 24 * 3_600_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-count-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const plantFile = writeChainPlant(directory)
  const session = await PlantSession.start({
    dataDirectory: join(directory, 'data'),
    plantFile,
    env: { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: '1', MILLRACE_WORKERS__SNAPSHOT_EVERY: '50' },
  })
  onTestFinished(() => session.close())
  const prng = new Prng(SEED)
  const feeder = new NumberFeeder()
  await feeder.start(session.dataDirectory)

  const reports: CountReport[] = []
  for (let round = 0; round < CHANGES; round++) reports.push(await change(session, round % 2 === 0 ? 2 : 1, prng))
  await feeder.stop()
  const rows = await untilIdle(session, feeder.sent, IDLE_WITHIN_MS)

  const found = checkChain(rows, feeder.sent)
  const repeated = reports.reduce((sum, one) => sum + one.repeated, 0)
  process.stderr.write(`worker-count-kills: ${JSON.stringify({ kills, repeated, numbers: feeder.sent, ...found })}\n`)
  expect(reports.map(({ ok, workers, failure }) => ({ ok, workers, failure }))).toEqual(
    reports.map((_, round) => ({ ok: true, workers: round % 2 === 0 ? 2 : 1, failure: null })),
  )
  expect(reports.reduce((sum, { moves }) => sum + moves, 0)).toBe(32 * CHANGES)
  expect(feeder.sent).toBeGreaterThan(kills)
  expect(found, `killed under seed ${SEED}`).toEqual({ ...found, missing: 0, doubled: 0, outOfOrder: 0, unsettled: 0, wrong: 0 })
  const { live, replayed } = await stateHashes(session, plantFile)
  expect(live).toBe(replayed)
})
