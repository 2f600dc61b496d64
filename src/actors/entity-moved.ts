import { MillraceError } from '#base/errors.js'

/** Of an entity that has left for another worker. */
export function entityMoved(entity: string): MillraceError {
  return new MillraceError('ERR_ENTITY_MOVED', {
    fact: 'the entity has moved to another worker',
    action: 'retry',
    values: { entity },
    next: 'ask again: the worker that has it now answers',
  })
}
