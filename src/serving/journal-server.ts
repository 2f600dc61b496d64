import { isMillraceError } from '#base/errors.js'
import type { Cancel, Clock } from '#base/clock.js'
import type { EntityId } from '#base/ids.js'
import type { DutyCycle } from '#bus/index.js'
import type { AppendAnswer, Journal } from '#journal/journal.js'
import { REJECTED_CONFLICT, REJECTED_FENCED } from './serving-frames.js'
import { GroupBatch } from './group-batch.js'
import { SnapshotKeeper } from './snapshot-keeper.js'
import { ServedLink, type WorkerLink } from './served-link.js'

export type { WorkerLink } from './served-link.js'

export interface JournalServerOptions {
  readonly journal: Journal
  readonly links: readonly WorkerLink[]
  readonly clock: Clock
  /** Of one group commit. */
  readonly framesMax: number
  readonly bytesMax: number
  /**
   * After a group of at least so many frames the next one begins no sooner than so long after that one did: a put costs the processor as much for few
   * rows as for many. Left out: whatever has come when the one before is durable.
   */
  readonly gather?: { readonly framesMin: number; readonly ms: number }
  /** The disk failed in a way that only a restart can mend; the process must end. */
  readonly onFatal: (error: unknown) => void
  /** Runs the duty cycle again: something arrived outside of it. */
  readonly wake: () => void
  /** Told once when batches begin to wait for room on the disk, with why, and once, with undefined, when that is over. */
  readonly onRoom?: (missing: unknown) => void
  /** Told after each group commit that became durable. */
  readonly onDurable?: (rowCount: number, frameCount: number, micros: number) => void
}

/** How long the journal waits before it tries a batch again for which the disk had no room. */
export const NO_ROOM_RETRY_MS = 250

type Phase = 'collecting' | 'appending' | 'settling' | 'waiting-for-room' | 'failed'

/**
 * Serves the Journal port to workers over the bus. Group commit: whatever the rings hold while one append is on its way to the disk becomes the
 * next one. A frame is released only after its rows are durable or its rejection is published; loads are answered after everything that
 * stood before them in the same ring is resolved.
 *
 *   collecting ──▶ appending ──▶ settling ──▶ collecting
 *                   │    ▲
 *                   ▼    │ after a while
 *              waiting-for-room      nothing is released and nothing new is read: the rings fill up to the doors
 */
export class JournalServer implements DutyCycle {
  readonly #options: JournalServerOptions
  readonly #journal: Journal
  readonly #links: readonly ServedLink[]
  readonly #batch: GroupBatch
  readonly #snapshots: SnapshotKeeper
  #phase: Phase = 'collecting'
  #answer: AppendAnswer | undefined
  #rejectionsSent = 0
  /** The link whose answers channel had no room for a rejection. */
  #blockedLink: ServedLink | undefined
  #appendStartedMs = 0
  /** When the next group may begin; 0: at once. */
  #gatherUntilMs = 0
  #cancelGathering: Cancel | undefined
  #firstLink = 0
  #noRoomCount = 0
  #isWaiting = false

  constructor(options: JournalServerOptions) {
    this.#options = options
    this.#journal = options.journal
    this.#links = options.links.map((link) => new ServedLink(link))
    this.#batch = new GroupBatch(this.#links, options.framesMax, options.bytesMax)
    this.#snapshots = new SnapshotKeeper(options.journal, (error) => this.#fail(error))
  }

