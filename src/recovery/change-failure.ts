import { type ErrorAction, MillraceError, messageOf } from '#base/errors.js'

/** Why a change of a running plant did not come about. Plain JSON. */
export interface ChangeFailure {
  readonly code: string
  readonly message: string
  readonly action: ErrorAction
}

export function changeFailure(error: unknown): ChangeFailure {
  const message = messageOf(error)
  return error instanceof MillraceError
    ? { code: error.code, message, action: error.action }
    : { code: 'ERR_INTERNAL', message, action: 'operator' }
}
