import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Mapping, MAPPING_BYTES_MAX, startPulse } from '#shm/index.js'
import { Child } from './child.js'
import { codeOf, failureOf } from './failure-of.js'
import { temporaryDirectory } from './temporary-directory.js'
import { until } from './until.js'
import { collectGarbage } from '../garbage.js'

const isRoot = process.getuid?.() === 0

describe('a file mapped twice', () => {
  test('shows the writes of one mapping in the other', () => {
    const path = join(temporaryDirectory(), 'ring')
    const first = new Int32Array(Mapping.create(path, 8192).buffer)
    const second = new Int32Array(Mapping.open(path).buffer)

    Atomics.store(first, 2047, 42)
    Atomics.add(second, 2047, 1)

    expect(second.length).toBe(2048)
    expect(Atomics.load(first, 2047)).toBe(43)
  })

  test('shows them across processes, both ways', async () => {
    const path = join(temporaryDirectory(), 'ring')
    const words = new Int32Array(Mapping.create(path, 4096).buffer)
    const child = new Child('write-word', path, '1234')
    await child.said('mapped')

    Atomics.store(words, 0, 1234)

    await until('the child answers', () => Atomics.load(words, 1) !== 0)
    expect(Atomics.load(words, 1)).toBe(1235)
  })

  test('shows them in a mapping for reading, whose own writes stay at home', () => {
    const path = join(temporaryDirectory(), 'ring')
    const writer = new Int32Array(Mapping.create(path, 8192).buffer)
    const reader = new Int32Array(Mapping.open(path, { access: 'read' }).buffer)
    const otherPage = 1024

    Atomics.store(writer, 0, 1)
    expect(Atomics.load(reader, 0)).toBe(1)
    reader[1] = 99
    Atomics.store(writer, otherPage, 2)

    expect(writer[1]).toBe(0)
    expect(Atomics.load(reader, otherPage)).toBe(2)
  })
})

describe('a created file', () => {
  test('is zeros, private to its user, and allocated in full', () => {
    const path = join(temporaryDirectory(), 'ring')
    const previousMask = process.umask(0)
    onTestFinished(() => {
      process.umask(previousMask)
    })

    const mapping = Mapping.create(path, 1 << 20)

    const stats = statSync(path)
    expect(stats.size).toBe(1 << 20)
    expect(stats.blocks * 512).toBeGreaterThanOrEqual(1 << 20)
    expect(stats.mode & 0o777).toBe(0o600)
    expect(new Uint8Array(mapping.buffer).every((byte) => byte === 0)).toBe(true)
  })

  test('may have any length, and a mapping any part of it from its start', () => {
    const path = join(temporaryDirectory(), 'ring')

    expect(Mapping.create(path, 5001).buffer.byteLength).toBe(5001)
    expect(Mapping.open(path).byteLength).toBe(5001)
    expect(Mapping.open(path, { bytes: 17 }).buffer.byteLength).toBe(17)
  })

  test('is refused where something has its name', () => {
    const path = join(temporaryDirectory(), 'ring')
    writeFileSync(path, 'mine')

    expect(codeOf(() => Mapping.create(path, 4096))).toBe('ERR_SHM_EXISTS')
    expect(readFileSync(path, 'utf8')).toBe('mine')
  })

  test('is refused in a directory that is not there', () => {
    expect(codeOf(() => Mapping.create(join(temporaryDirectory(), 'none', 'ring'), 4096))).toBe('ERR_SHM_MISSING')
  })
})

