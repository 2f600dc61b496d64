import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PIECE = Buffer.alloc(64 * 1024, 1)

/** A file system in memory with so many bytes of room, and a file that takes what others should not have. Needs the right to mount one. */
export class SmallDisk {
  readonly path = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
  readonly #hog = join(this.path, 'hog')

  /** Throws where it cannot be mounted. */
  constructor(megabytes: number) {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', this.path], { stdio: 'ignore' })
    } catch (error) {
      rmSync(this.path, { recursive: true, force: true })
      throw error
    }
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path)
    return bavail * bsize
  }

  /** Takes all room but so many bytes. */
  fill(leftBytes: number): void {
    const file = openSync(this.#hog, 'a')
    try {
      while (this.freeBytes > leftBytes) writeSync(file, PIECE, 0, Math.min(PIECE.length, this.freeBytes - leftBytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      closeSync(file)
    }
  }

  /** Gives the room back. */
  empty(): void {
    unlinkSync(this.#hog)
  }

  remove(): void {
    execFileSync('umount', ['-l', this.path])
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** Why no small disk can be made here, in words, or undefined. */
export function whyNoSmallDisk(): string | undefined {
  try {
    new SmallDisk(1).remove()
    return undefined
  } catch {
    return 'mounting a file system is not permitted here'
  }
}
