import type { Cancel } from '#base/clock.js'
import type { IngestCheckpoint } from './checkpoint-store.js'
import type { CsvMark, CsvRow } from './csv-source.js'
import type { IngestCommand, Settlement } from './door.js'
import { IN_FLIGHT_MAX_DEFAULT, type IngestOptions, type IngestSummary } from './ingest-options.js'
import { Pacer } from './pacing.js'
import { noRejectLog, openRejectFile, type RejectLog } from './reject-file.js'
import { type RowEnd, SettledPrefix } from './settled-prefix.js'
import { Verdicts } from './verdicts.js'

const IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024
const PROGRESS_EVERY_MS = 100

/**
 * Takes a file into the plant: offers its rows in order, waits where the door is full, and keeps a checkpoint that never runs ahead of what is
 * durable. Interrupted at any point, even by SIGKILL, the next run goes on behind the checkpoint; the rows between are offered again, the
 * plant knows them by source and sequence, and the counts come out the same. Throws what the source throws (ERR_FILE_REPLACED, ERR_CSV_FILE)
 * after all rows before have settled, ERR_REJECT_FILE, ERR_CHECKPOINT_DAMAGED, the door's failure, and errors of saving a checkpoint.
 */
export async function runIngest(options: IngestOptions): Promise<IngestSummary> {
  const { source, checkpoints, rejectFile } = options
  const checkpoint = await checkpoints?.load(source.checkpointName)
  const rejects = rejectFile === undefined ? noRejectLog : openRejectFile(rejectFile, source.source, checkpoint?.row ?? 0)
  const run = new IngestRun(options, checkpoint, rejects)
  try {
    return await run.run()
  } finally {
    rejects.close()
  }
}

class IngestRun {
  readonly #options: IngestOptions
  readonly #from: IngestCheckpoint | undefined
  readonly #rejects: RejectLog
  readonly #verdicts: Verdicts
  readonly #prefix: SettledPrefix<CsvRow>
  readonly #pacer: Pacer
  #inFlight = 0
  #full = 0
  #failure: { readonly error: unknown } | undefined
  #wake: () => void = () => {}
  #isOver = false
  #lastSaveMs: number
  #lastProgressMs = Number.NEGATIVE_INFINITY
  #savedRow: number
  #saving: Promise<void> | undefined

  constructor(options: IngestOptions, from: IngestCheckpoint | undefined, rejects: RejectLog) {
    this.#options = options
    this.#from = from
    this.#rejects = rejects
    this.#verdicts = new Verdicts(rejects)
    this.#prefix = new SettledPrefix(from?.accepted ?? 0, from?.rejected ?? 0)
    this.#pacer = new Pacer(options.speed, options.clock)
    this.#lastSaveMs = options.clock.monotonicMs()
    this.#savedRow = from?.row ?? 0
  }

  async run(): Promise<IngestSummary> {
    let failure: { readonly error: unknown } | undefined
    let isComplete = false
    const onAbort = () => this.#wake()
    this.#options.signal?.addEventListener('abort', onAbort)
    try {
      isComplete = await this.#takeAll()
    } catch (error) {
      failure = { error }
    }
    await this.#settleAll(isComplete || failure !== undefined ? undefined : (this.#options.drainMs ?? 5000))
    this.#options.signal?.removeEventListener('abort', onAbort)
    failure ??= this.#failure
    await this.#saving
    failure ??= this.#failure
    await this.#save()
    this.#isOver = true
    this.#tell(true)
    if (failure !== undefined) throw failure.error
    const { accepted, rejected } = this.#prefix
    return {
      rows: accepted + rejected,
      accepted,
      rejected,
      durable: accepted,
      isComplete: isComplete && this.#prefix.openCount === 0,
      resumedAfter: this.#from?.row ?? 0,
    }
  }

  /** True when the file's end was reached. */
  async #takeAll(): Promise<boolean> {
    for await (const rows of this.#options.source.rows(this.#from === undefined ? undefined : markOf(this.#from))) {
      for (const row of rows) {
        // Waiting is rare, and awaiting each row would cost more than offering it: so a promise is there only when there is something to wait for.
        const waiting = this.#take(row)
        if (waiting !== undefined) await waiting
        if (this.#isStopped) return false
      }
      if (this.#prefix.last !== undefined) this.#options.source.forgetBefore(this.#prefix.last)
      this.#tell(true)
    }
    return true
  }

  get #isStopped(): boolean {
    return this.#failure !== undefined || this.#options.signal?.aborted === true
  }

  #take(row: CsvRow): Promise<void> | undefined {
    const { command } = row
    if (typeof command === 'string') {
      this.#end(this.#prefix.add(row), () => this.#verdicts.malformed(row, command))
      return undefined
    }
    const wait = this.#pacer.waitMs(command.at)
    if (wait > 0 || this.#isWindowFull(row)) return this.#takeLater(row, command, wait)
    return this.#tryOffer(row, command) ? undefined : this.#offerWhenRoom(row, command)
  }