describe('a file system that is too small', () => {
  const canMount = isRoot && canMountTmpfs()

  test.skipIf(!canMount)('is refused with the numbers, and nothing is left behind', () => {
    const directory = smallTmpfs()

    const failure = failureOf(() => Mapping.create(join(directory, 'ring'), 4 << 20))

    expect(failure.code).toBe('ERR_SHM_NO_ROOM')
    expect(failure.action).toBe('operator')
    expect(failure.values).toEqual({ path: join(directory, 'ring'), neededBytes: 4 << 20, freeBytes: 1 << 20 })
    expect(failure.message).toContain('--shm-size=64m')
    expect(readdirSync(directory)).toEqual([])
  })

  test.skipIf(!canMount)('still takes what fits', () => {
    const directory = smallTmpfs()

    const fits = new Int32Array(Mapping.create(join(directory, 'fits'), 1 << 20).buffer)

    expect(fits.fill(-1).every((word) => word === -1)).toBe(true)
    expect(codeOf(() => Mapping.create(join(directory, 'one page more'), 4096))).toBe('ERR_SHM_NO_ROOM')
  })

  function smallTmpfs(): string {
    const directory = join(temporaryDirectory(), 'small')
    mkdirSync(directory)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory])
    // After-work runs last in, first out: before the directory is removed. Lazily, since mappings may outlive the test.
    onTestFinished(() => {
      execFileSync('umount', ['--lazy', directory])
    })
    return directory
  }

  function canMountTmpfs(): boolean {
    try {
      execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  }
})

describe('a mapping with a wrong argument', () => {
  const wrongPaths: unknown[] = [undefined, null, 7, '', 'a\0b', {}, ['/tmp']]
  const wrongLengths: unknown[] = [undefined, null, '4096', Number.NaN, -1, 0, 1.5, Infinity, MAPPING_BYTES_MAX + 1, 4096n]

  test.each(wrongPaths)('is refused: path %j', (path) => {
    expect(failureOf(() => Mapping.create(path as string, 4096)).values.argument).toBe('path')
    expect(failureOf(() => Mapping.open(path as string))).toMatchObject({ code: 'ERR_ARGUMENT', values: { argument: 'path' } })
  })

  test.each(wrongLengths)('is refused: bytes %s', (bytes) => {
    const path = join(temporaryDirectory(), 'ring')

    expect(failureOf(() => Mapping.create(path, bytes as number))).toMatchObject({ code: 'ERR_ARGUMENT', values: { argument: 'bytes' } })
    expect(existsSync(path)).toBe(false)
  })

  test('is refused: another access', () => {
    expect(failureOf(() => Mapping.open('/dev/null', { access: 'execute' as 'read' })).values.argument).toBe('access')
  })
})

describe('a file that cannot be mapped', () => {
  test('is missing', () => {
    const path = join(temporaryDirectory(), 'ring')

    const failure = failureOf(() => Mapping.open(path))

    expect(failure.code).toBe('ERR_SHM_MISSING')
    expect(failure.message).toContain(`path=${path}`)
  })

  test('is marked read-only: to writers, root included, not to readers', () => {
    const path = join(temporaryDirectory(), 'ring')
    Mapping.create(path, 4096)
    chmodSync(path, 0o400)

    expect(codeOf(() => Mapping.open(path))).toMatch(isRoot ? /^ERR_SHM_READ_ONLY$/ : /^ERR_SHM_ACCESS$/)
    expect(Mapping.open(path, { access: 'read' }).byteLength).toBe(4096)
  })

  test('may not be read by this user', () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'ring')
    Mapping.create(path, 4096)
    chmodSync(directory, 0o755)
    chmodSync(path, 0o000)
    if (isRoot) process.seteuid?.(65534)
    onTestFinished(() => {
      if (isRoot) process.seteuid?.(0)
    })

    expect(codeOf(() => Mapping.open(path))).toBe('ERR_SHM_ACCESS')
    expect(codeOf(() => Mapping.open(path, { access: 'read' }))).toBe('ERR_SHM_ACCESS')
  })

  test('is shorter than asked for', () => {
    const path = join(temporaryDirectory(), 'ring')
    Mapping.create(path, 4096)

    const failure = failureOf(() => Mapping.open(path, { bytes: 4097 }))

    expect(failure.code).toBe('ERR_SHM_SHORT')
    expect(failure.values).toMatchObject({ bytes: 4097, fileBytes: 4096 })
  })

  test('is empty', () => {
    const path = join(temporaryDirectory(), 'ring')
    writeFileSync(path, '')

    expect(codeOf(() => Mapping.open(path))).toBe('ERR_SHM_SHORT')
  })

  test('is longer than a mapping may be', () => {
    const path = join(temporaryDirectory(), 'ring')
    writeFileSync(path, '')
    truncateSync(path, MAPPING_BYTES_MAX + 4096)

    expect(codeOf(() => Mapping.open(path))).toBe('ERR_SHM_TOO_LONG')
  })

  test('is something else: a directory, a FIFO, a device, a link that leads nowhere', () => {
    const directory = temporaryDirectory()
    execFileSync('mkfifo', [join(directory, 'fifo')])
    symlinkSync(join(directory, 'none'), join(directory, 'link'))

    expect(codeOf(() => Mapping.open(directory))).toBe('ERR_SHM_NOT_A_FILE')
    expect(codeOf(() => Mapping.open(directory, { access: 'read' }))).toBe('ERR_SHM_NOT_A_FILE')
    expect(codeOf(() => Mapping.open(join(directory, 'fifo'), { access: 'read' }))).toBe('ERR_SHM_NOT_A_FILE')
    expect(codeOf(() => Mapping.open('/dev/null'))).toBe('ERR_SHM_NOT_A_FILE')
    expect(codeOf(() => Mapping.open(join(directory, 'link')))).toBe('ERR_SHM_MISSING')
    expect(codeOf(() => Mapping.open(join(directory, 'fifo', 'below')))).toBe('ERR_SHM_MISSING')
  })
})

