import { unpack } from '#base/pack.js'
import { isMillraceError } from '#base/errors.js'
import type { Clock } from '#base/clock.js'
import type { Consumer, DutyCycle, Producer } from '#bus/index.js'
import { type AppendAnswer, type AppendBatch, type EntityHead, type Journal, type Snapshot } from '#journal/journal.js'
import type { EntityId } from '#base/ids.js'
import { LoadJob } from './load-job.js'
import {
  APPEND_FRAME,
  LOAD_FRAME,
  type LoadRequest,
  REJECTED_BYTES,
  REJECTED_CONFLICT,
  REJECTED_FENCED,
  REJECTED_FRAME,
  SNAPSHOT_FRAME,
  SNAPSHOT_HEADER_BYTES,
} from './serving-frames.js'

/** The journal's end of the three channels of one worker slot. */
export interface WorkerLink {
  readonly slot: number
  readonly appends: Consumer
  readonly answers: Producer
  readonly bulk: Producer
}

export interface JournalServerOptions {
  readonly journal: Journal
  readonly links: readonly WorkerLink[]
  readonly clock: Clock
  /** Of one group commit. */
  readonly framesMax: number
  readonly bytesMax: number
  /** The disk failed in a way that only a restart can mend; the process must end. */
  readonly onFatal: (error: unknown) => void
  /** Runs the duty cycle again: something arrived outside of it. */
  readonly wake: () => void
  /** Told after each group commit that became durable. */
  readonly onDurable?: (rowCount: number, frameCount: number, micros: number) => void
}

/** How long the journal waits before it tries a batch again for which the disk had no room. */
const NO_ROOM_RETRY_MS = 250

type Phase = 'collecting' | 'appending' | 'settling' | 'waiting-for-room'

/**
 * Serves the Journal port to workers over the bus. Group commit: whatever the rings hold while one append is on its way to the disk becomes the
 * next one. A frame is released only after its rows are durable or its rejection is published; loads are answered after everything that
 * stood before them in the same ring is resolved.
 */
export class JournalServer implements DutyCycle {
  readonly #options: JournalServerOptions
  readonly #journal: Journal
  readonly #links: readonly LinkState[]
  readonly #memory: Int32Array
  readonly #offsets: Int32Array
  readonly #lengths: Int32Array
  readonly #slots: Int32Array
  #count = 0
  #phase: Phase = 'collecting'
  #answer: AppendAnswer | undefined
  #rejectionsSent = 0
  #appendStartedMs = 0
  #snapshots: Snapshot[] = []
  #isSavingSnapshots = false
  #snapshotsDropped = 0
  #noRoomCount = 0

  constructor(options: JournalServerOptions) {
    this.#options = options
    this.#journal = options.journal
    this.#links = options.links.map((link) => new LinkState(link))
    this.#memory = new Int32Array(options.framesMax)
    this.#offsets = new Int32Array(options.framesMax)
    this.#lengths = new Int32Array(options.framesMax)
    this.#slots = new Int32Array(options.framesMax)
  }