  async #takeLater(row: CsvRow, command: IngestCommand, waitMs: number): Promise<void> {
    for (let wait = waitMs; wait > 0 && !this.#isStopped; wait = this.#pacer.waitMs(command.at)) {
      await this.#until((wake) => this.#options.clock.after(wait, wake))
    }
    while (this.#isWindowFull(row) && !this.#isStopped) await this.#until()
    if (!this.#isStopped && !this.#tryOffer(row, command)) await this.#offerWhenRoom(row, command)
  }

  async #offerWhenRoom(row: CsvRow, command: IngestCommand): Promise<void> {
    do {
      let isRoom = false
      this.#options.door.onRoom(() => {
        isRoom = true
        this.#wake()
      })
      this.#tell(false)
      while (!isRoom && !this.#isStopped) await this.#until()
    } while (!this.#isStopped && !this.#tryOffer(row, command))
  }

  #isWindowFull(row: CsvRow): boolean {
    if (this.#inFlight === 0) return false
    const bytes = row.end - (this.#prefix.last?.end ?? this.#from?.offset ?? 0)
    return this.#prefix.openCount >= (this.#options.inFlightMax ?? IN_FLIGHT_MAX_DEFAULT) || bytes > IN_FLIGHT_BYTES_MAX
  }

  /** False when the door is full: then the row is not on its way. */
  #tryOffer(row: CsvRow, command: IngestCommand): boolean {
    if (this.#isDoorLost()) return false
    let end: ((rowEnd: RowEnd) => void) | undefined
    let early: Settlement | undefined
    const offered = this.#options.door.offer(command, 'refused', (settlement) => {
      if (end === undefined) early = settlement
      else this.#settle(row, end, settlement)
    })
    if (offered === 'full') {
      this.#full++
      return false
    }
    end = this.#prefix.add(row)
    if (typeof offered === 'object') this.#end(end, () => this.#verdicts.unfit(row, offered.rejected))
    else {
      this.#inFlight++
      if (early !== undefined) this.#settle(row, end, early)
    }
    return true
  }

  /** What a lost door settles is its guess: the rows stay open, and the next run offers them again. */
  #isDoorLost(): boolean {
    const { failure } = this.#options.door
    if (failure === undefined) return false
    this.#failure ??= { error: failure }
    this.#wake()
    return true
  }

  #settle(row: CsvRow, end: (rowEnd: RowEnd) => void, settlement: Settlement): void {
    if (this.#isOver || this.#isDoorLost()) return
    this.#inFlight--
    this.#end(end, () => this.#verdicts.settled(row, settlement))
    this.#wake()
  }

  #end(end: (rowEnd: RowEnd) => void, verdict: () => RowEnd): void {
    try {
      end(verdict())
    } catch (error) {
      // The reject could not be written: the row stays open, so that no checkpoint passes it.
      this.#failure ??= { error }
      return
    }
    if (this.#saving === undefined && this.#options.clock.monotonicMs() - this.#lastSaveMs >= (this.#options.checkpointEveryMs ?? 1000)) {
      this.#saving = this.#saveMeanwhile()
    }
  }

  async #saveMeanwhile(): Promise<void> {
    try {
      await this.#save()
    } catch (error) {
      this.#failure ??= { error }
      this.#wake()
    }
    this.#saving = undefined
  }

  async #save(): Promise<void> {
    const row = this.#prefix.last
    this.#lastSaveMs = this.#options.clock.monotonicMs()
    if (row === undefined || row.number === this.#savedRow) return
    const { accepted, rejected } = this.#prefix
    const { source, checkpoints } = this.#options
    const mark = source.markAfter(row)
    this.#rejects.sync()
    await checkpoints?.save(source.checkpointName, {
      version: 1,
      path: source.file.path,
      source: source.source,
      ...mark,
      accepted,
      rejected,
    })
    this.#savedRow = row.number
  }

  async #settleAll(boundMs: number | undefined): Promise<void> {
    let isOver = false
    const cancel =
      boundMs === undefined
        ? undefined
        : this.#options.clock.after(boundMs, () => {
            isOver = true
            this.#wake()
          })
    while (this.#inFlight > 0 && !isOver && this.#failure === undefined) await this.#until()
    cancel?.()
  }

  /** Until something settles, or `start`'s callback, a stop or a failure. */
  async #until(start?: (wake: () => void) => Cancel): Promise<void> {
    let cancel: Cancel | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      cancel = start?.(resolve)
    })
    cancel?.()
  }

  #tell(isDue: boolean): void {
    const now = this.#options.clock.monotonicMs()
    if (!isDue && now - this.#lastProgressMs < PROGRESS_EVERY_MS) return
    this.#lastProgressMs = now
    const { accepted, rejected } = this.#prefix
    const { source } = this.#options
    this.#options.onProgress?.({
      rows: accepted + rejected,
      accepted,
      rejected,
      inFlight: this.#inFlight,
      full: this.#full,
      bytesRead: source.bytesRead,
      bytesTotal: source.file.fileBytes,
    })
  }
}

function markOf({ row, offset, line, crc, isOpen }: IngestCheckpoint): CsvMark {
  return { row, offset, line, crc, isOpen }
}
