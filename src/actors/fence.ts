import { MillraceError } from '#base/errors.js'
import { rowsFenced } from '#journal/fenced-block.js'
import type { Slot } from './slot.js'

/** Why an entity takes no commands. */
export interface Fence {
  /** Of the refusal. */
  readonly code: 'ROWS_FENCED' | 'APPLY_FAILED'
  readonly error: MillraceError
  /**
   * The refusal is stored, as any other, so that a command that comes again is refused again. Not where somebody may still mend the entity, so that the command can
   * be taken then; and not where its newest row is not known, since nothing could be appended.
   */
  readonly isStored: boolean
}

/** The writer of a newest row of which the journal does not know who wrote it (journal/doubtful-heads.ts). */
const WRITER_UNKNOWN = 0

export function fenceOf({ id, lostVersion, foldFailure, term }: Slot): Fence | undefined {
  if (lostVersion === 0) return undefined
  if (foldFailure !== undefined) return { code: 'APPLY_FAILED', error: notFolded(id, lostVersion, foldFailure), isStored: false }
  return { code: 'ROWS_FENCED', error: rowsFenced(id, lostVersion), isStored: term !== WRITER_UNKNOWN }
}

/** Why the state of an entity cannot be had by the code that there is. */
export function notFolded(entity: string, version: number, failure: string): MillraceError {
  return new MillraceError('ERR_APPLY_FAILED', {
    fact: `a stored event could not be applied, ${failure}`,
    action: 'operator',
    values: { entity, version },
    next: 'mend the code, and start the plant again: the event is stored, and stays as it is',
  })
}
