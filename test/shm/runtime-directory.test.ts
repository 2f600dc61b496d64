import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  checkRoom,
  createRuntimeDirectory,
  findRuntimeDirectory,
  freeBytes,
  removeRuntimeDirectory,
  RUNTIME_ROOT,
  runtimeDirectoryOf,
} from '#shm/index.js'
import { codeOf, failureOf } from './failure-of.js'
import { temporaryDirectory } from './temporary-directory.js'

const uid = process.getuid?.() ?? 0

describe('the runtime directory of a data directory', () => {
  test('lies in shared memory, by user and real path', () => {
    const data = temporaryDirectory()
    symlinkSync(data, join(data, 'link'))

    const path = runtimeDirectoryOf(data)

    expect(dirname(path)).toBe(`${RUNTIME_ROOT}/millrace-${uid}`)
    expect(basename(path)).toMatch(/^[0-9a-f]{16}$/)
    expect(runtimeDirectoryOf(join(data, 'link'))).toBe(path)
    expect(runtimeDirectoryOf(dirname(data))).not.toBe(path)
  })

  test('is made private, whatever the umask', () => {
    const { root, data } = places()
    const mask = process.umask(0)

    const path = createRuntimeDirectory(data, { neededBytes: 4096, root })
    process.umask(mask)

    expect(path).toBe(runtimeDirectoryOf(data, root))
    expect(statSync(path).mode & 0o777).toBe(0o700)
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700)
  })

  test('is emptied of what an earlier plant left', () => {
    const { root, data } = places()
    const path = createRuntimeDirectory(data, { neededBytes: 0, root })
    const outside = join(root, 'outside')
    writeFileSync(outside, 'stays')
    writeFileSync(join(path, 'ring'), 'old')
    mkdirSync(join(path, 'deep', 'er'), { recursive: true })
    symlinkSync(outside, join(path, 'link'))

    createRuntimeDirectory(data, { neededBytes: 0, root })

    expect(readdirSync(path)).toEqual([])
    expect(existsSync(outside)).toBe(true)
  })

  test('is found while it is there', () => {
    const { root, data } = places()
    expect(findRuntimeDirectory(data, root)).toBeUndefined()
    const path = createRuntimeDirectory(data, { neededBytes: 0, root })
    writeFileSync(join(path, 'ring'), '')

    expect(findRuntimeDirectory(data, root)).toBe(path)
    removeRuntimeDirectory(path)

    expect(findRuntimeDirectory(data, root)).toBeUndefined()
    removeRuntimeDirectory(path)
  })

  test('of a data directory that is not there is refused', () => {
    expect(codeOf(() => runtimeDirectoryOf(join(temporaryDirectory(), 'none')))).toBe('ERR_SHM_MISSING')
  })

  test('in a root that is not there is refused', () => {
    const { root, data } = places()

    expect(codeOf(() => createRuntimeDirectory(data, { neededBytes: 0, root: join(root, 'none') }))).toBe('ERR_SHM_MISSING')
  })
})

describe('a runtime directory that others could use', () => {
  test.each([0o701, 0o710, 0o777, 0o750])('is refused: mode %o', (mode) => {
    const { root, data, path } = made()
    chmodSync(path, mode)

    const failure = failureOf(() => createRuntimeDirectory(data, { neededBytes: 0, root }))

    expect(failure.code).toBe('ERR_RUNTIME_DIRECTORY')
    expect(failure.values).toEqual({ path, mode: `0${mode.toString(8)}` })
    expect(codeOf(() => findRuntimeDirectory(data, root))).toBe('ERR_RUNTIME_DIRECTORY')
  })

  test("is refused: the user's directory above it is open", () => {
    const { root, data, path } = made()
    chmodSync(dirname(path), 0o755)

    expect(codeOf(() => createRuntimeDirectory(data, { neededBytes: 0, root }))).toBe('ERR_RUNTIME_DIRECTORY')
  })

  test.skipIf(uid !== 0)('is refused: it belongs to somebody else', () => {
    const { root, data, path } = made()
    chownSync(path, 65534, 65534)

    const failure = failureOf(() => createRuntimeDirectory(data, { neededBytes: 0, root }))

    expect(failure).toMatchObject({ code: 'ERR_RUNTIME_DIRECTORY', values: { uid: 65534, ownUid: 0 } })
  })

  test('is refused: a link, or a file', () => {
    const { root, data, path } = made()
    rmdirSync(path)
    mkdirSync(join(root, 'elsewhere'), { mode: 0o700 })
    symlinkSync(join(root, 'elsewhere'), path)

    expect(codeOf(() => createRuntimeDirectory(data, { neededBytes: 0, root }))).toBe('ERR_RUNTIME_DIRECTORY')
    removeRuntimeDirectory(path)
    writeFileSync(path, '')
    expect(codeOf(() => createRuntimeDirectory(data, { neededBytes: 0, root }))).toBe('ERR_RUNTIME_DIRECTORY')
  })
})

describe('too little room', () => {
  test('is refused before anything is made in it, with the numbers and the way out', () => {
    const { root, data } = places()
    const neededBytes = 2 ** 50

    const failure = failureOf(() => createRuntimeDirectory(data, { neededBytes, root }))

    expect(failure.code).toBe('ERR_SHM_NO_ROOM')
    expect(failure.values).toMatchObject({ neededBytes })
    expect(failure.values.freeBytes).toBeGreaterThan(0)
    expect(failure.values.freeBytes).toBeLessThan(neededBytes)
    expect(failure.message).toContain('--shm-size=')
  })

  test('is not found where there is enough', () => {
    const { root } = places()

    expect(freeBytes(root)).toBeGreaterThan(4096)
    checkRoom(root, 4096)
  })

  test.each([-1, 1.5, Number.NaN, '5', undefined])('is not asked for with %s', (neededBytes) => {
    const { root, data } = places()

    expect(codeOf(() => checkRoom(root, neededBytes as number))).toBe('ERR_ARGUMENT')
    expect(codeOf(() => createRuntimeDirectory(data, { neededBytes: neededBytes as number, root }))).toBe('ERR_ARGUMENT')
    expect(readdirSync(root)).toEqual([])
  })
})

function places(): { root: string; data: string } {
  return { root: temporaryDirectory(), data: temporaryDirectory() }
}

function made(): { root: string; data: string; path: string } {
  const { root, data } = places()
  return { root, data, path: createRuntimeDirectory(data, { neededBytes: 0, root }) }
}
