import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const BALLAST_NAME = 'ballast'
const BALLAST_BYTES = 1 << 20
/** A start writes some small files: lock, terms, records. */
const START_BYTES = 256 * 1024

/**
 * Room that a start on a full disk can have: a file of zeros in the data directory, laid while there is plenty. A plant then starts, says that the disk is
 * full and serves reads, where it could not even take its lock.
 */
export function layBallast(dataDirectory: string): void {
  const path = join(dataDirectory, BALLAST_NAME)
  if (existsSync(path) || freeBytes(dataDirectory) < 4 * BALLAST_BYTES) return
  const file = openSync(path, 'w', 0o600)
  try {
    writeSync(file, Buffer.alloc(BALLAST_BYTES))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Gives the ballast up where a start would find no room. */
export function dropBallast(dataDirectory: string): void {
  const path = join(dataDirectory, BALLAST_NAME)
  if (existsSync(path) && freeBytes(dataDirectory) < START_BYTES) rmSync(path)
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}
