import type { Journal } from '#journal/index.js'
import type { RetainedSegment } from '#journal/retention-plan.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { type SubscriptionState, subscriptionsOf } from '#reading/subscription-registry.js'

/** The log as files. */
export interface SegmentReport {
  /** The first position that can be read; rows before it were dropped. */
  readonly firstPosition: number
  readonly endPosition: number
  /** On disk, the active segment and the catalog included. */
  readonly storedBytes: number
  readonly sealed: readonly RetainedSegment[]
  readonly subscriptions: readonly SubscriptionState[]
}

/** What the journal answers about its segments. */
export function segmentMethods(journal: Journal): Readonly<Record<string, ControlMethod>> {
  return {
    segments: (): SegmentReport => ({
      firstPosition: journal.firstPosition,
      endPosition: journal.endPosition,
      storedBytes: journal.storedBytes(),
      sealed: journal.sealedSegments(),
      subscriptions: subscriptionsOf(journal).list(),
    }),
  }
}
