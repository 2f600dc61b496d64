/** How much of the log is kept. What is left out is no reason to drop anything. */
export interface RetentionPolicy {
  /** Rows accepted longer ago than this may go, microseconds. */
  readonly ageMicrosMax?: number
  /** Sealed segments may take so many bytes together; the oldest go first. */
  readonly bytesMax?: number
  /** Readers that lag keep segments that would have gone up to so many bytes together; beyond it those that hold the oldest are fenced. */
  readonly heldBytesMax: number
}

/** What the plan needs to know of a sealed segment. */
export interface RetainedSegment {
  readonly name: string
  readonly firstPosition: number
  readonly endPosition: number
  readonly bytes: number
  /** Newest `accepted` in it, microseconds since 1970. */
  readonly acceptedMax: number
}

/** Whoever still needs rows from a position on. */
export interface LogReader {
  readonly name: string
  /** The first row that it has not had. */
  readonly position: number
}

/** What is to be done with the oldest segment. */
export type RetentionPlan =
  | { readonly action: 'keep' }
  | { readonly action: 'drop'; readonly segment: RetainedSegment; readonly because: 'age' | 'size' }
  | { readonly action: 'hold'; readonly segment: RetainedSegment; readonly readers: readonly LogReader[]; readonly heldBytes: number }
  /** The readers have held more than they may: fence them, then plan again. */
  | { readonly action: 'fence'; readonly segment: RetainedSegment; readonly readers: readonly LogReader[]; readonly heldBytes: number }

/**
 * Decides about the oldest sealed segment; called again until it says `keep` or `hold`. Pure. Segments are in order of position, and only whole ones go.
 */
export function planRetention(
  segments: readonly RetainedSegment[],
  readers: readonly LogReader[],
  policy: RetentionPolicy,
  nowMicros: number,
): RetentionPlan {
  const due = segments.slice(0, countDue(segments, policy, nowMicros))
  const [segment] = due
  if (segment === undefined) return { action: 'keep' }
  const holding = readers.filter(({ position }) => position < segment.endPosition)
  if (holding.length === 0) return { action: 'drop', segment, because: isTooOld(segment, policy, nowMicros) ? 'age' : 'size' }
  const lowest = Math.min(...holding.map(({ position }) => position))
  const heldBytes = due.reduce((sum, { endPosition, bytes }) => sum + (endPosition > lowest ? bytes : 0), 0)
  return { action: heldBytes > policy.heldBytesMax ? 'fence' : 'hold', segment, readers: holding, heldBytes }
}

/** How many of the oldest segments the policy wants gone. */
function countDue(segments: readonly RetainedSegment[], policy: RetentionPolicy, nowMicros: number): number {
  let left = segments.reduce((sum, { bytes }) => sum + bytes, 0)
  let count = 0
  for (const segment of segments) {
    if (!isTooOld(segment, policy, nowMicros) && left <= (policy.bytesMax ?? Number.POSITIVE_INFINITY)) break
    left -= segment.bytes
    count++
  }
  return count
}

function isTooOld({ acceptedMax }: RetainedSegment, { ageMicrosMax }: RetentionPolicy, nowMicros: number): boolean {
  return ageMicrosMax !== undefined && acceptedMax < nowMicros - ageMicrosMax
}
