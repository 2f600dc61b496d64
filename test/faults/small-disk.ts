import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, statfsSync, symlinkSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { recordedDiskEnvironment } from '../../bench/harness/recorded-disk.js'

/** A data directory with so much room and no more, of which all but some bytes can be taken away and given back. */
export interface SmallDisk {
  /** For every process that is to work on it. */
  readonly environment: Readonly<Record<string, string>>
  /** Takes all room but so many bytes. */
  fill(leftBytes: number): void
  /** Gives the room back. */
  empty(): void
  remove(): void
}

const PIECE = Buffer.alloc(64 * 1024, 1)

/** A file system in memory, and a file that takes what others should not have. Needs the right to mount one. */
export class MountedDisk implements SmallDisk {
  readonly environment = {}
  readonly #path = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
  readonly #hog = join(this.#path, 'hog')

  /** `data` becomes a link to it. Throws where it cannot be mounted. */
  constructor(data: string, bytes: number) {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', this.#path], { stdio: 'ignore' })
    } catch (error) {
      rmSync(this.#path, { recursive: true, force: true })
      throw error
    }
    symlinkSync(this.#path, data)
  }

  fill(leftBytes: number): void {
    const file = openSync(this.#hog, 'a')
    try {
      for (let left = this.#freeBytes(); left > leftBytes; left = this.#freeBytes())
        writeSync(file, PIECE, 0, Math.min(PIECE.length, left - leftBytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      closeSync(file)
    }
  }

  empty(): void {
    unlinkSync(this.#hog)
  }

  remove(): void {
    execFileSync('umount', ['-l', this.#path])
    rmSync(this.#path, { recursive: true, force: true })
  }

  #freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#path)
    return bavail * bsize
  }
}

/** Why no small file system can be mounted here, in words, or undefined. */
export function whyNotMounted(): string | undefined {
  const path = join(mkdtempSync(join(tmpdir(), 'millrace-mount-')), 'data')
  try {
    new MountedDisk(path, PIECE.length).remove()
    return undefined
  } catch {
    return 'mounting a file system is not permitted here'
  } finally {
    rmSync(join(path, '..'), { recursive: true, force: true })
  }
}

/** A directory in which the preloaded recorder lets files grow so far and no further (struct room in bench/reference/recorded-disk.c). Needs no rights. */
export class LimitedDisk implements SmallDisk {
  readonly environment: Readonly<Record<string, string>>
  readonly #room: number
  readonly #bytes: number

  /** `data` is made. `folder` is for what it needs itself. */
  constructor(data: string, bytes: number, { library, folder }: { readonly library: string; readonly folder: string }) {
    const roomFile = join(mkdtempSync(join(folder, 'room-')), 'room')
    mkdirSync(data, { mode: 0o700 })
    this.#bytes = bytes
    this.#room = openSync(roomFile, 'w+', 0o600)
    writeSync(this.#room, new BigInt64Array([0n, BigInt(bytes)]))
    this.environment = recordedDiskEnvironment({ library, root: data, roomFile })
  }

  fill(leftBytes: number): void {
    const used = new BigInt64Array(1)
    readSync(this.#room, used, 0, used.byteLength, 0)
    this.#setLimit(Number(used[0]) + leftBytes)
  }

  empty(): void {
    this.#setLimit(this.#bytes)
  }

  remove(): void {
    closeSync(this.#room)
  }

  #setLimit(bytes: number): void {
    const limit = new BigInt64Array([BigInt(bytes)])
    writeSync(this.#room, limit, 0, limit.byteLength, limit.byteLength)
  }
}