  /** How often a batch had to wait because the disk had no room, and snapshots left out because earlier ones were still being written. */
  get counters(): { readonly noRoom: number; readonly snapshotsDropped: number } {
    return { noRoom: this.#noRoomCount, snapshotsDropped: this.#snapshotsDropped }
  }

  /** True when nothing is on its way: no append, no load, no unread frame. */
  get isIdle(): boolean {
    return this.#phase === 'collecting' && this.#links.every((state) => state.jobs.length === 0 && !state.link.appends.hasFrames())
  }

  get isOutOfRoom(): boolean {
    return this.#phase === 'waiting-for-room'
  }

  doWork(): number {
    let work = 0
    if (this.#phase === 'settling') work += this.#settle()
    if (this.#phase === 'collecting') work += this.#collect()
    for (const state of this.#links) work += state.pump(this.#options.wake)
    return work
  }

  hasWork(): boolean {
    for (const state of this.#links) {
      if (this.#phase === 'collecting' && state.link.appends.hasFrames()) return true
      if (state.canPump) return true
    }
    return this.#phase === 'settling'
  }

  #collect(): number {
    const { framesMax, bytesMax } = this.#options
    let frames = 0
    let byteCount = 0
    this.#count = 0
    for (const [index, state] of this.#links.entries()) {
      const consumer = state.link.appends
      while (this.#count < framesMax && byteCount < bytesMax) {
        const offset = consumer.next()
        if (offset < 0) break
        frames++
        state.batchEndPosition = consumer.endPosition
        if (consumer.type === APPEND_FRAME) {
          this.#memory[this.#count] = index
          this.#offsets[this.#count] = offset
          this.#lengths[this.#count] = consumer.length
          this.#slots[this.#count] = state.link.slot
          this.#count++
          byteCount += consumer.length
        } else if (consumer.type === LOAD_FRAME) {
          state.loads.push(unpack<LoadRequest>(consumer.bytes.slice(offset, offset + consumer.length)))
        } else if (consumer.type === SNAPSHOT_FRAME) {
          state.snapshots.push(readSnapshot(consumer, offset))
          byteCount += consumer.length
        }
      }
    }
    if (frames === 0) return 0
    if (this.#count === 0) {
      this.#answer = { basePosition: this.#journal.endPosition, rowCount: 0, rejected: [], known: 0 }
      this.#rejectionsSent = 0
      this.#phase = 'settling'
      return frames + this.#settle()
    }
    this.#append()
    return frames
  }

  #append(): void {
    const batch: AppendBatch = {
      count: this.#count,
      memories: this.#links.map((state) => state.link.appends),
      memory: this.#memory,
      offsets: this.#offsets,
      lengths: this.#lengths,
      slots: this.#slots,
    }
    this.#phase = 'appending'
    this.#appendStartedMs = this.#options.clock.monotonicMs()
    this.#journal.append(batch).then(
      (answer) => {
        this.#answer = answer
        this.#rejectionsSent = 0
        this.#phase = 'settling'
        this.#options.onDurable?.(answer.rowCount, this.#count, (this.#options.clock.monotonicMs() - this.#appendStartedMs) * 1000)
        this.#options.wake()
      },
      (error: unknown) => {
        if (!isMillraceError(error, 'ERR_JOURNAL_FULL')) return this.#options.onFatal(error)
        this.#noRoomCount++
        this.#phase = 'waiting-for-room'
        this.#options.clock.after(NO_ROOM_RETRY_MS, () => this.#append())
      },
    )
  }

  /** Rejections first, then the release, then what stood behind the appends. Goes on later where a ring is full. */
  #settle(): number {
    const answer = this.#answer as AppendAnswer
    let work = 0
    for (; this.#rejectionsSent < answer.rejected.length; this.#rejectionsSent++) {
      const rejected = answer.rejected[this.#rejectionsSent] as AppendAnswer['rejected'][number]
      const state = this.#links[this.#memory[rejected.index] as number] as LinkState
      const view = state.link.appends.view
      const frame = this.#offsets[rejected.index] as number
      const appendNumber = view.getUint32(frame, true)
      const term = view.getUint32(frame + 4, true)
      const producer = state.link.answers
      const offset = producer.tryClaim(REJECTED_BYTES, REJECTED_FRAME)
      if (offset < 0) {
        for (const other of this.#links) other.link.answers.publish()
        return work
      }
      producer.view.setUint32(offset, appendNumber, true)
      producer.view.setUint32(offset + 4, term, true)
      producer.view.setUint32(offset + 8, rejected.headVersion, true)
      producer.view.setUint32(offset + 12, rejected.kind === 'fenced' ? REJECTED_FENCED : REJECTED_CONFLICT, true)
      producer.commit()
      state.rejectedNumbers.add(`${term}.${appendNumber}`)
      work++
    }
    if (answer.rejected.length > 0) for (const state of this.#links) state.link.answers.publish()
    for (const state of this.#links) {
      for (const snapshot of state.snapshots) this.#keepSnapshot(state, snapshot, answer.basePosition)
      state.snapshots.length = 0
      for (const request of state.loads) state.jobs.push(new LoadJob(this.#journal, request))
      state.loads.length = 0
      if (state.batchEndPosition !== undefined) state.link.appends.release(state.batchEndPosition)
      state.batchEndPosition = undefined
    }
    this.#phase = 'collecting'
    this.#saveSnapshots()
    return work + 1
  }

  /** A snapshot of an append that was rejected describes a state that never was. */
  #keepSnapshot(state: LinkState, snapshot: Snapshot, basePosition: number): void {
    if (state.rejectedNumbers.has(`${snapshot.term}.${snapshot.appendNumber}`)) return
    const head = this.#journal.head(snapshot.entity)
    if (head === undefined || head.version < snapshot.version) return
    if (head.version === snapshot.version && !isRowOf(head, snapshot)) return
    if (this.#snapshots.length >= SNAPSHOTS_WAITING_MAX) {
      this.#snapshotsDropped++
      return
    }
    this.#snapshots.push({ ...snapshot, position: basePosition })
  }

  #saveSnapshots(): void {
    if (this.#isSavingSnapshots || this.#snapshots.length === 0) return
    const saving = this.#snapshots
    this.#snapshots = []
    this.#isSavingSnapshots = true
    this.#journal.saveSnapshots(saving).then(
      () => {
        this.#isSavingSnapshots = false
        this.#saveSnapshots()
      },
      (error: unknown) => this.#options.onFatal(error),
    )
  }
}

const SNAPSHOTS_WAITING_MAX = 4096

class LinkState {
  readonly link: WorkerLink
  batchEndPosition: number | undefined
  readonly loads: LoadRequest[] = []
  readonly snapshots: Snapshot[] = []
  readonly jobs: LoadJob[] = []
  /** `term.number` of appends that were rejected. A worker reloads on the first, so that there are few. */
  readonly rejectedNumbers = new Set<string>()

  constructor(link: WorkerLink) {
    this.link = link
  }

  get canPump(): boolean {
    const job = this.jobs[0]
    return job?.canPump === true && this.link.bulk.hasRoom(this.link.bulk.frameBytesMax)
  }

  pump(wake: () => void): number {
    let pieces = 0
    for (let job = this.jobs[0]; job !== undefined; job = this.jobs[0]) {
      pieces += job.pump(this.link.bulk, wake)
      if (!job.isDone) break
      this.jobs.shift()
    }
    return pieces
  }
}

function isRowOf(head: EntityHead, snapshot: Snapshot): boolean {
  return head.term === snapshot.term && head.appendNumber === snapshot.appendNumber
}

const utf8 = new TextDecoder()

function readSnapshot(consumer: Consumer, offset: number): Snapshot {
  const view = consumer.view
  const entityBytes = view.getUint32(offset + 12, true)
  const entityOffset = offset + SNAPSHOT_HEADER_BYTES
  return {
    version: view.getUint32(offset, true),
    term: view.getUint32(offset + 4, true),
    appendNumber: view.getUint32(offset + 8, true),
    entity: utf8.decode(consumer.bytes.slice(entityOffset, entityOffset + entityBytes)) as EntityId,
    position: 0,
    bytes: consumer.bytes.slice(entityOffset + entityBytes, offset + consumer.length),
  }
}
