import type { PlainError } from './control-message.js'

/**
 * Why a process ended by itself, as far as that changes what is to be done. `schema`: the plant's code does not fit what is stored. `log`: what it must read is
 * damaged. `room`: the disk or the shared memory is full. `port`: an address of a door cannot be had. `operator`: something else that only a person can
 * change. `other`: starting again may help; also whatever ends without a word.
 */
export type FailureKind = 'schema' | 'log' | 'room' | 'port' | 'operator' | 'other'

const KINDS: { readonly [code: string]: FailureKind } = {
  ERR_SCHEMA_CHANGED: 'schema',
  ERR_SCHEMA_NEWER: 'schema',
  ERR_STATE_CHANGED: 'schema',
  ERR_CHANNEL_SCHEMA: 'schema',
  ERR_UPCAST_FAILED: 'schema',
  ERR_APPLY_FAILED: 'schema',
  ERR_BLOCK_DAMAGED: 'log',
  ERR_SEGMENT_DAMAGED: 'log',
  ERR_SEGMENT_UNREADABLE: 'log',
  ERR_CATALOG_DAMAGED: 'log',
  ERR_LOG_INCOMPLETE: 'log',
  ERR_LOG_FORMAT: 'log',
  ERR_LOAD: 'log',
  ERR_DISK_FULL: 'room',
  ERR_JOURNAL_FULL: 'room',
  ERR_SHM_NO_ROOM: 'room',
  ERR_HTTP_LISTEN: 'port',
}

/** Of the error over which a process said that it ends; undefined: it said nothing. */
export function failureKindOf(error: Pick<PlainError, 'code' | 'action'> | undefined): FailureKind {
  if (error === undefined) return 'other'
  return KINDS[error.code] ?? (error.action === 'operator' ? 'operator' : 'other')
}

/** Failures that will be the same for the next process, until somebody has changed something. */
export function needsOperator(kind: FailureKind): boolean {
  return kind !== 'other' && kind !== 'room'
}
