import { isoMicros } from '#base/micros.js'
import type { SubscriptionState } from '#reading/subscription-registry.js'
import type { Output } from './output.js'

/** A named subscription as commands show it. */
export interface ShownSubscription extends SubscriptionState {
  /** Positions of the log that it has not settled. */
  readonly lag: number
  /**
   * `reading`: somebody reads under the name, if only by waiting for rows. `paused`: nobody does. `fenced`: it goes on once it is reset. `ahead`: the log ends before its
   * position, as after a restore.
   */
  readonly state: 'reading' | 'paused' | 'fenced' | 'ahead'
}

export function shownSubscriptions(states: readonly SubscriptionState[], endPosition: number): ShownSubscription[] {
  return states.map((one) => ({ ...one, lag: Math.max(0, endPosition - one.position), state: stateOf(one, endPosition) }))
}

/** A line for each, and below them what those want that cannot go on. */
export function printSubscriptions(subscriptions: readonly ShownSubscription[], output: Output): void {
  output.table(
    [{ title: 'subscription' }, { title: 'position' }, { title: 'lag' }, { title: 'last seen' }, { title: 'state' }],
    subscriptions.map(({ name, position, lag, seenAt, state }) => [name, position, lag, isoMicros(seenAt), state]),
  )
  for (const { name, state, reason } of subscriptions) {
    if (state === 'fenced')
      output.line(
        `${name} was fenced, since ${reason}: take what it misses from an archive or a backup, then millrace subscription reset ${name}`,
      )
    if (state === 'ahead')
      output.line(`${name} is ahead of the log: \`millrace subscription reset ${name} --to end\`, or to where it is to go on`)
  }
}

function stateOf({ isFenced, isRead, position }: SubscriptionState, endPosition: number): ShownSubscription['state'] {
  if (isFenced) return 'fenced'
  if (position > endPosition) return 'ahead'
  return isRead ? 'reading' : 'paused'
}
