import { systemClock } from '#base/clock.js'
import type { Journal } from '#journal/index.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { type FeedRequest, JournalFeed } from '#reading/log-feed.js'
import type { RowBatch } from '#reading/row-cursor.js'
import { type NamedStart, type SubscriptionHolder, subscriptionsOf } from '#reading/subscription-registry.js'
import type { StartPosition } from '#reading/subscription-start.js'
import { packBatch } from './row-pack.js'

/** Of a line on the socket, which must hold a batch; one row always fits. */
const PACKED_CHARACTERS_MAX = 4 << 20

/**
 * What a journal answers to subscribers on its control socket:
 *
 *   follow FeedRequest                a stream of packed RowBatch, made as credit comes
 *   locate {start}                    a position
 *   openSubscription {name, start}    {position, term}
 *   saveSubscription {holder, position}
 *   subscriptions {}                  SubscriptionState[]
 *   resetSubscription {name, start}   the position
 *   removeSubscription {name}
 */
export function subscriptionMethods(journal: Journal): Readonly<Record<string, ControlMethod>> {
  const feed = new JournalFeed(journal, systemClock)
  return {
    async *follow(args: unknown, signal: AbortSignal) {
      for await (const batch of feed.batches(args as FeedRequest, signal)) yield* packed(batch)
    },
    locate: (args: unknown) => feed.locate((args as { start: StartPosition }).start),
    openSubscription: (args: unknown) => {
      const { name, start } = args as { name: string; start: NamedStart }
      return feed.open(name, start)
    },
    saveSubscription: async (args: unknown) => {
      const { holder, position } = args as { holder: SubscriptionHolder; position: number }
      await feed.save(holder, position)
      return true
    },
    subscriptions: () => subscriptionsOf(journal).list(),
    resetSubscription: (args: unknown) => {
      const { name, start } = args as { name: string; start: StartPosition }
      return subscriptionsOf(journal).reset(name, start)
    },
    removeSubscription: async (args: unknown) => {
      await subscriptionsOf(journal).remove((args as { name: string }).name)
      return true
    },
  }
}

/** In halves where it is more than a line may hold. */
function* packed(batch: RowBatch): Generator<string> {
  const text = packBatch(batch)
  const { rows, next, end } = batch
  const half = rows.length >> 1
  const middle = rows[half]
  if (text.length <= PACKED_CHARACTERS_MAX || half === 0 || middle === undefined) return yield text
  yield* packed({ rows: rows.slice(0, half), next: middle.position, end })
  yield* packed({ rows: rows.slice(half), next, end })
}
