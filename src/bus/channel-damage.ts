import { isMillraceError, MillraceError } from '#base/errors.js'
import { checkChannel } from './header.js'

/** What an end gave up with a damaged channel. */
export interface ChannelDamage {
  /** ERR_CHANNEL_CORRUPT; its values say what was found, and the two positions. */
  readonly error: MillraceError
  /** End of the last frame that this end released or, as a producer, knows to be released. */
  readonly releasedPosition: number
  /** End of the last frame that this end published or, as a consumer, read. */
  readonly position: number
}

/** The damage that memory which an end has attached to shows from outside, or undefined. A channel that was given up shows it for ever. */
export function damageTo(buffer: ArrayBufferLike): MillraceError | undefined {
  try {
    checkChannel(buffer)
    return undefined
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
}

/** An error of memory that was a channel before. */
export function isDamage(error: unknown): error is MillraceError {
  return isMillraceError(error, 'ERR_CHANNEL_CORRUPT') || isMillraceError(error, 'ERR_CHANNEL_FORMAT')
}

/** Throws what is no damage. */
export function asDamage(error: unknown, channel: string, releasedPosition: number, position: number): ChannelDamage {
  if (!isDamage(error)) throw error
  const told = new MillraceError('ERR_CHANNEL_CORRUPT', {
    fact: 'the channel is damaged, and what was not released is given up with it',
    action: 'restart',
    values: { channel, releasedPosition, endPosition: position, cause: error.message },
    next: 'reopen it, and send again what lies between the positions',
    cause: error,
  })
  return { error: told, releasedPosition, position }
}
