import { MillraceError } from '#base/errors.js'

/** The log ends before the position: it was restored from an older backup, it is another log, or nobody ever was there. */
export function aheadOfLog(subscription: string | undefined, position: number, endPosition: number): MillraceError {
  const isNamed = subscription !== undefined
  return new MillraceError('ERR_SUBSCRIPTION_AHEAD', {
    fact: isNamed
      ? 'a subscription is ahead of the log, as it is when the log was restored from an older backup'
      : 'the log ends before this position',
    action: 'operator',
    values: { ...named(subscription), position, endPosition },
    next: isNamed
      ? 'look at what was done with the rows that the log no longer has, then start it at a position that is there, such as the end'
      : 'begin at one that is there, such as the end',
  })
}

/** Rows that were to come are gone. */
export function behindLog(subscription: string | undefined, position: number, firstPosition: number): MillraceError {
  const restart = 'at the beginning, which is the first position that is there'
  return new MillraceError('ERR_SUBSCRIPTION_BEHIND', {
    fact:
      subscription === undefined
        ? 'rows from this position on were dropped by retention'
        : 'rows that a subscription still needs were dropped by retention',
    action: 'operator',
    values: { ...named(subscription), position, firstPosition },
    next:
      subscription === undefined
        ? `begin ${restart}; an archive or a backup has the others`
        : `take the missing rows from an archive or a backup, then start it ${restart}`,
  })
}

export function fenced(subscription: string, position: number, reason: string, firstPosition: number): MillraceError {
  const restart = `run \`millrace subscription reset ${subscription}\` to go on from the first position that is there`
  return new MillraceError('ERR_SUBSCRIPTION_FENCED', {
    fact: `a subscription was fenced, since ${reason}`,
    action: 'operator',
    values: { subscription, position, firstPosition },
    next: position < firstPosition ? `take the rows between the two positions from an archive or a backup, then ${restart}` : restart,
  })
}

/** The place from which its reader went on is no longer its place. */
export function resetMeanwhile(subscription: string): MillraceError {
  return new MillraceError('ERR_SUBSCRIPTION_RESET', {
    fact: 'a subscription was reset while it was read',
    action: 'retry',
    values: { subscription },
    next: 'open it again to go on from its new place',
  })
}

/** Somebody else reads under the name now, or it was removed: whoever came last goes on. */
export function taken(subscription: string): MillraceError {
  return new MillraceError('ERR_SUBSCRIPTION_TAKEN', {
    fact: 'a subscription was opened elsewhere or removed, so this reader of it ends',
    action: 'operator',
    values: { subscription },
    next: 'give each reader a name of its own',
  })
}

export function unknownSubscription(subscription: string): MillraceError {
  return new MillraceError('ERR_SUBSCRIPTION_UNKNOWN', {
    fact: 'there is no subscription of this name',
    action: 'operator',
    values: { subscription },
    next: 'look at `millrace subscription list`',
  })
}

export function wrongSubscription(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_SUBSCRIPTION_OPTIONS', { fact, action: 'operator', values, next })
}

function named(subscription: string | undefined): { subscription?: string } {
  return subscription === undefined ? {} : { subscription }
}
