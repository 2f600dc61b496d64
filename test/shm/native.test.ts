import { constants, cpSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '#base/errors.js'
import { hasAddon } from '#shm/index.js'
import { type Addon, addon, loadAddon, packageDirectory } from '#shm/native.js'
import { ADDON } from './child.js'
import { temporaryDirectory } from './temporary-directory.js'

describe('the room of shared memory', () => {
  test('loads the addon at its first use, not at import', () => {
    expect(isLoaded()).toBe(false)

    expect(hasAddon()).toBe(true)

    expect(isLoaded()).toBe(true)
    expect(addon()).toBe(addon())
  })

  function isLoaded(): boolean {
    return readFileSync('/proc/self/maps', 'latin1').includes('/millrace.node')
  }
})

describe('a package without the addon', () => {
  test('names the command of a checkout', () => {
    const directory = packageAt(temporaryDirectory())
    mkdirSync(join(directory, 'src'))

    const failure = failureOfLoading(directory)

    expect(failure.code).toBe('ERR_ADDON_MISSING')
    expect(failure.values).toEqual({ platform: `${process.platform}-${process.arch}`, node: process.version })
    expect(failure.message).toContain('`npm run build`')
    expect(failure.message).toContain('inline')
  })

  test('names the command of a dependency', () => {
    const directory = packageAt(temporaryDirectory())

    expect(failureOfLoading(directory).message).toContain('`npm rebuild millrace --foreground-scripts`')
    expect(failureOfLoading(undefined).code).toBe('ERR_ADDON_MISSING')
  })

  test('is not there at all', () => {
    expect(packageDirectory(temporaryDirectory())).toBeUndefined()
  })
})

describe('a package with a prebuilt addon', () => {
  const place = join('native', 'prebuilds', `${process.platform}-${process.arch}`, 'millrace.node')

  test('loads it', () => {
    const directory = packageAt(temporaryDirectory())
    mkdirSync(dirname(join(directory, place)), { recursive: true })
    cpSync(ADDON, join(directory, place))

    expect(loadAddon(directory)).toMatchObject({ tryLock: expect.any(Function) })
  })

  test('that does not load says why', () => {
    const directory = packageAt(temporaryDirectory())
    mkdirSync(dirname(join(directory, place)), { recursive: true })
    writeFileSync(join(directory, place), 'for another machine')

    const failure = failureOfLoading(directory)

    expect(failure.code).toBe('ERR_ADDON_MISSING')
    expect(failure.message).toContain('does not load')
    expect(String(failure.values.cause)).toContain('millrace.node')
  })

  test('that does not load uses one compiled on the machine', () => {
    const directory = packageAt(temporaryDirectory())
    mkdirSync(dirname(join(directory, place)), { recursive: true })
    writeFileSync(join(directory, place), 'for another machine')
    mkdirSync(join(directory, 'native', 'build', 'Release'), { recursive: true })
    cpSync(ADDON, join(directory, 'native', 'build', 'Release', 'millrace.node'))

    expect(loadAddon(directory)).toMatchObject({ tryLock: expect.any(Function) })
  })
})

describe('the package directory', () => {
  test('is found from below, past packages of other names', () => {
    const directory = packageAt(temporaryDirectory())
    const below = join(directory, 'dist', 'src', 'shm')
    mkdirSync(below, { recursive: true })
    writeFileSync(join(directory, 'dist', 'package.json'), '{ "type": "module" }')
    writeFileSync(join(directory, 'dist', 'src', 'package.json'), 'no JSON')

    expect(packageDirectory(below)).toBe(directory)
  })
})

describe('the addon, called past our TypeScript', () => {
  const fifoLess = openSync('/dev/null', constants.O_RDWR)
  const shm = () => addon()
  const Raw = () => shm() as unknown as Record<'Mapping' | 'Pulse' | 'Bell', new (...args: unknown[]) => { close(this: unknown): void }>

  test.each<[string, (addon: Addon) => unknown, string]>([
    ['Mapping without arguments', () => new (Raw().Mapping)(), 'ERR_ARGUMENT'],
    ['Mapping of a text', () => new (Raw().Mapping)('3', 1, true), 'ERR_ARGUMENT'],
    ['Mapping of no descriptor', () => new (Raw().Mapping)(2 ** 31 - 1, 1, true), 'EBADF'],
    ['Mapping of NaN bytes', () => new (Raw().Mapping)(fifoLess, Number.NaN, true), 'ERR_ARGUMENT'],
    ['Mapping with half a byte', () => new (Raw().Mapping)(fifoLess, 0.5, true), 'ERR_ARGUMENT'],
    ['Mapping beyond the end', () => new (Raw().Mapping)(fifoLess, 1, true), 'ERR_ARGUMENT'],
    ['Mapping with isShared 1', () => new (Raw().Mapping)(fifoLess, 1, 1), 'ERR_ARGUMENT'],
    ['Pulse in an object', () => new (Raw().Pulse)({}, 0, 1), 'ERR_ARGUMENT'],
    ['Pulse in a mapping that is none', (a) => new (Raw().Pulse)(Object.create(a.Mapping.prototype as object), 0, 1), 'ERR_ARGUMENT'],
    ['Bell of a blocking descriptor', () => new (Raw().Bell)(fifoLess, () => {}), 'ERR_ARGUMENT'],
    ['Bell without a function', () => new (Raw().Bell)(fifoLess, 'ring'), 'ERR_ARGUMENT'],
    ['allocate on no descriptor', (a) => a.allocate(2 ** 31 - 1, 4096), 'EBADF'],
    ['allocate nothing', (a) => a.allocate(fifoLess, 0), 'ERR_ARGUMENT'],
    ['allocate a device', (a) => a.allocate(fifoLess, 4096), 'ENODEV'],
    ['tryLock on no descriptor', (a) => a.tryLock(2 ** 31 - 1), 'EBADF'],
    ['tryLock on -1', (a) => a.tryLock(-1), 'ERR_ARGUMENT'],
    ['makeFifo nowhere', (a) => a.makeFifo('/none/fifo'), 'ENOENT'],
    ['makeFifo with NUL', (a) => a.makeFifo('/tmp/a\0b'), 'ERR_ARGUMENT'],
    ['pinThread to a text', (a) => a.pinThread('0' as unknown as number), 'ERR_ARGUMENT'],
  ])('refuses %s', (_name, call, code) => {
    expect(() => call(shm())).toThrow(expect.objectContaining({ code }))
  })

  test('refuses methods on objects of another kind', () => {
    const { Mapping } = Raw()

    expect(() => Mapping.prototype.close.call({})).toThrow(TypeError)
    expect(() => Mapping.prototype.close.call(Object.create(Mapping.prototype as object) as { close(): void })).toThrow(TypeError)
  })
})

function packageAt(directory: string): string {
  writeFileSync(join(directory, 'package.json'), '{ "name": "millrace" }')
  return directory
}

function failureOfLoading(directory: string | undefined): MillraceError {
  const failure = loadAddon(directory)
  if (failure instanceof MillraceError) return failure
  throw new Error('it was loaded')
}
