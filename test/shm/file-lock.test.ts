import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileLock, ownProcess, processStartTime } from '#shm/index.js'
import { takeByRecord } from '#shm/file-lock.js'
import { ownRecord } from '#shm/lock-record.js'
import { Child } from './child.js'
import { codeOf, failureOf } from './failure-of.js'
import { temporaryDirectory } from './temporary-directory.js'

describe('a file lock', () => {
  test('keeps this process out as well', () => {
    const path = join(temporaryDirectory(), 'lock')
    const lock = FileLock.acquire(path)

    const failure = failureOf(() => FileLock.acquire(path))

    expect(failure.code).toBe('ERR_LOCK_HELD')
    expect(failure.values).toEqual({ path, pid: process.pid })
    expect(failure.message).toContain('this process holds')
    lock.close()
  })

  test('can be taken again once it was closed, and is closed once', () => {
    const path = join(temporaryDirectory(), 'lock')
    const lock = FileLock.acquire(path)

    lock.close()

    expect(readFileSync(path, 'utf8').trim()).toBe('')
    expect(codeOf(() => lock.close())).toBe('ERR_SHM_CLOSED')
    FileLock.acquire(path).close()
  })

  test('takes no more room on the disk when it is taken again, whoever had it', () => {
    const path = join(temporaryDirectory(), 'lock')
    FileLock.acquire(path).close()
    const { size, blocks } = statSync(path)

    const lock = FileLock.acquire(path)

    expect(statSync(path)).toMatchObject({ size, blocks })
    expect(size).toBeGreaterThanOrEqual('9999999 999999999999999 00000000-0000-0000-0000-000000000000\n'.length)
    lock.close()
    expect(statSync(path)).toMatchObject({ size, blocks })
  })

  test('is a private file that names its holder', () => {
    const path = join(temporaryDirectory(), 'lock')
    const lock = FileLock.acquire(path)

    expect(readFileSync(path, 'latin1')).toMatch(new RegExp(`^${process.pid} ${ownProcess().startTime} [0-9a-f-]{36} *\n$`))
    expect(statSync(path).mode & 0o777).toBe(0o600)
    lock.close()
  })

  test('is not inherited by children', () => {
    const lock = FileLock.acquire(join(temporaryDirectory(), 'lock'))

    const descriptor = readdirSync('/proc/self/fd').findLast((fd) => isLockFile(fd)) as string
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1] as string

    expect(Number.parseInt(flags, 8) & 0o2000000).not.toBe(0)
    lock.close()
  })

  test('is not lost when the file is opened and closed by somebody else in the process', () => {
    const path = join(temporaryDirectory(), 'lock')
    const lock = FileLock.acquire(path)

    closeSync(openSync(path, 'r+'))
    readFileSync(path)

    expect(codeOf(() => FileLock.acquire(path))).toBe('ERR_LOCK_HELD')
    lock.close()
  })
})

describe('a file lock held by another process', () => {
  test('is refused with the pid, and free once that process was killed', async () => {
    const path = join(temporaryDirectory(), 'lock')
    const child = new Child('hold-lock', path)
    await child.said('taken')
    // As the holder would have written it.
    writeFileSync(path, `${child.pid} ${processStartTime(child.pid)} ${ownRecord().boot}\n`)

    const failure = failureOf(() => FileLock.acquire(path))
    await child.killed()
    const lock = FileLock.acquire(path)

    expect(failure).toMatchObject({ code: 'ERR_LOCK_HELD', action: 'operator', values: { path, pid: child.pid } })
    lock.close()
  })

  test('is refused without a pid when the file does not name the holder', async () => {
    const path = join(temporaryDirectory(), 'lock')
    const child = new Child('hold-lock', path, `PID 1 another-boot\n`)
    await child.said('taken')

    expect(failureOf(() => FileLock.acquire(path)).values).toEqual({ path, pid: 'unknown' })
    await child.killed()
  })

  test('keeps that process out while we have it', async () => {
    const path = join(temporaryDirectory(), 'lock')
    const lock = FileLock.acquire(path)
    const child = new Child('hold-lock', path)

    await child.said('refused')

    expect(child.lines).toEqual(['refused'])
    lock.close()
  })
})

