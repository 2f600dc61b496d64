import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isAlive, ownProcess, processStartTime } from '#shm/index.js'
import { parseStartTime } from '#shm/liveness.js'
import { codeOf } from './failure-of.js'
import { until } from './until.js'

const PID_NOBODY_HAS = 2 ** 22

describe('this process', () => {
  test('is alive under its pid and start time', () => {
    const self = ownProcess()

    expect(self.pid).toBe(process.pid)
    expect(self.startTime).toBeGreaterThan(0)
    expect(processStartTime(process.pid)).toBe(self.startTime)
    expect(isAlive(self)).toBe(true)
  })

  test('is not alive as another one that had its pid before', () => {
    const self = ownProcess()

    expect(isAlive({ ...self, startTime: self.startTime - 1 })).toBe(false)
  })
})

describe('a child', () => {
  test('is alive until it was killed', async () => {
    const child = spawn('sleep', ['100'], { stdio: 'ignore' })
    const pid = child.pid as number
    const startTime = processStartTime(pid) as number
    expect(isAlive({ pid, startTime })).toBe(true)
    expect(startTime).toBeGreaterThanOrEqual(ownProcess().startTime)

    child.kill('SIGKILL')
    await once(child, 'exit')

    expect(isAlive({ pid, startTime })).toBe(false)
    expect(processStartTime(pid)).toBeUndefined()
  })

  test('is alive while it is stopped', async () => {
    const child = spawn('sleep', ['100'], { stdio: 'ignore' })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
    const pid = child.pid as number

    child.kill('SIGSTOP')
    await until('it stands', () => readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') T '))

    expect(processStartTime(pid)).toBeGreaterThan(0)
  })

  test('is dead as soon as it is a zombie', async () => {
    // The shell becomes a program that never looks after its children.
    const parent = spawn('sh', ['-c', 'sleep 100 & echo $!; exec sleep 100'], { stdio: ['ignore', 'pipe', 'ignore'] })
    onTestFinished(() => {
      parent.kill('SIGKILL')
    })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    const startTime = processStartTime(pid) as number
    expect(isAlive({ pid, startTime })).toBe(true)
    await until('its parent is that program', () => readFileSync(`/proc/${parent.pid}/comm`, 'latin1') === 'sleep\n')

    process.kill(pid, 'SIGKILL')
    await until('it is a zombie', () => readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z '))

    expect(isAlive({ pid, startTime })).toBe(false)
    expect(processStartTime(pid)).toBeUndefined()
  })
})

describe('a pid that nobody has', () => {
  test('has no start time', () => {
    expect(processStartTime(PID_NOBODY_HAS)).toBeUndefined()
    expect(isAlive({ pid: PID_NOBODY_HAS, startTime: 1 })).toBe(false)
  })

  test.each([0, -1, 1.5, Number.NaN, Infinity, '1', undefined, PID_NOBODY_HAS + 1])('is refused when it can be none: %s', (pid) => {
    expect(codeOf(() => processStartTime(pid as number))).toBe('ERR_ARGUMENT')
    expect(codeOf(() => isAlive({ pid: pid as number, startTime: 1 }))).toBe('ERR_ARGUMENT')
  })

  test.each([-1, 1.5, Number.NaN, '1', undefined])('is refused with a start time that can be none: %s', (startTime) => {
    expect(codeOf(() => isAlive({ pid: 1, startTime: startTime as number }))).toBe('ERR_ARGUMENT')
  })
})

describe('the stat line of a process', () => {
  const fieldsAfterState = '1 1 1 0 -1 4194560 100 0 0 0 5 3 0 0 20 0 11 0 987654 1000000 200 18446744073709551615'

  test.each(['node', 'a b', ')', ') Z 1 (', 'x) S 1 2 3', ''])('is read whatever the name: %j', (name) => {
    expect(parseStartTime(`77 (${name}) S ${fieldsAfterState}\n`)).toBe(987654)
    expect(parseStartTime(`77 (${name}) Z ${fieldsAfterState}\n`)).toBeUndefined()
    expect(parseStartTime(`77 (${name}) X ${fieldsAfterState}\n`)).toBeUndefined()
  })

  test.each(['', '77', '77 (node) S 1 2 3\n'])('gives nothing when it is cut short: %j', (stat) => {
    expect(parseStartTime(stat)).toBeUndefined()
  })
})