  /** How often a batch had to wait because the disk had no room, and snapshots left out because earlier ones were still being written. */
  get counters(): { readonly noRoom: number; readonly snapshotsDropped: number } {
    return { noRoom: this.#noRoomCount, snapshotsDropped: this.#snapshots.droppedCount }
  }

  /** True when nothing is on its way: no append, no load, no snapshot, no unread frame. */
  get isIdle(): boolean {
    return this.#phase === 'collecting' && this.#snapshots.isIdle && this.#links.every((link) => link.isIdle)
  }

  get isOutOfRoom(): boolean {
    return this.#phase === 'waiting-for-room'
  }

  /** Asks the worker in a slot for a snapshot of an entity's newest row; false when it cannot be asked now. */
  want(slot: number, entity: EntityId): boolean {
    const link = this.#links.find((one) => one.slot === slot)
    return this.#phase !== 'failed' && link?.tryWant(Buffer.from(entity, 'utf8')) === true
  }

  doWork(): number {
    if (this.#phase === 'failed') return 0
    let work = 0
    if (this.#phase === 'settling') work += this.#settle()
    if (this.#phase === 'collecting') work += this.#collect()
    for (const link of this.#links) work += link.pump(this.#options.wake)
    return work
  }

  hasWork(): boolean {
    if (this.#phase === 'failed') return false
    if (this.#phase === 'settling' && (this.#blockedLink === undefined || this.#blockedLink.canReject())) return true
    if (this.#phase === 'collecting' && this.#links.some((link) => link.appends.hasFrames()) && !this.#isGathering()) return true
    return this.#links.some((link) => link.canPump())
  }

  /** The first link changes each time: a ring that is always full must not keep the others waiting. */
  #collect(): number {
    if (this.#isGathering()) return 0
    const frames = this.#batch.collect(this.#firstLink)
    if (frames === 0) return 0
    this.#firstLink = (this.#firstLink + 1) % this.#links.length
    if (this.#batch.count > 0) {
      this.#append()
      return frames
    }
    this.#toSettle({ basePosition: this.#journal.endPosition, rowCount: 0, rejected: [], known: 0 })
    return frames + this.#settle()
  }

  /** Whether the next group is still to grow; sees to it that the duty cycle runs when it is not any more. */
  #isGathering(): boolean {
    if (this.#gatherUntilMs === 0) return false
    const { clock, wake } = this.#options
    const leftMs = this.#gatherUntilMs - clock.monotonicMs()
    if (leftMs > 0) {
      this.#cancelGathering ??= clock.after(leftMs, () => {
        this.#cancelGathering = undefined
        this.#gatherUntilMs = 0
        wake()
      })
      return true
    }
    this.#cancelGathering?.()
    this.#cancelGathering = undefined
    this.#gatherUntilMs = 0
    return false
  }

  #append(): void {
    this.#phase = 'appending'
    this.#appendStartedMs = this.#options.clock.monotonicMs()
    this.#journal.append(this.#batch).then(
      (answer) => {
        if (this.#isWaiting) this.#options.onRoom?.(undefined)
        this.#isWaiting = false
        const { gather } = this.#options
        if (gather !== undefined && this.#batch.count >= gather.framesMin) this.#gatherUntilMs = this.#appendStartedMs + gather.ms
        this.#toSettle(answer)
        this.#options.onDurable?.(answer.rowCount, this.#batch.count, (this.#options.clock.monotonicMs() - this.#appendStartedMs) * 1000)
        this.#options.wake()
      },
      (error: unknown) => {
        if (!isMillraceError(error, 'ERR_JOURNAL_FULL')) return this.#fail(error)
        this.#noRoomCount++
        if (!this.#isWaiting) this.#options.onRoom?.(error)
        this.#isWaiting = true
        this.#phase = 'waiting-for-room'
        this.#options.clock.after(NO_ROOM_RETRY_MS, () => this.#append())
      },
    )
  }

  #toSettle(answer: AppendAnswer): void {
    this.#answer = answer
    this.#rejectionsSent = 0
    this.#phase = 'settling'
  }

  /** Rejections first, then the release, then what stood behind the appends. Goes on later where a ring is full. */
  #settle(): number {
    const answer = this.#answer as AppendAnswer
    const sentBefore = this.#rejectionsSent
    const isComplete = this.#sendRejections(answer)
    if (answer.rejected.length > 0) for (const link of this.#links) link.answers.publish()
    if (!isComplete) return this.#rejectionsSent - sentBefore
    this.#keepSnapshots(answer)
    for (const link of this.#links) link.resolved(this.#journal)
    this.#phase = 'collecting'
    this.#snapshots.save()
    return this.#rejectionsSent - sentBefore + 1
  }

  #sendRejections({ rejected }: AppendAnswer): boolean {
    this.#blockedLink = undefined
    for (; this.#rejectionsSent < rejected.length; this.#rejectionsSent++) {
      const { index, headVersion, kind } = rejected[this.#rejectionsSent] as AppendAnswer['rejected'][number]
      const link = this.#links[this.#batch.memory[index] as number] as ServedLink
      const reason = kind === 'fenced' ? REJECTED_FENCED : REJECTED_CONFLICT
      if (link.tryReject(this.#batch.offsets[index] as number, headVersion, reason)) continue
      this.#blockedLink = link
      return false
    }
    return true
  }

  /** Of appends that were stored before, rows of later versions may lie before this batch's position. */
  #keepSnapshots({ basePosition, rejected, known }: AppendAnswer): void {
    const rejectedIndexes = new Set(rejected.map(({ index }) => index))
    for (const link of this.#links) {
      for (const { snapshot, appendIndex } of link.snapshots) {
        if (rejectedIndexes.has(appendIndex)) continue
        const isOfThisBatch = appendIndex >= 0 && known === 0
        this.#snapshots.keep({ ...snapshot, position: basePosition }, isOfThisBatch)
      }
    }
  }

  #fail(error: unknown): void {
    this.#phase = 'failed'
    this.#options.onFatal(error)
  }
}
