import { MillraceError } from '#base/errors.js'
import { checkWhole } from './argument.js'
import { explain } from './failure.js'
import { addon } from './native.js'

const CORE_MAX = 1023

/**
 * Lets the calling thread run on `core` only, a number out of `allowedCores`. Threads and processes that it starts afterwards inherit that,
 * so start the pulse and whatever uses Node's thread pool first. ERR_CORE_UNAVAILABLE when this process may not run there.
 */
export function pinThread(core: number): void {
  checkWhole('core', core, 0, CORE_MAX)
  try {
    addon().pinThread(core)
  } catch (error) {
    if ((error as { code?: string }).code !== 'EINVAL') throw explain(error, { fact: 'a thread cannot be pinned', values: { core } })
    throw new MillraceError('ERR_CORE_UNAVAILABLE', {
      fact: 'this process may not run on that core',
      action: 'operator',
      values: { core, allowedCores: allowedCores() },
      next: 'choose one of these',
      cause: error,
    })
  }
}

/** The core on which the calling thread runs at this moment. */
export function currentCore(): number {
  return addon().currentCore()
}

/** The cores on which the calling thread may run, ascending: what the machine has, less what affinity and cpusets take away. */
export function allowedCores(): readonly number[] {
  return addon().allowedCores()
}
