import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '#base/assert.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { HASH_BYTES } from '#journal/block-format.js'
import type { EventType } from '#journal/journal.js'
import type { SealedEntry } from '#journal/segments/manifest.js'
import { planOpening, unsealedName } from '#journal/segments/opening-plan.js'
import { DATA_FILE, fileBytes, openEnvironment } from './environment.js'
import type { LogPart } from './log-part.js'
import type { ManifestStore } from './manifest-store.js'
import { SealedSegment } from './sealed-segment.js'
import { Sealer, type SealStep } from './sealer.js'
import { Segment } from './segment.js'
import { SpareEnvironment } from './spare-environment.js'

export interface LogSegmentsOptions {
  /** Where segments lie. */
  readonly directory: string
  readonly isReadOnly: boolean
  /** Address space of an environment. */
  readonly mapBytes: number
  readonly manifest: ManifestStore
  readonly types: () => readonly EventType[]
  readonly freeBytes: () => number
  /** Appends wait while more segments than this wait to be sealed. */
  readonly waitingMax: number | undefined
  readonly onSealStep: (step: SealStep) => void
  /** A segment could not be sealed and stays as it is. */
  readonly onSealFailed: (error: unknown) => void
  /** The disk failed: nothing more may be written. */
  readonly onFatal: (error: unknown) => void
}

/** With more segments than this waiting to be sealed, appends come faster than they are made small: then they are not. */
const SMALL_WAITING_MAX = 8
/** With more than this, appends wait for the sealing: otherwise neither disk nor memory would have a bound. */
const WAITING_MAX_DEFAULT = 32

/** All segments of a log, in order: sealed ones, those that wait to be sealed, and the active one. */
export class LogSegments {
  readonly #options: LogSegmentsOptions
  readonly #sealed: SealedSegment[] = []
  readonly #unsealed: Segment[] = []
  readonly #sealer: Sealer
  readonly #spare = new SpareEnvironment()
  #firstPosition = 0
  #sealing: Promise<void> | undefined
  /** Segments that could not be sealed, and why; tried again when there is another reason to. */
  readonly #failed = new Map<Segment, unknown>()
  #isClosed = false

  private constructor(options: LogSegmentsOptions) {
    this.#options = options
    this.#sealer = new Sealer({ ...options, onStep: options.onSealStep })
  }

  /**
   * Opens what is in force and, unless read-only, removes what a crash left over. Throws ERR_LOG_INCOMPLETE where a segment is missing, and what opening an
   * environment throws.
   */
  static async open(options: LogSegmentsOptions): Promise<LogSegments> {
    const segments = new LogSegments(options)
    try {
      await segments.#open()
      return segments
    } catch (error) {
      await segments.close()
      throw error
    }
  }

