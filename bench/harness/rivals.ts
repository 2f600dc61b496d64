import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { packageRoot } from '#runtime/package-root.js'
import { FileLock } from '#shm/index.js'

/** What npm writes when it is done. */
const INSTALLED = 'node_modules/.package-lock.json'
const LOCK = '.install-lock'
const LOOK_EVERY_MS = 200

/**
 * Loads a package that only benchmarks need, from bench/rivals, which has a package.json and a lock file of its own. Installs them all when
 * the package is not there yet, and says so on stderr. Throws ERR_USAGE when that fails.
 */
export function loadRival(name: string): unknown {
  const folder = join(packageRoot(), 'bench', 'rivals')
  if (!isInstalled(folder, name)) installAlone(folder, name)
  return createRequire(join(folder, 'package.json'))(name)
}

function isInstalled(folder: string, name: string): boolean {
  return existsSync(join(folder, INSTALLED)) && existsSync(join(folder, 'node_modules', name))
}

/** Several measuring processes may want theirs at the same time: one of them installs all, and the others wait. */
function installAlone(folder: string, name: string): void {
  const lock = lockOf(folder)
  try {
    if (!isInstalled(folder, name)) install(folder, name)
  } finally {
    lock.close()
  }
}

function lockOf(folder: string): FileLock {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    try {
      return FileLock.acquire(join(folder, LOCK))
    } catch (error) {
      if (!isMillraceError(error, 'ERR_LOCK_HELD')) throw error
      Atomics.wait(sleeper, 0, 0, LOOK_EVERY_MS)
    }
  }
}

function install(folder: string, name: string): void {
  process.stderr.write(`installing the packages that are measured against into ${folder}\n`)
  const { status } = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', process.stderr, process.stderr],
  })
  if (status === 0) return
  throw new MillraceError('ERR_USAGE', {
    fact: 'npm could not install what a benchmark is measured against',
    action: 'operator',
    values: { folder, name },
    next: 'run npm install in that folder and look at what it says',
  })
}
