import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { callControl, streamControl } from '#processes/control-client.js'
import { SUPERVISION_LIMITS } from '#processes/supervision-options.js'
import { processStartTime } from '#shm/index.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { eventually } from '../processes/plant-of-children.js'
import { SupervisedDirectory } from '../processes/supervisor-process.js'

const ORPHAN_BOUND_MS = 400

let directory: SupervisedDirectory

beforeEach(() => {
  directory = new SupervisedDirectory()
})

afterEach(() => directory.end())

describe('a supervisor on a data directory', () => {
  test('answers status with itself, its seats and its spares', async () => {
    const supervisor = await directory.up(2)

    const status = await directory.status()

    expect(status).toMatchObject({ ready: true, stopping: false, dataDirectory: directory.data, recoveryCount: 0, recoveries: [] })
    expect(status.processes[0]).toMatchObject({ role: 'supervisor', slot: 0, pid: supervisor.pid, state: 'ready' })
    expect(status.processes.map(({ role, slot, state }) => `${role}/${slot ?? 'spare'} ${state}`).slice(1, 5)).toEqual([
      'journal/0 ready',
      'worker/0 ready',
      'worker/1 ready',
      'gateway/0 ready',
    ])
    for (const { pid, pulseAgeMs } of status.processes) {
      expect(processStartTime(pid as number)).toBeDefined()
      if (pulseAgeMs !== null) expect(pulseAgeMs).toBeLessThan(1000)
    }
  })

  test('keeps everything to its owner', async () => {
    await directory.up()

    const modes = ['.', 'run', 'logs', 'recoveries'].map((name) => statSync(join(directory.data, name)).mode & 0o777)
    const files = ['plant.lock', 'term', 'run/processes.json', 'run/supervisor.sock'].map(
      (name) => statSync(join(directory.data, name)).mode & 0o777,
    )

    expect(modes).toEqual([0o700, 0o700, 0o700, 0o700])
    expect(files).toEqual([0o600, 0o600, 0o600, 0o600])
    expect(statSync(directory.runtimeDirectory()).mode & 0o777).toBe(0o700)
  })

  test('keeps a second one out by name, and is not disturbed', async () => {
    const first = await directory.up()

    const second = await directory.up()

    expect(await second.ended()).toBe(1)
    expect(second.errors).toMatch(new RegExp(`^ERR_PLANT_RUNNING .*pid=${first.pid}.*millrace down`))
    expect((await directory.status()).ready).toBe(true)
  })

  test('kills a seat on request, reports the recovery and keeps it in a file', async () => {
    await directory.up()
    const events = streamControl(directory.socket, 'events')
    const first = events.next()
    await eventually('the killed worker is reported', async () => {
      const { pid } = (await callControl(directory.socket, 'kill', { role: 'worker' })) as { pid: number }
      return pid > 0
    })
    await eventually('it is replaced', async () => (await directory.status()).recoveryCount > 0)

    const { recoveries } = await directory.status()

    expect(((await first).value as { kind: string }).kind).toBe('died')
    expect(recoveries[0]).toMatchObject({ process: 'worker/0', cause: 'SIGKILL', entities: 7, events: 70 })
    const files = readdirSync(join(directory.data, 'recoveries'))
    expect(files.length).toBe(1)
    expect(JSON.parse(readFileSync(join(directory.data, 'recoveries', files[0] as string), 'utf8'))).toEqual(recoveries[0])
    await events.return()
  })

  test('keeps the output of each role in a log file, and the one before once it has grown large', async () => {
    const first = await directory.up()
    const log = join(directory.data, 'logs', 'worker.log')
    expect(readFileSync(log, 'utf8')).toContain('worker was born')
    expect(statSync(log).mode & 0o777).toBe(0o600)
    await first.endBy('SIGTERM')
    truncateSync(log, 17 << 20)

    await directory.up()

    expect(statSync(`${log}.old`).size).toBe(17 << 20)
    expect(readFileSync(log, 'utf8')).toMatch(/^(worker was born\n)+$/)
  })

  test('passes calls on to its processes', async () => {
    await directory.up()

    expect(await callControl(directory.socket, 'call', { role: 'gateway', name: 'echo', args: [1, 2] })).toEqual([1, 2])
    await expect(callControl(directory.socket, 'call', { role: 'gateway', slot: 3, name: 'echo' })).rejects.toMatchObject({
      code: 'ERR_SEAT_EMPTY',
    })
    await expect(callControl(directory.socket, 'call', { role: 'nobody', name: 'echo' })).rejects.toMatchObject({
      code: 'ERR_CONTROL_ARGS',
    })
    await expect(callControl(directory.socket, 'kill', { role: 'worker', slot: -1 })).rejects.toMatchObject({ code: 'ERR_CONTROL_ARGS' })
  })

  test('forgives a process that was paused together with it, as when the whole machine is', async () => {
    const supervisor = await directory.up()
    await eventually('the spare is there', async () => (await directory.status()).processes.some(({ slot }) => slot === null))
    const { processes } = await directory.status()
    const worker = processes.find(({ role, slot }) => role === 'worker' && slot === 0)?.pid as number
    const spare = processes.find(({ slot }) => slot === null)?.pid as number

    // The spare's death wakes the supervisor by an event, before its tick is due.
    process.kill(worker, 'SIGSTOP')
    await eventually('the supervisor sees no pulse', async () => (await pulseAgeOf(worker)) > 2 * SUPERVISION_LIMITS.tickMs)
    supervisor.child.kill('SIGSTOP')
    process.kill(spare, 'SIGKILL')
    await setTimeout(2 * SUPERVISION_LIMITS.pulseLimitMs)
    supervisor.child.kill('SIGCONT')
    await directory.status()
    process.kill(worker, 'SIGCONT')
    await eventually('the worker was looked at again', async () => (await pulseAgeOf(worker)) < SUPERVISION_LIMITS.tickMs)

    expect(await directory.childPids()).toContain(worker)
    expect((await directory.status()).recoveryCount).toBe(0)
  })
})