describe('a lock file that a crash left behind', () => {
  test.each(['999999 1 0', '1 1 0', 'garbage', '', '\0\0\0', '-5 7 x\n', '1 '.repeat(500)])('is taken over: %j', (text) => {
    const path = join(temporaryDirectory(), 'lock')
    writeFileSync(path, text)

    const lock = FileLock.acquire(path)

    expect(readFileSync(path, 'latin1')).toMatch(new RegExp(`^${process.pid} `))
    lock.close()
  })

  test('is taken over although it names a living process, when the machine was booted since', () => {
    const path = join(temporaryDirectory(), 'lock')
    writeFileSync(path, `${process.pid} ${ownProcess().startTime} 00000000-0000-0000-0000-000000000000\n`)

    const lock = FileLock.acquire(path)

    expect(readFileSync(path, 'latin1')).toContain(ownRecord().boot)
    lock.close()
  })
})

describe('a lock taken without the addon', () => {
  test('keeps out both kinds of takers while its process lives', () => {
    const { path, fd } = openLock()

    takeByRecord(path, fd)

    expect(codeOf(() => takeByRecord(path, fd))).toBe('ERR_LOCK_HELD')
    expect(failureOf(() => FileLock.acquire(path)).values).toEqual({ path, pid: process.pid })
    expect(readdirSync(join(path, '..'))).toEqual(['lock'])
    closeSync(fd)
  })

  test('respects one taken with the addon', () => {
    const { path, fd } = openLock()
    const lock = FileLock.acquire(path)

    expect(codeOf(() => takeByRecord(path, fd))).toBe('ERR_LOCK_HELD')
    lock.close()
    takeByRecord(path, fd)
    closeSync(fd)
  })

  test('waits for nobody while another process takes it, unless that one died in the act', () => {
    const { path, fd } = openLock()
    const mark = `${path}.taking`
    writeFileSync(mark, '')

    expect(codeOf(() => takeByRecord(path, fd))).toBe('ERR_LOCK_HELD')
    utimesSync(mark, new Date(0), new Date(0))
    takeByRecord(path, fd)

    expect(readFileSync(path, 'latin1')).toMatch(new RegExp(`^${process.pid} `))
    closeSync(fd)
  })

  function openLock(): { path: string; fd: number } {
    const path = join(temporaryDirectory(), 'lock')
    return { path, fd: openSync(path, 'w+', 0o600) }
  }
})

describe('a place where no lock can be', () => {
  test('is refused', () => {
    const directory = temporaryDirectory()
    mkdirSync(join(directory, 'lock'))

    expect(codeOf(() => FileLock.acquire(join(directory, 'lock')))).toBe('ERR_SHM_NOT_A_FILE')
    expect(codeOf(() => FileLock.acquire(join(directory, 'none', 'lock')))).toBe('ERR_SHM_MISSING')
    for (const path of [undefined, '', 3, 'a\0']) expect(codeOf(() => FileLock.acquire(path as string))).toBe('ERR_ARGUMENT')
  })
})

describe('a thousand locks, taken, refused and closed', () => {
  test('leave no descriptor behind', () => {
    const path = join(temporaryDirectory(), 'lock')
    const before = readdirSync('/proc/self/fd').length

    for (let round = 0; round < 1_000; round++) {
      const lock = FileLock.acquire(path)
      expect(() => FileLock.acquire(path)).toThrow('holds the lock')
      lock.close()
    }

    expect(readdirSync('/proc/self/fd').length).toBe(before)
  })
})

function isLockFile(fd: string): boolean {
  try {
    return readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1').includes('OFDLCK')
  } catch {
    return false
  }
}
