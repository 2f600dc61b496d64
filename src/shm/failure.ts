import { MillraceError, messageOf, type ErrorCode } from '#base/errors.js'
import { argumentError } from './argument.js'

/** What was tried, for the message of an error: "a bell cannot be opened path=...". */
export interface Attempt {
  /** A lowercase fact: "a bell cannot be opened". */
  readonly fact: string
  /** By name; `path` where there is one. */
  readonly values: Readonly<Record<string, unknown>>
}

interface Cause {
  readonly code: ErrorCode
  readonly action: 'retry' | 'operator'
  readonly next: string
}

const CAUSES: Readonly<Record<string, Cause>> = {
  ENOENT: { code: 'ERR_SHM_MISSING', action: 'operator', next: 'nothing is there; is the plant that makes it running?' },
  ENOTDIR: { code: 'ERR_SHM_MISSING', action: 'operator', next: 'a part of the path is not a directory' },
  EEXIST: { code: 'ERR_SHM_EXISTS', action: 'operator', next: 'something is there already; remove it or choose another path' },
  EACCES: { code: 'ERR_SHM_ACCESS', action: 'operator', next: 'give this user the right to it, or run as the user that owns it' },
  EPERM: { code: 'ERR_SHM_ACCESS', action: 'operator', next: 'give this user the right to it, or run as the user that owns it' },
  EROFS: { code: 'ERR_SHM_READ_ONLY', action: 'operator', next: 'it lies on a file system that is mounted read-only' },
  EISDIR: { code: 'ERR_SHM_NOT_A_FILE', action: 'operator', next: 'a directory is there' },
  EMFILE: { code: 'ERR_SHM_LIMIT', action: 'operator', next: 'raise the limit of open files (ulimit -n)' },
  ENFILE: { code: 'ERR_SHM_LIMIT', action: 'operator', next: 'raise the limit of open files (sysctl fs.file-max)' },
  ENOMEM: { code: 'ERR_SHM_LIMIT', action: 'operator', next: 'memory or the number of mappings is exhausted (sysctl vm.max_map_count)' },
  EFBIG: { code: 'ERR_SHM_LIMIT', action: 'operator', next: 'raise the limit of file sizes (ulimit -f)' },
  EAGAIN: { code: 'ERR_SHM_LIMIT', action: 'operator', next: 'raise the limit of processes and threads (ulimit -u)' },
}

/**
 * The typed error for whatever the addon or node:fs threw: ERR_ARGUMENT and ERR_SHM_CLOSED as they are, the operating system's by the
 * table above, ERR_SHM_FAILED for the rest of these. A MillraceError stays itself.
 */
export function explain(error: unknown, attempt: Attempt): MillraceError {
  if (error instanceof MillraceError) return error
  const { code, argument, expected } = error as { code?: string; argument?: string; expected?: string }
  if (code === 'ERR_ARGUMENT' && argument !== undefined && expected !== undefined) {
    return argumentError(argument, expected, attempt.values[argument])
  }
  const cause = code === undefined ? undefined : CAUSES[code]
  return new MillraceError(cause?.code ?? 'ERR_SHM_FAILED', {
    fact: attempt.fact,
    action: cause?.action ?? 'operator',
    values: { ...attempt.values, cause: code ?? messageOf(error) },
    ...(cause === undefined ? {} : { next: cause.next }),
    cause: error,
  })
}

/** ERR_SHM_CLOSED: a second close, or a use after the first. */
export function closedError(what: string, path: string): MillraceError {
  return new MillraceError('ERR_SHM_CLOSED', { fact: `the ${what} is closed`, action: 'restart', values: { path } })
}