  async #open(): Promise<void> {
    const { directory, isReadOnly, manifest } = this.#options
    const names = existsSync(directory) ? readdirSync(directory) : []
    const plan = planOpening(names, manifest.entries)
    if (plan.missing.length > 0) throw missing(directory, plan.missing)
    if (!isReadOnly) for (const name of plan.remove) rmSync(join(directory, name), { recursive: true, force: true })
    this.#firstPosition = plan.firstPosition
    for (const entry of plan.sealed) this.#sealed.push(this.#sealedOf(entry))
    for (const name of plan.unsealed) await this.#openUnsealed(name)
    if (plan.unsealed.length === 0) await this.#openUnsealed(unsealedName(plan.endOfSealed))
  }

  /** The segment being written. */
  get active(): Segment {
    return this.#unsealed.at(-1) as Segment
  }

  get manifest(): ManifestStore {
    return this.#options.manifest
  }

  get sealed(): readonly SealedSegment[] {
    return this.#sealed
  }

  get unsealed(): readonly Segment[] {
    return this.#unsealed
  }

  /** The lowest position that can be read. */
  get firstPosition(): number {
    return this.#firstPosition
  }

  /** SHA-256 of the last original block of all that was ever sealed, zeros when nothing was. */
  get lastHash(): Uint8Array {
    let last: SealedEntry | undefined
    for (const entry of this.#options.manifest.entries) {
      if (entry.kind === 'sealed' && (last === undefined || entry.endPosition > last.endPosition)) last = entry
    }
    return last === undefined ? new Uint8Array(HASH_BYTES) : new Uint8Array(Buffer.from(last.lastHash, 'hex'))
  }

  /** All of them, in order of position. */
  get all(): readonly LogPart[] {
    const all: LogPart[] = [...this.#sealed, ...this.#unsealed]
    return all.sort((a, b) => a.firstPosition - b.firstPosition)
  }

  /** Those with rows at or after `from`, and where each ends. `end`: of the log. */
  from(from: number, end: number): { readonly part: LogPart; readonly end: number }[] {
    const all = this.all
    return all
      .map((part, index) => ({ part, end: all[index + 1]?.firstPosition ?? end }))
      .filter((one) => one.end > from && one.part.firstPosition < end)
  }

  find(name: string): LogPart | undefined {
    return this.#unsealed.find((one) => one.name === name) ?? this.#sealed.find((one) => one.name === name)
  }

  /** Bytes on disk. */
  storedBytes(): number {
    const sealed = this.#sealed.reduce((sum, { entry }) => sum + entry.bytes, 0)
    return this.#unsealed.reduce((sum, { file }) => sum + fileBytes(file), sealed)
  }

  /** Makes ready what a new active segment needs, in the background. */
  prepare(): void {
    if (!this.#isClosed) this.#spare.make(join(this.#options.directory, `${this.active.name}.new`))
  }

  /** Begins a new active segment at `end`; the one before waits to be sealed. No append may be under way. */
  async rotate(end: number): Promise<void> {
    assert(this.active.firstPosition < end, 'a segment that is closed has rows')
    const name = unsealedName(end)
    await this.#spare.take(join(this.#options.directory, name))
    await this.#openUnsealed(name)
    this.#options.onSealStep('rotated')
    this.sealNext()
  }

  /** Seals what waits, one after the other, in the background. */
  sealNext(): void {
    if (this.#sealing !== undefined || this.#isClosed) return
    const segment = this.#unsealed.find((one, at) => at < this.#unsealed.length - 1 && !this.#failed.has(one))
    if (segment === undefined) return
    // The next one may be sealed already.
    const all = this.all
    const end = (all[all.indexOf(segment) + 1] as LogPart).firstPosition
    this.#sealing = this.#seal(segment, end).then(() => {
      this.#sealing = undefined
      this.sealNext()
    })
  }

  /** Resolves when one segment less waits; undefined while there are not too many. Those that cannot be sealed do not count: the disk has its own bound. */
  catchingUp(): Promise<void> | undefined {
    const waiting = this.#unsealed.length - 1 - this.#failed.size
    return waiting > (this.#options.waitingMax ?? WAITING_MAX_DEFAULT) ? this.#sealing : undefined
  }

  /** Tries again what failed, and resolves when all that waited is sealed. Throws why a segment is not. */
  async sealAll(): Promise<void> {
    this.#failed.clear()
    this.sealNext()
    while (this.#sealing !== undefined) await this.#sealing
    for (const error of this.#failed.values()) throw error
  }

  async #seal(segment: Segment, end: number): Promise<void> {
    try {
      const entry = await this.#sealer.seal(segment, end, this.#unsealed.length > SMALL_WAITING_MAX + 1)
      if (entry === undefined) return
      this.#sealed.push(this.#sealedOf(entry))
      this.#sealed.sort((a, b) => a.firstPosition - b.firstPosition)
      this.#unsealed.splice(this.#unsealed.indexOf(segment), 1)
      await segment.retire()
      this.#options.onSealStep('unlinked')
    } catch (error) {
      this.#failed.set(segment, error)
      if (isMillraceError(error, 'ERR_JOURNAL_DISK') || !isMillraceError(error)) this.#options.onFatal(error)
      else this.#options.onSealFailed(error)
    }
  }

  /** Takes the oldest segment, which is sealed, out of the log. Its entry in the manifest comes first. */
  async dropOldest(name: string): Promise<void> {
    const [oldest] = this.#sealed
    assert(oldest?.name === name && this.all[0] === oldest, 'the segment that is dropped is the oldest, and sealed')
    const { segment, firstPosition, endPosition } = oldest.entry
    await this.#options.manifest.append({ kind: 'dropped', segment, firstPosition, endPosition })
    this.#sealed.shift()
    this.#firstPosition = endPosition
    await oldest.drop()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#sealer.close()
    await this.#sealing
    await this.#spare.close()
    for (const segment of this.#sealed) segment.close()
    for (const segment of this.#unsealed) await segment.close()
  }

  #sealedOf(entry: SealedEntry): SealedSegment {
    return new SealedSegment(entry, join(this.#options.directory, entry.segment))
  }

  async #openUnsealed(name: string): Promise<void> {
    const { directory, isReadOnly, mapBytes } = this.#options
    const path = join(directory, name)
    const database = await openEnvironment(path, { isReadOnly, mapBytes })
    this.#unsealed.push(new Segment(name, database, join(path, DATA_FILE)))
  }
}

function missing(directory: string, names: readonly string[]): MillraceError {
  return new MillraceError('ERR_LOG_INCOMPLETE', {
    fact: 'segments of the log are missing',
    action: 'operator',
    values: { directory, missing: names.join(' ') },
    next: 'restore the data directory from a backup',
  })
}
