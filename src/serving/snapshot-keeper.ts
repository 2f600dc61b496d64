import { isMillraceError } from '#base/errors.js'
import type { Journal, Snapshot } from '#journal/journal.js'

/** Snapshots that wait for earlier ones to be written hold so many bytes at most; more are left out. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024

/** Writes snapshots behind the appends, one group at a time. Every snapshot may be left out. */
export class SnapshotKeeper {
  droppedCount = 0
  readonly #journal: Journal
  readonly #onFatal: (error: unknown) => void
  #waiting: Snapshot[] = []
  #waitingBytes = 0
  #isSaving = false

  constructor(journal: Journal, onFatal: (error: unknown) => void) {
    this.#journal = journal
    this.#onFatal = onFatal
  }

  get isIdle(): boolean {
    return !this.#isSaving && this.#waiting.length === 0
  }

  /**
   * Takes a snapshot whose append is resolved: `isSurelyStored` when the append was stored in the batch whose position the snapshot has. Otherwise
   * the entity's newest row must be the one that the snapshot is of. An older row might have been rejected, and then the snapshot is of a state
   * that never was; and newer ones might lie before its position, where no load would look for them.
   */
  keep(snapshot: Snapshot, isSurelyStored: boolean): void {
    if (!isSurelyStored && !this.#isOfNewestRow(snapshot)) return
    if (this.#waitingBytes + snapshot.bytes.length > WAITING_BYTES_MAX) {
      this.droppedCount++
      return
    }
    this.#waiting.push(snapshot)
    this.#waitingBytes += snapshot.bytes.length
  }

  save(): void {
    if (this.#isSaving || this.#waiting.length === 0) return
    const saving = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    this.#isSaving = true
    this.#journal.saveSnapshots(saving).then(
      () => {
        this.#isSaving = false
        this.save()
      },
      (error: unknown) => {
        this.#isSaving = false
        if (!isMillraceError(error, 'ERR_JOURNAL_FULL')) return this.#onFatal(error)
        this.droppedCount += saving.length
      },
    )
  }

  #isOfNewestRow(snapshot: Snapshot): boolean {
    const head = this.#journal.head(snapshot.entity)
    return head?.version === snapshot.version && head.term === snapshot.term && head.appendNumber === snapshot.appendNumber
  }
}
