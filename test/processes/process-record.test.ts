import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { fenceLeftovers, recordProcessesSync } from '#processes/process-record.js'
import type { LivingProcess } from '#processes/supervision-options.js'
import { processStartTime } from '#shm/index.js'

let folder: string
let path: string
const sleepers: ChildProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-record-'))
  path = join(folder, 'processes.json')
})

afterEach(() => {
  for (const sleeper of sleepers.splice(0)) sleeper.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

describe('leftovers of an earlier run', () => {
  test('are killed and gone when they were fenced, stopped ones too', async () => {
    const alive = [startSleeper(), startSleeper()]
    process.kill((alive[0] as LivingProcess).pid, 'SIGSTOP')
    recordProcessesSync(path, alive)

    const fenced = await fenceLeftovers(path, systemClock)

    expect(fenced).toEqual(alive)
    expect(alive.map(({ pid }) => processStartTime(pid))).toEqual([undefined, undefined])
  })

  test('that ended by themselves are passed over', async () => {
    const sleeper = startSleeper()
    recordProcessesSync(path, [sleeper])
    const child = sleepers[0] as ChildProcess
    child.kill('SIGKILL')
    await new Promise((resolve) => child.on('exit', resolve))

    expect(await fenceLeftovers(path, systemClock)).toEqual([])
  })

  test('are not taken for another process that got the pid', async () => {
    const sleeper = startSleeper()
    recordProcessesSync(path, [{ ...sleeper, startTime: sleeper.startTime - 1 }])

    expect(await fenceLeftovers(path, systemClock)).toEqual([])
    expect(processStartTime(sleeper.pid)).toBe(sleeper.startTime)
  })

  test('are not looked for after the machine was booted anew', async () => {
    const sleeper = startSleeper()
    recordProcessesSync(path, [sleeper])
    const record = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, JSON.stringify({ ...record, boot: '00000000-0000-4000-8000-000000000000' }))

    expect(await fenceLeftovers(path, systemClock)).toEqual([])
    expect(processStartTime(sleeper.pid)).toBe(sleeper.startTime)
  })

  test('do not exist where nothing was recorded', async () => {
    expect(await fenceLeftovers(path, systemClock)).toEqual([])
  })
})

describe('a damaged record', () => {
  test.each(['', '{', '{}', '{"boot":"x","processes":[{"pid":1,"startTime":1}]}', '{"boot":"x","processes":[{"pid":"all"}]}'])(
    'stops the start: %j',
    async (text) => {
      writeFileSync(path, text)

      await expect(fenceLeftovers(path, systemClock)).rejects.toMatchObject({ code: 'ERR_PROCESS_RECORD', action: 'operator' })
    },
  )
})

function startSleeper(): LivingProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  sleepers.push(child)
  const pid = child.pid as number
  return { role: 'worker', pid, startTime: processStartTime(pid) as number }
}
