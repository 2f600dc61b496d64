import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Bell, RemoteBell, ringBell } from '#shm/index.js'
import { Child } from './child.js'
import { codeOf, failureOf } from './failure-of.js'
import { temporaryDirectory } from './temporary-directory.js'
import { until } from './until.js'

describe('a bell between two processes', () => {
  test('wakes an idle process here', async () => {
    const { path, bell, rings } = bellWithCounter()
    const child = new Child('ring', path)

    child.tell('ring')
    await until('it rings', () => rings.count === 1)
    child.tell('ring')
    await until('it rings again', () => rings.count === 2)

    expect(child.lines).toEqual([])
    bell.close()
  })

  test('wakes an idle process there', async () => {
    const path = join(temporaryDirectory(), 'bell')
    Bell.open(path).close()
    const remote = new RemoteBell(path)
    const child = new Child('hear', path)
    await child.said('listening')
    expect(child.lines).toEqual(['listening'])

    expect(remote.ring()).toBe(true)
    await until('it was woken', () => child.lines.length === 2)
    remote.ring()
    await until('it was woken again', () => child.lines.length === 3)

    expect(child.lines).toEqual(['listening', 'rung', 'rung'])
    expect(await child.ended()).toEqual([0, null])
    remote.close()
  })

  test('keeps a ring for the successor of a process that was killed', async () => {
    const path = join(temporaryDirectory(), 'bell')
    Bell.open(path).close()
    const remote = new RemoteBell(path)
    const first = new Child('hear', path)
    await first.said('listening')
    await first.killed()

    expect(remote.ring()).toBe(true)
    const second = new Child('hear', path)

    await second.said('rung')
    remote.close()
  })
})

describe('a bell', () => {
  test('rings once for all that came before the loop looked', async () => {
    const { path, bell, rings } = bellWithCounter()
    const remote = new RemoteBell(path)

    for (let ring = 0; ring < 1_000; ring++) remote.ring()
    await until('it rings', () => rings.count > 0)
    await new Promise(setImmediate)

    expect(rings.count).toBe(1)
    bell.close()
    remote.close()
  })

  test('rings again for a ring that comes while it is heard', async () => {
    const path = join(temporaryDirectory(), 'bell')
    const bell = Bell.open(path)
    let count = 0
    bell.onRing(() => {
      if (++count === 1) ringBell(path)
    })

    ringBell(path)

    await until('it rings twice', () => count >= 2)
    expect(count).toBe(2)
    bell.close()
  })

  test('rings for a ring from before it had a listener', async () => {
    const path = join(temporaryDirectory(), 'bell')
    const bell = Bell.open(path)
    ringBell(path)
    let count = 0

    bell.onRing(() => {
      count++
    })

    await until('it rings', () => count > 0)
    expect(count).toBe(1)
    bell.close()
  })

  test('counts as rung when it is full of rings, and rings on afterwards', async () => {
    const { path, bell, rings } = bellWithCounter()
    const remote = new RemoteBell(path)

    for (let ring = 0; ring < 70_000; ring++) expect(remote.ring()).toBe(true)
    await until('it rings', () => rings.count > 0)
    const before = rings.count
    remote.ring()

    await until('it rings on', () => rings.count > before)
    bell.close()
    remote.close()
  })

  test('runs microtasks and next ticks of its listener before anything else', async () => {
    const path = join(temporaryDirectory(), 'bell')
    const bell = Bell.open(path)
    const order: string[] = []
    bell.onRing(() => {
      setImmediate(() => order.push('immediate'))
      process.nextTick(() => order.push('tick'))
      void Promise.resolve().then(() => order.push('promise'))
    })

    ringBell(path)

    await until('all have run', () => order.length === 3)
    expect(order).toEqual(['tick', 'promise', 'immediate'])
    bell.close()
  })

  test('whose listener throws makes that an uncaught exception, and rings no more once closed', async () => {
    const path = join(temporaryDirectory(), 'bell')
    Bell.open(path).close()
    const child = new Child('throw-on-ring', path)
    await child.said('listening')

    ringBell(path)
    await child.said('uncaughtException: out of tune')

    expect(await child.ended()).toEqual([0, null])
  })

  test('is private to its user, and takes over the FIFO of a predecessor', () => {
    const path = join(temporaryDirectory(), 'bell')

    const first = Bell.open(path)
    const inode = statSync(path).ino
    first.close()
    Bell.open(path).close()

    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(path).ino).toBe(inode)
  })

  test('may be closed by its listener', async () => {
    const path = join(temporaryDirectory(), 'bell')
    const bell = Bell.open(path)
    let count = 0
    bell.onRing(() => {
      count++
      bell.close()
    })

    ringBell(path)
    await until('it rings', () => count === 1)
    ringBell(path)
    await new Promise(setImmediate)

    expect(count).toBe(1)
  })

  test('is closed once, with or without a listener', () => {
    const { bell } = bellWithCounter()
    const silent = Bell.open(join(temporaryDirectory(), 'bell'))
    bell.unref()
    bell.ref()
    silent.unref()

    for (const open of [bell, silent]) {
      open.close()

      expect(codeOf(() => open.close())).toBe('ERR_SHM_CLOSED')
      expect(codeOf(() => open.onRing(() => {}))).toBe('ERR_SHM_CLOSED')
      expect(codeOf(() => open.ref())).toBe('ERR_SHM_CLOSED')
      expect(codeOf(() => open.unref())).toBe('ERR_SHM_CLOSED')
    }
  })

  test('has one listener', () => {
    const { bell } = bellWithCounter()

    expect(() => bell.onRing(() => {})).toThrow('one listener')
    bell.close()
  })

  test('refuses what is no function as its listener', () => {
    const bell = Bell.open(join(temporaryDirectory(), 'bell'))

    for (const listener of [undefined, null, {}, 'ring'] as unknown[]) {
      expect(failureOf(() => bell.onRing(listener as () => void))).toMatchObject({
        code: 'ERR_ARGUMENT',
        values: { argument: 'onRing' },
      })
    }
    bell.close()
  })
})

