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
  /** While a group is on its way to the disk the next one begins once so many bytes wait for it; fewer go with it later. By default 256 KiB. */
  readonly enoughBytes?: number
  /** The disk failed in a way that only a restart can mend; the process must end. */
  readonly onFatal: (error: unknown) => void
  /** Runs the duty cycle again: something arrived outside of it. */
  readonly wake: () => void
  /** Told once when batches begin to wait for room on the disk, with why, and once, with undefined, when that is over. */
  readonly onRoom?: (missing: unknown) => void
  /** Told after each group commit that became durable; microseconds since it or, if later, the end of the one before. */
  readonly onDurable?: (rowCount: number, frameCount: number, micros: number) => void
}

/** How long the journal waits before it tries a batch again for which the disk had no room. */
export const NO_ROOM_RETRY_MS = 250

/** As many as Journal.append takes at a time. */
const GROUPS = 2
/** Some 1,500 frames: judging and encoding them takes about as long as the disk takes for those before. */
const ENOUGH_BYTES = 256 * 1024

/**
 * Serves the Journal port to workers over the bus. Group commit: whatever the rings hold while one append is on its way to the disk becomes the
 * next one; where that is much, it is handed over at once, so that it is encoded meanwhile. A frame is released only after its rows are durable or
 * its rejection is published; loads are answered after everything that stood before them in the same ring is resolved.
 *
 *   rings ─ collect ─▶ group, at most two ─ append ─▶ answer ─ settle, the older first ─▶ rejections, release, snapshots, loads
 *                                    ▲          │
 *                       after a while └─ no room ┘     nothing is released behind it and nothing new is read: the rings fill up to the doors
 */
export class JournalServer implements DutyCycle {
  readonly #options: JournalServerOptions
  readonly #journal: Journal
  readonly #links: readonly ServedLink[]
  readonly #enoughBytes: number
  readonly #free: GroupBatch[]
  /** Those that are under way, in the order in which they were collected. */
  readonly #groups: GroupBatch[] = []
  readonly #snapshots: SnapshotKeeper
  /** The link whose answers channel had no room for a rejection. */
  #blockedLink: ServedLink | undefined
  /** When the last group became durable. */
  #durableMs = 0
  /** When the next group may begin; 0: at once. */
  #gatherUntilMs = 0
  #cancelGathering: Cancel | undefined
  #firstLink = 0
  #noRoomCount = 0
  /** Groups wait for room. */
  #isOutOfRoom = false
  #isRetryDue = false
  #hasFailed = false

  constructor(options: JournalServerOptions) {
    this.#options = options
    this.#journal = options.journal
    this.#links = options.links.map((link) => new ServedLink(link))
    this.#enoughBytes = options.enoughBytes ?? ENOUGH_BYTES
    this.#free = Array.from({ length: GROUPS }, () => new GroupBatch(this.#links, options.framesMax, options.bytesMax))
    this.#snapshots = new SnapshotKeeper(options.journal, (error) => this.#fail(error))
  }

