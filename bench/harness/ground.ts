import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { channelBytes, createChannel } from '#bus/index.js'
import { allowedCores, Mapping } from '#shm/index.js'

/** The first two cores that this process may use. Throws ERR_BENCH_CORES where it may use one only. */
export function twoCores(): readonly [number, number] {
  const cores = allowedCores()
  const [first, second] = cores
  if (first === undefined || second === undefined) {
    throw new MillraceError('ERR_BENCH_CORES', {
      fact: 'this is measured between two processes on a core each',
      action: 'operator',
      values: { cores: cores.length },
      next: 'run it where this process may use two cores',
    })
  }
  return [first, second]
}

/** A new folder for rings, in memory where there is a file system for that. Whoever makes it removes it. */
export function ringFolder(bench: string): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `millrace-${bench}-${process.pid}-`))
}

/** Makes an empty channel as a file and answers its path. */
export function createRing(folder: string, name: string, options: { readonly capacityBytes: number; readonly schemaHash: number }): string {
  const path = join(folder, `${name}.ring`)
  const mapping = Mapping.create(path, channelBytes(options.capacityBytes))
  createChannel(mapping.buffer, { ...options, name })
  mapping.close()
  return path
}
