import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { compiledPath } from '../../bench/harness/compiled.js'
import type { Judgement, JudgeOrder, JudgeSetup } from '../../bench/harness/journal-judge.js'
import type { Acknowledgement } from '../../bench/harness/journal-worker.js'
import { MeasuringProcess } from '../../bench/harness/measuring-process.js'
import { compileRecordedDisk, recordedDiskEnvironment } from '../../bench/harness/recorded-disk.js'
import { CountingClients } from '../apps/counting-clients.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { run, startPlant, until } from '../apps/program-under-test.js'
import { soakSeed, soakTimes } from '../soak.js'

const STEPS = 24
const rounds = soakTimes({ smoke: 1, full: 200 })
const seed = soakSeed(1)

let folder: string
let recorder: Awaited<ReturnType<typeof compileRecordedDisk>>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-sync-'))
  recorder = await compileRecordedDisk(folder)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function libraryOrSkip(context: { skip(note: string): void }): string {
  if (typeof recorder !== 'string') return recorder.library
  if (process.env['CI'] === undefined) context.skip(recorder)
  throw new Error(recorder)
}

describe(`a journal whose disk fails at a sync (seed ${seed})`, () => {
  test(`dies at once, and its successor finds all that was acknowledged: ${rounds} times, at any sync`, async (context) => {
    const library = libraryOrSkip(context)
    const prng = new Prng(`${seed}-sync`)
    for (let round = 0; round < rounds; round++) {
      const directory = join(folder, `log-${round}`)
      const failFile = join(folder, 'fail')
      const acks = join(folder, 'acks')
      mkdirSync(directory, { mode: 0o700 })
      writeFileSync(failFile, String(20 + prng.below(40)))
      const env = { ...process.env, ...recordedDiskEnvironment({ library, root: directory, failFile }) }

      const { code, errors } = await ended(
        spawn(
          process.execPath,
          [compiledPath('harness/journal-worker'), JSON.stringify({ directory, acks, seed: seed + round, steps: STEPS })],
          {
            env,
          },
        ),
      )
      const judge = new MeasuringProcess<JudgeSetup, JudgeOrder, Judgement>('harness/journal-judge', { seed: seed + round, steps: STEPS })
      const promised = { directory, isWriting: false, ...acknowledged(acks) }
      const judgement = await judge.order(promised)
      const oneTooMany = await judge.order({ ...promised, endPosition: promised.endPosition + 1 })
      judge.kill()

      expect(code, errors).toBe(1)
      expect(errors).toMatch(/ERR_JOURNAL_DISK|EIO/)
      expect(judgement.failed).toBeUndefined()
      expect(judgement).toMatchObject({ wrong: [], missing: [], damaged: [] })
      // Had it promised what the failed sync was to make durable, that would be missed.
      expect(oneTooMany.missing).toHaveLength(1)
      rmSync(directory, { recursive: true })
    }
  })

  test('in a plant dies, is replaced, and nothing that was acknowledged is gone', async (context) => {
    const library = libraryOrSkip(context)
    const plant = new PlantFolder()
    const failFile = join(plant.path, 'fail')
    mkdirSync(plant.data, { mode: 0o700 })
    const env = recordedDiskEnvironment({ library, root: join(plant.data, 'journal'), failFile })
    const { up } = await startPlant(plant, { env })
    const clients = await CountingClients.open(plant, 8)
    await until('some hundred events are durable', () => clients.acked > 300)

    writeFileSync(failFile, '3')
    await until('the journal is replaced', async () => {
      const { recoveries } = (await run(plant, ['status', '--json'])).json as { recoveries?: readonly { process: string }[] }
      return recoveries?.some(({ process: name }) => name.startsWith('journal')) === true
    })
    const acked = clients.acked
    await until('events go on', () => clients.acked > acked + 300)
    clients.stop()
    await until('all are durable', () => clients.isSettled)

    expect(await clients.check(plant)).toMatchObject({ ackedMissing: 0, duplicated: 0, outOfOrder: 0, invented: 0 })
    expect((await run(plant, ['log', 'verify', '--json'])).json).toMatchObject({ ok: true })
    expect(readFileSync(join(plant.data, 'logs', 'journal.log'), 'utf8')).toContain('ERR_JOURNAL_DISK')
    await clients.close()
    up.kill('SIGTERM')
    await up.ended
    plant.remove()
  })
})

function ended(child: ReturnType<typeof spawn>): Promise<{ readonly code: number | string; readonly errors: string }> {
  let errors = ''
  child.stderr?.on('data', (piece: Buffer) => (errors += piece.toString()))
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? signal ?? 'gone', errors }))
  })
}

/** What the process had promised when it died. */
function acknowledged(path: string): Pick<JudgeOrder, 'endPosition' | 'firstPosition' | 'laterFirstPositions' | 'checkpoints'> {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  const said = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Acknowledgement)
  const checkpoints = said.flatMap(({ checkpoint }) => (checkpoint === undefined ? [] : [[checkpoint.name, checkpoint.value] as const]))
  return {
    endPosition: said.at(-1)?.endPosition ?? 0,
    firstPosition: said.at(-1)?.firstPosition ?? 0,
    laterFirstPositions: undefined,
    checkpoints,
  }
}