  /** How often a batch had to wait because the disk had no room, and snapshots left out because earlier ones were still being written. */
  get counters(): { readonly noRoom: number; readonly snapshotsDropped: number } {
    return { noRoom: this.#noRoomCount, snapshotsDropped: this.#snapshots.droppedCount }
  }

  /** True when nothing is on its way: no append, no load, no snapshot, no unread frame. */
  get isIdle(): boolean {
    return !this.#hasFailed && this.#groups.length === 0 && this.#snapshots.isIdle && this.#links.every((link) => link.isIdle)
  }

  get isOutOfRoom(): boolean {
    return this.#isOutOfRoom
  }

  /** Asks the worker in a slot for a snapshot of an entity's newest row; false when it cannot be asked now. */
  want(slot: number, entity: EntityId): boolean {
    const link = this.#links.find((one) => one.slot === slot)
    return !this.#hasFailed && link?.tryWant(Buffer.from(entity, 'utf8')) === true
  }

  doWork(): number {
    if (this.#hasFailed) return 0
    let work = this.#settle()
    if (this.#canCollect()) work += this.#collect()
    for (const link of this.#links) work += link.pump(this.#options.wake)
    return work
  }

  hasWork(): boolean {
    if (this.#hasFailed) return false
    if (this.#groups[0]?.answer !== undefined && (this.#blockedLink === undefined || this.#blockedLink.canReject())) return true
    return this.#canCollect() || this.#links.some((link) => link.canPump())
  }

  #canCollect(): boolean {
    if (this.#free.length === 0 || this.#isOutOfRoom) return false
    let waitingBytes = 0
    for (const link of this.#links) waitingBytes += link.appends.waitingBytes
    if (waitingBytes >= this.#enoughBytes) return true
    return waitingBytes > 0 && this.#groups.length === 0 && !this.#isGathering()
  }

  /** The first link changes each time: a ring that is always full must not keep the others waiting. */
  #collect(): number {
    const group = this.#free.pop() as GroupBatch
    const frames = group.collect(this.#firstLink)
    this.#firstLink = (this.#firstLink + 1) % this.#links.length
    this.#endGathering()
    this.#groups.push(group)
    if (group.count > 0) this.#append(group)
    else group.answer = NOTHING_STORED
    return frames + this.#settle()
  }

  /** Whether the next group is still to grow; sees to it that the duty cycle runs when it is not any more. */
  #isGathering(): boolean {
    if (this.#gatherUntilMs === 0) return false
    const { clock, wake } = this.#options
    const leftMs = this.#gatherUntilMs - clock.monotonicMs()
    if (leftMs <= 0) {
      this.#endGathering()
      return false
    }
    this.#cancelGathering ??= clock.after(leftMs, () => {
      this.#endGathering()
      wake()
    })
    return true
  }

  #endGathering(): void {
    this.#cancelGathering?.()
    this.#cancelGathering = undefined
    this.#gatherUntilMs = 0
  }

  #append(group: GroupBatch): void {
    group.handedMs = this.#options.clock.monotonicMs()
    this.#journal.append(group).then(
      (answer) => this.#answered(group, answer),
      (error: unknown) => this.#refused(group, error),
    )
  }

  #answered(group: GroupBatch, answer: AppendAnswer): void {
    const { gather, onDurable, onRoom, clock, wake } = this.#options
    if (group.isRefused) {
      group.isRefused = false
      if (this.#isOutOfRoom) onRoom?.(undefined)
      this.#isOutOfRoom = false
    }
    if (gather !== undefined && group.count >= gather.framesMin) this.#gatherUntilMs = group.handedMs + gather.ms
    group.answer = answer
    const sinceMs = Math.max(group.handedMs, this.#durableMs)
    this.#durableMs = clock.monotonicMs()
    onDurable?.(answer.rowCount, group.count, (this.#durableMs - sinceMs) * 1000)
    wake()
  }

  #refused(group: GroupBatch, error: unknown): void {
    if (!isMillraceError(error, 'ERR_JOURNAL_FULL')) {
      const { eventTypes: types, shardCount } = this.#journal
      return this.#fail(isMillraceError(error) ? error : (group.giveUpMalformed({ types, shardCount }) ?? error))
    }
    this.#noRoomCount++
    group.isRefused = true
    if (!this.#isOutOfRoom) this.#options.onRoom?.(error)
    this.#isOutOfRoom = true
    if (this.#isRetryDue) return
    this.#isRetryDue = true
    this.#options.clock.after(NO_ROOM_RETRY_MS, () => this.#retry())
  }

  /** In one go, so that no group gets in before an older one. */
  #retry(): void {
    this.#isRetryDue = false
    for (const group of this.#groups) if (group.isRefused) this.#append(group)
  }

  /** Rejections first, then the release, then what stood behind the appends. Goes on later where a ring is full. */
  #settle(): number {
    let work = 0
    for (let group = this.#groups[0]; group?.answer !== undefined; group = this.#groups[0]) {
      const { answer, rejectionsSent } = group
      const isComplete = this.#sendRejections(group, answer)
      if (answer.rejected.length > 0) for (const link of this.#links) link.answers.publish()
      work += group.rejectionsSent - rejectionsSent
      if (!isComplete) break
      this.#keepSnapshots(group, answer)
      for (const { link, loads, readEnd } of group.parts) link.resolved(this.#journal, loads, readEnd)
      this.#groups.shift()
      this.#free.push(group)
      this.#snapshots.save()
      work++
    }
    return work
  }

  #sendRejections(group: GroupBatch, { rejected }: AppendAnswer): boolean {
    this.#blockedLink = undefined
    for (; group.rejectionsSent < rejected.length; group.rejectionsSent++) {
      const { index, headVersion, kind } = rejected[group.rejectionsSent] as AppendAnswer['rejected'][number]
      const link = this.#links[group.memory[index] as number] as ServedLink
      const reason = kind === 'fenced' ? REJECTED_FENCED : REJECTED_CONFLICT
      if (link.tryReject(group.offsets[index] as number, headVersion, reason)) continue
      this.#blockedLink = link
      return false
    }
    return true
  }

  /** Of appends that were stored before, rows of later versions may lie before this group's position. */
  #keepSnapshots({ parts, count }: GroupBatch, { basePosition, rejected, known }: AppendAnswer): void {
    const rejectedIndexes = new Set(rejected.map(({ index }) => index))
    const position = count === 0 ? this.#journal.endPosition : basePosition
    for (const { snapshots } of parts) {
      for (const { snapshot, appendIndex } of snapshots) {
        if (rejectedIndexes.has(appendIndex)) continue
        const isOfThisGroup = appendIndex >= 0 && known === 0
        this.#snapshots.keep({ ...snapshot, position }, isOfThisGroup)
      }
    }
  }

  #fail(error: unknown): void {
    this.#hasFailed = true
    this.#options.onFatal(error)
  }
}

/** The answer to a group without appends. */
const NOTHING_STORED: AppendAnswer = { basePosition: 0, rowCount: 0, rejected: [], known: 0 }