describe('a path that is no bell', () => {
  test('is refused: a file, a directory, a link', () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'file'), '')
    mkdirSync(join(directory, 'directory'))
    symlinkSync('elsewhere', join(directory, 'link'))

    for (const name of ['file', 'directory', 'link']) {
      expect(codeOf(() => Bell.open(join(directory, name)))).toBe('ERR_BELL_NOT_FIFO')
      expect(codeOf(() => ringBell(join(directory, name)))).toBe('ERR_BELL_NOT_FIFO')
    }
  })

  test('is refused: a directory that is not there', () => {
    expect(codeOf(() => Bell.open(join(temporaryDirectory(), 'none', 'bell')))).toBe('ERR_SHM_MISSING')
  })

  test.each([undefined, null, 5, '', 'a\0b'])('is refused: %j', (path) => {
    expect(codeOf(() => Bell.open(path as string))).toBe('ERR_ARGUMENT')
    expect(codeOf(() => new RemoteBell(path as string))).toBe('ERR_ARGUMENT')
  })

  test('is refused: one that others closed to this user', () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'bell')
    Bell.open(path).close()
    chmodSync(directory, 0o755)
    chmodSync(path, 0o000)
    const isRoot = process.getuid?.() === 0
    if (isRoot) process.seteuid?.(65534)
    try {
      expect(codeOf(() => ringBell(path))).toBe('ERR_SHM_ACCESS')
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  })
})

describe('the bell of a process that has not come yet', () => {
  test('is not rung, and is as soon as it is there', () => {
    const path = join(temporaryDirectory(), 'bell')
    const remote = new RemoteBell(path)

    expect(remote.ring()).toBe(false)
    expect(ringBell(path)).toBe(false)
    Bell.open(path).close()

    expect(remote.ring()).toBe(true)
    remote.close()
    expect(codeOf(() => remote.close())).toBe('ERR_SHM_CLOSED')
    expect(codeOf(() => remote.ring())).toBe('ERR_SHM_CLOSED')
  })
})

describe('a thousand bells, opened and closed', () => {
  test('leave no descriptor behind', () => {
    const path = join(temporaryDirectory(), 'bell')
    Bell.open(path).close()
    const before = readdirSync('/proc/self/fd').length

    for (let round = 0; round < 1_000; round++) {
      const bell = Bell.open(path)
      bell.onRing(() => {})
      ringBell(path)
      bell.close()
    }

    expect(readdirSync('/proc/self/fd').length).toBe(before)
  })
})

function bellWithCounter(): { path: string; bell: Bell; rings: { count: number } } {
  const path = join(temporaryDirectory(), 'bell')
  const bell = Bell.open(path)
  const rings = { count: 0 }
  bell.onRing(() => {
    rings.count++
  })
  return { path, bell, rings }
}