describe('a closed mapping', () => {
  test('leaves its views empty and its file alone', () => {
    const path = join(temporaryDirectory(), 'ring')
    const mapping = Mapping.create(path, 4096)
    const words = new Int32Array(mapping.buffer)
    words[0] = 7

    mapping.close()

    expect(mapping.isClosed).toBe(true)
    expect(words.length).toBe(0)
    expect(words[0]).toBeUndefined()
    expect(() => Atomics.load(words, 0)).toThrow(TypeError)
    expect(mapsOf(path)).toBe(0)
    expect(new Int32Array(Mapping.open(path).buffer)[0]).toBe(7)
  })

  test('is closed once', () => {
    const mapping = Mapping.create(join(temporaryDirectory(), 'ring'), 4096)

    mapping.close()

    expect(codeOf(() => mapping.close())).toBe('ERR_SHM_CLOSED')
    expect(codeOf(() => mapping.buffer)).toBe('ERR_SHM_CLOSED')
    expect(codeOf(() => startPulse(mapping, { offset: 0, periodMs: 1 }))).toBe('ERR_SHM_CLOSED')
  })
})

describe('a mapping that nobody closes', () => {
  test('stays as long as a view on it, and goes after it', async () => {
    const path = join(temporaryDirectory(), 'ring')
    let words: Int32Array | undefined = new Int32Array(Mapping.create(path, 4096).buffer)
    words[5] = 55

    for (let round = 0; round < 5; round++) await collected()
    expect(words[5]).toBe(55)
    expect(mapsOf(path)).toBe(1)

    words = undefined
    for (let round = 0; round < 50 && mapsOf(path) > 0; round++) await collected()
    expect(mapsOf(path)).toBe(0)
  })
})

describe('a thousand mappings, opened and closed', () => {
  test('leave no descriptor and no memory behind', () => {
    const path = join(temporaryDirectory(), 'ring')
    Mapping.create(path, 65_536).close()
    const descriptorsBefore = descriptorCount()

    for (let round = 0; round < 1_000; round++) {
      const mapping = Mapping.open(path, { access: round % 2 === 0 ? 'write' : 'read' })
      new Int32Array(mapping.buffer)[0] = round
      mapping.close()
      expect(() => Mapping.open(path, { bytes: 65_537 })).toThrow('shorter')
    }

    expect(descriptorCount()).toBe(descriptorsBefore)
    expect(mapsOf(path)).toBe(0)
  })
})

function mapsOf(path: string): number {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(path)).length
}

function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length
}

async function collected(): Promise<void> {
  collectGarbage()
  await new Promise((resolve) => {
    setImmediate(resolve)
  })
}
