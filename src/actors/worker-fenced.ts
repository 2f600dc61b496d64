import { MillraceError } from '#base/errors.js'

/** What a worker ends with that was taken for dead and was not. */
export function workerFenced(term: number): MillraceError {
  return new MillraceError('ERR_WORKER_FENCED', {
    fact: 'the journal has seen a later term of this worker slot',
    action: 'restart',
    values: { term },
    next: 'end this process, its successor has taken over',
  })
}
