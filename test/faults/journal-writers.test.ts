import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { callControl } from '#processes/control-client.js'
import { takeDataDirectory } from '#processes/plant-lock.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { dataPaths } from '#runtime/data-directory.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { run, startPlant, until } from '../apps/program-under-test.js'
import { collect, rowsOf } from '../contracts/journal-adapter.js'

const HOLDER = fileURLToPath(new URL('./children/lock-holder.mjs', import.meta.url))
const READER = fileURLToPath(new URL('./children/log-reader.mjs', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'millrace-writers-'))
const children: ChildProcess[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Starts a program and resolves when it says that it is there. */
async function started(program: string, ...args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await new Promise((resolve, reject) => {
    child.stdout?.once('data', resolve)
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)))
  })
  return child
}

describe('a data directory whose holder is stopped', () => {
  test('is refused to a second one until the first is killed, so that nobody is replaced who could wake and write', async () => {
    const directory = join(root, 'held')
    const holder = await started(HOLDER, directory)
    holder.kill('SIGSTOP')

    expect(() => takeDataDirectory(directory)).toThrowError(
      expect.objectContaining({ code: 'ERR_PLANT_RUNNING', values: { data: directory, pid: holder.pid } }),
    )
    holder.kill('SIGKILL')
    await new Promise((resolve) => holder.once('exit', resolve))
    const lock = takeDataDirectory(directory)

    lock.close()
  })
})

describe('the journal of a plant that is stopped', () => {
  test('is killed and reaped before its successor starts: it never wakes', async () => {
    const folder = new PlantFolder()
    const { up, ready } = await startPlant(folder, {
      env: { MILLRACE_PROCESSES__PULSE_LIMIT_MS: '500', MILLRACE_PROCESSES__TURN_LIMIT_MS: '500' },
    })
    await run(folder, ['send', 'counter/a', 'count', '{"n":1}', '--json'])
    const stopped = ready.processes.find(({ role }) => role === 'journal')?.pid as number

    process.kill(stopped, 'SIGSTOP')
    await until('a successor is ready', async () => {
      const { processes } = (await callControl(dataPaths(folder.data).supervisorSocket, 'status')) as PlantStatus
      return processes.some(({ role, pid, state }) => role === 'journal' && pid !== stopped && state === 'ready')
    })

    expect(folder.processes().map(({ pid }) => pid)).not.toContain(stopped)
    expect(await run(folder, ['send', 'counter/a', 'count', '{"n":2}', '--json'])).toMatchObject({ code: 0, json: { version: 2 } })
    up.kill('SIGTERM')
    await up.ended
    expect((await run(folder, ['log', 'verify', '--json'])).json).toMatchObject({ ok: true })
    folder.remove()
  })
})

describe('readers of a log that are killed in the middle', () => {
  test('hold neither a slot nor room: a writer opens the log, and a hundred more read it beside that', async () => {
    const directory = join(root, 'log')
    await (await openLmdbJournal({ directory })).close()
    for (let count = 0; count < 3; count++) {
      const reader = await started(READER, directory)
      reader.kill('SIGKILL')
      await new Promise((resolve) => reader.once('exit', resolve))
    }

    const journal = await openLmdbJournal({ directory })
    const readers = await Promise.all(Array.from({ length: 100 }, () => readerOf(directory)))

    expect(await collect(journal.verify())).toEqual([])
    expect(await rowsOf(journal)).toEqual([])
    for (const reader of readers) await reader.close()
    await journal.close()
  })
})

/** What a reader opens of each environment. */
async function readerOf(directory: string) {
  const { PlainDatabase } = await import('#journal/lmdb/plain-database.js')
  return new PlainDatabase(join(directory, 'catalog', 'data.mdb'))
}
