import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError, messageOf } from '#base/errors.js'

/**
 * The addon as native/ defines it; each part is documented there. Its errors carry `code`: ERR_ARGUMENT with `argument`, ERR_SHM_CLOSED,
 * or the operating system's own, such as ENOSPC.
 */
export interface Addon {
  readonly Mapping: new (fd: number, bytes: number, isShared: boolean) => NativeMapping
  readonly Pulse: new (mapping: NativeMapping, offset: number, periodMs: number) => { stop(): void }
  readonly Bell: new (fd: number, onRing: () => void) => NativeBell
  allocate(fd: number, bytes: number): void
  makeFifo(path: string): void
  ring(fd: number): void
  tryLock(fd: number): boolean
  pinThread(core: number): void
  currentCore(): number
  allowedCores(): number[]
}

export interface NativeMapping {
  readonly buffer: ArrayBuffer
  close(): void
}

export interface NativeBell {
  ref(): void
  unref(): void
  close(): void
}

let loaded: Addon | MillraceError | undefined

/**
 * The addon, loaded at the first call, so that a process which never needs it runs without. Throws ERR_ADDON_MISSING with the command
 * that would make it; the answer stays the same for the life of the process.
 */
export function addon(): Addon {
  loaded ??= loadAddon(packageDirectory(dirname(fileURLToPath(import.meta.url))))
  if (loaded instanceof MillraceError) throw loaded
  return loaded
}

/** Whether `addon` would answer. */
export function hasAddon(): boolean {
  loaded ??= loadAddon(packageDirectory(dirname(fileURLToPath(import.meta.url))))
  return !(loaded instanceof MillraceError)
}

/**
 * Loads what was compiled on this machine, or else what the package brought along: the former only exists in a checkout and where the
 * latter did not load. Returns the error instead of throwing it.
 */
export function loadAddon(directory: string | undefined): Addon | MillraceError {
  if (directory === undefined) return missing([], undefined)
  const require = createRequire(import.meta.url)
  const failures: string[] = []
  for (const place of [join('build', 'Release'), join('prebuilds', `${process.platform}-${process.arch}`)]) {
    const binary = join(directory, 'native', place, 'millrace.node')
    if (!existsSync(binary)) continue
    try {
      return require(binary) as Addon
    } catch (error) {
      failures.push(messageOf(error))
    }
  }
  return missing(failures, directory)
}

/** The nearest folder upwards whose package.json is ours; the same from src/ and from dist/src/. */
export function packageDirectory(from: string): string | undefined {
  for (let directory = from; ; directory = dirname(directory)) {
    if (isOurs(join(directory, 'package.json'))) return directory
    if (dirname(directory) === directory) return undefined
  }
}

function isOurs(packageFile: string): boolean {
  if (!existsSync(packageFile)) return false
  try {
    return (JSON.parse(readFileSync(packageFile, 'utf8')) as { name?: unknown }).name === 'millrace'
  } catch {
    return false
  }
}

function missing(failures: readonly string[], directory: string | undefined): MillraceError {
  return new MillraceError('ERR_ADDON_MISSING', {
    fact: failures.length === 0 ? 'the native addon is not there' : 'the native addon does not load',
    action: 'operator',
    values: {
      platform: `${process.platform}-${process.arch}`,
      node: process.version,
      ...(failures.length === 0 ? {} : { cause: failures.join('; ') }),
    },
    next: `${howToMake(directory)}; plants that run inline, in one process, work without it`,
  })
}

function howToMake(directory: string | undefined): string {
  if (process.platform !== 'linux') return 'processes of their own and the shared-memory bus need Linux'
  const isCheckout = directory !== undefined && existsSync(join(directory, 'src'))
  return isCheckout
    ? 'run `npm run build`'
    : 'run `npm rebuild millrace --foreground-scripts`, which needs a C++ compiler, make and python3'
}