describe('a plant told to stop', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('by %s ends in order with code 0 and leaves nothing behind', async (signal) => {
    const supervisor = await directory.up()
    const children = await directory.childPids()

    const code = await supervisor.endBy(signal)

    expect(code).toBe(0)
    expect(children.filter((pid) => processStartTime(pid) !== undefined)).toEqual([])
    expect(existsSync(directory.socket)).toBe(false)
    expect(existsSync(directory.runtimeDirectory())).toBe(false)
    expect(readFileSync(join(directory.folder, 'ledger'), 'utf8')).toContain('journal/0 stopped')
  })

  test('over its socket answers once another may take the directory', async () => {
    await directory.up()

    await callControl(directory.socket, 'stop')
    const next = await directory.up()

    expect(next.errors).toBe('')
    expect(next.hasEnded).toBe(false)
  })

  test('by a second signal is forced', async () => {
    const supervisor = await directory.up()
    writeFileSync(join(directory.folder, 'gateway-ignores-stop'), '')
    supervisor.child.kill('SIGTERM')
    await eventually('it stops', () => readFileSync(join(directory.folder, 'ledger'), 'utf8').includes('gateway/0 stops'))
    const before = performance.now()

    const code = await supervisor.endBy('SIGTERM')

    expect(code).toBe(1)
    expect(performance.now() - before).toBeLessThan(900)
  })
})

describe('a supervisor killed with SIGKILL', () => {
  test('is followed by its children within their bound, also by one that lingers', async () => {
    const supervisor = await directory.up(2)
    const children = await directory.childPids()
    writeFileSync(join(directory.folder, 'worker-lingers'), '')

    await supervisor.endBy('SIGKILL')
    const before = performance.now()
    await eventually('all children are gone', () => children.every((pid) => processStartTime(pid) === undefined))

    expect(performance.now() - before).toBeLessThan(ORPHAN_BOUND_MS + 800)
    expect(readFileSync(join(directory.folder, 'ledger'), 'utf8')).toContain('worker/0 orphaned')
  })

  test('leaves a directory that the next one takes over, under higher terms', async () => {
    const first = await directory.up()
    const termsBefore = (await directory.status()).processes.map(({ term }) => term ?? 0)

    await first.endBy('SIGKILL')
    await directory.up()

    const status: PlantStatus = await directory.status()
    const terms = status.processes.filter(({ role, slot }) => role !== 'supervisor' && slot !== null).map(({ term }) => term ?? 0)
    expect(status.ready).toBe(true)
    expect(Math.min(...terms)).toBeGreaterThan(Math.max(...termsBefore))
  })

  test('has its leftovers fenced by the next one, also those that cannot end by themselves', async () => {
    const first = await directory.up(2)
    const leftovers = await directory.childPids()
    for (const pid of leftovers) process.kill(pid, 'SIGSTOP')

    await first.endBy('SIGKILL')
    expect(leftovers.every((pid) => processStartTime(pid) !== undefined)).toBe(true)
    await directory.up(2)

    expect(leftovers.filter((pid) => processStartTime(pid) !== undefined)).toEqual([])
    expect((await directory.status()).ready).toBe(true)
  })

  test('on request is as dead', async () => {
    const supervisor = await directory.up()

    await callControl(directory.socket, 'kill', { role: 'supervisor' }).catch(() => undefined)

    expect(await supervisor.ended()).toBe('SIGKILL')
  })
})

/** Of a process as its supervisor sees it; 0 when it sees none. */
async function pulseAgeOf(pid: number): Promise<number> {
  return (await directory.status()).processes.find((process) => process.pid === pid)?.pulseAgeMs ?? 0
}
