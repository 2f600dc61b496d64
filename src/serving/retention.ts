import type { Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { Journal } from '#journal/journal.js'
import { type LogReader, planRetention, type RetainedSegment, type RetentionPlan, type RetentionPolicy } from '#journal/retention-plan.js'

export interface RetentionOptions {
  readonly journal: Journal
  readonly policy: RetentionPolicy
  readonly clock: Clock
  /** Those who still need rows, without the fenced ones. */
  readonly readers: () => readonly LogReader[]
  /** Makes a reader's next read an error that says why. Durable when it resolves. */
  readonly fence: (reader: string, reason: string) => Promise<void>
  /** Asks whoever hosts the entity for a snapshot of its newest row; false when that cannot be asked now. The snapshot comes, if it comes, through the journal. */
  readonly want: (entity: EntityId, shard: number) => boolean
  /** Puts a copy of the segment elsewhere before it goes. Resolves when that is safe. */
  readonly archive?: (segment: RetainedSegment) => Promise<void>
  readonly onStep: (step: RetentionStep) => void
}

/** What retention did, or what keeps it from doing more; told when it changes. */
export type RetentionStep =
  | { readonly kind: 'dropped'; readonly segment: RetainedSegment; readonly because: 'age' | 'size'; readonly bases: number }
  | { readonly kind: 'held'; readonly segment: RetainedSegment; readonly readers: readonly string[]; readonly heldBytes: number }
  | { readonly kind: 'fenced'; readonly segment: RetainedSegment; readonly readers: readonly string[]; readonly heldBytes: number }
  /** Entities of the segment of which no snapshot could be had: it stays. */
  | { readonly kind: 'waiting'; readonly segment: RetainedSegment; readonly entities: readonly EntityId[]; readonly entityCount: number }
  | { readonly kind: 'failed'; readonly error: unknown }

/** Snapshots asked for and not yet seen: what bounds the work that retention makes for workers. */
const WANTED_MAX = 64
/** Base snapshots written at once. */
const BASES_PER_STEP = 256
/** How often the journal is looked at for a snapshot that was asked for, how often it is asked for again, and for how long. */
const LOOK_EVERY_MS = 50
const ASK_AGAIN_MS = 1000
const GIVE_UP_MS = 30_000
const NAMED_MAX = 10

/**
 * Drops the oldest sealed segments as the policy says. Before one goes, each entity that has rows in it gets a base snapshot of a version that covers
 * them, so that it can always be rebuilt from base and log; and nothing goes that a reader has not had. A crash at any step leaves the segment, or
 * the segment gone and all that takes its place.
 */
export class Retention {
  readonly #options: RetentionOptions
  #isRunning = false
  #isStopped = false
  #lastStep = ''
  #endPause = () => {}

  constructor(options: RetentionOptions) {
    this.#options = options
  }

  /** Does all that is due, one segment after the other. Calls while it is at it do nothing. Never throws: tells what went wrong. */
  async run(): Promise<void> {
    if (this.#isRunning || this.#isStopped) return
    this.#isRunning = true
    try {
      while (!this.#isStopped && (await this.#step()));
    } catch (error) {
      this.#tell({ kind: 'failed', error })
    } finally {
      this.#isRunning = false
    }
  }

  /** Begins nothing new; what is under way ends at its next step. */
  stop(): void {
    this.#isStopped = true
    this.#endPause()
  }

  /** Whether there may be more to do. */
  async #step(): Promise<boolean> {
    const plan = this.#plan()
    if (plan.action === 'keep') return false
    const { segment } = plan
    if (plan.action === 'drop') return this.#drop(segment, plan.because)
    const readers = plan.readers.map(({ name }) => name)
    this.#tell({ kind: plan.action === 'hold' ? 'held' : 'fenced', segment, readers, heldBytes: plan.heldBytes })
    if (plan.action === 'hold') return false
    for (const reader of readers) {
      await this.#options.fence(
        reader,
        `it held ${plan.heldBytes} bytes of the log, more than retention.heldBytesMax=${this.#options.policy.heldBytesMax}`,
      )
    }
    return true
  }

  #plan(): RetentionPlan {
    const { journal, policy, clock, readers } = this.#options
    return planRetention(journal.sealedSegments(), readers(), policy, clock.nowMicros())
  }

  async #drop(segment: RetainedSegment, because: 'age' | 'size'): Promise<boolean> {
    const { journal, archive } = this.#options
    const bases = await this.#writeBases(segment)
    if (bases === undefined || this.#isStopped) return false
    await archive?.(segment)
    // A reader may have come while bases were written.
    const plan = this.#plan()
    if (plan.action !== 'drop' || plan.segment.name !== segment.name) return true
    await journal.dropOldest(segment.name)
    this.#tell({ kind: 'dropped', segment, because, bases })
    return true
  }

  /** Makes a durable base of every entity with rows in the segment; returns how many, or undefined when some could not be had. */
  async #writeBases(segment: RetainedSegment): Promise<number | undefined> {
    const { journal, clock } = this.#options
    const missing = new Map<EntityId, { readonly shard: number; readonly version: number; askedMs: number }>()
    let count = 0
    let covered: EntityId[] = []
    const flush = async () => {
      const snapshots = covered.flatMap((entity) => journal.snapshot(entity) ?? [])
      covered = []
      await journal.saveBases(snapshots)
    }
    const cover = async (entity: EntityId) => {
      covered.push(entity)
      count++
      if (covered.length >= BASES_PER_STEP) await flush()
    }
    for await (const { entity, shard, version } of journal.lastVersions(segment.name)) {
      if (this.#covers(entity, version)) await cover(entity)
      else missing.set(entity, { shard, version, askedMs: Number.NEGATIVE_INFINITY })
    }
    let progressMs = clock.monotonicMs()
    while (missing.size > 0 && !this.#isStopped) {
      const nowMs = clock.monotonicMs()
      let wanted = 0
      for (const [entity, one] of missing) {
        if (this.#covers(entity, one.version)) {
          missing.delete(entity)
          await cover(entity)
          progressMs = nowMs
          continue
        }
        if (++wanted > WANTED_MAX) break
        if (nowMs - one.askedMs < ASK_AGAIN_MS) continue
        if (this.#options.want(entity, one.shard)) one.askedMs = nowMs
      }
      if (missing.size === 0) break
      if (nowMs - progressMs > GIVE_UP_MS) {
        this.#tell({ kind: 'waiting', segment, entities: [...missing.keys()].slice(0, NAMED_MAX), entityCount: missing.size })
        return undefined
      }
      await this.#pause()
    }
    await flush()
    return count
  }

  /** Ends early when stopped. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(LOOK_EVERY_MS, resolve)
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
  }

  #covers(entity: EntityId, version: number): boolean {
    const snapshot = this.#options.journal.snapshot(entity)
    return snapshot !== undefined && snapshot.version >= version
  }

  /** What stays as it was is told once. */
  #tell(step: RetentionStep): void {
    const key = `${step.kind} ${step.kind === 'failed' ? messageOf(step.error) : step.segment.name}`
    if (key === this.#lastStep) return
    this.#lastStep = key
    this.#options.onStep(step)
  }
}
