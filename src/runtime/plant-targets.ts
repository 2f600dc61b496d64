import type { Clock } from '#base/clock.js'
import type { SourceLog } from '#ingest/source.js'
import type { LogFeed } from '#reading/log-feed.js'
import { Subscription } from '#reading/subscription.js'
import type { RunningTarget, TargetDefinition } from '#targets/target.js'

export interface TargetPlace {
  /** A way to the plant's log; each subscription gets one of its own. */
  readonly feed: () => LogFeed
  readonly clock: Clock
  readonly log: SourceLog
  /** Tells this plant from others, as its data directory does. */
  readonly plant: string
  /** Where relative paths in definitions start; the working directory when left out. */
  readonly base?: string
}

/** Starts the targets of a plant. When one cannot start, those before it are stopped and its error is thrown. */
export async function startTargets(definitions: readonly TargetDefinition[], place: TargetPlace): Promise<RunningTarget[]> {
  const { feed, log, ...rest } = place
  const running: RunningTarget[] = []
  try {
    for (const target of definitions) {
      const ownLog: SourceLog = (level, message, values) => log(level, message, { target: target.name, ...values })
      running.push(await target.start({ ...rest, log: ownLog, subscribe: (options) => new Subscription(feed(), options) }))
    }
  } catch (error) {
    await Promise.all(running.map((target) => target.stop()))
    throw error
  }
  return running
}
