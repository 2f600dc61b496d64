import { createInMemoryJournal, type InMemoryJournal } from '#journal/in-memory/index.js'
import type { Journal } from '#journal/index.js'
import { ALARM_RAISED, batchOf, SAMPLED, TestWriter } from '../journal/writer.js'

/** A journal that grows on demand: presses `press/0` to `press/9` in turns, every tenth row an alarm. */
export class GrowingLog {
  readonly journal: Journal
  readonly #writer: TestWriter
  #count = 0

  static async inMemory(): Promise<GrowingLog & { readonly journal: InMemoryJournal }> {
    const journal = createInMemoryJournal()
    return (await GrowingLog.over(journal)) as GrowingLog & { readonly journal: InMemoryJournal }
  }

  static async over(journal: Journal): Promise<GrowingLog> {
    return new GrowingLog(journal, new TestWriter(await journal.register([SAMPLED, ALARM_RAISED])))
  }

  private constructor(journal: Journal, writer: TestWriter) {
    this.journal = journal
    this.#writer = writer
  }

  /** Appends so many rows, in batches. The n-th row of the log has n as its force, or as the value of its alarm. */
  async grow(rows: number, batchRows = 100): Promise<void> {
    for (let left = rows; left > 0; left -= batchRows) {
      const frames = Array.from({ length: Math.min(left, batchRows) }, () => {
        const n = this.#count++
        const entity = `press/${n % 10}` as const
        return n % 10 === 9
          ? this.#writer.append({ entity, rows: [{ event: 'AlarmRaised', data: { code: 'HOT', value: n } }] })
          : this.#writer.append({ entity, rows: [{ event: 'Sampled', data: { temperature: n, force: n } }] })
      })
      await this.journal.append(batchOf(frames))
    }
  }
}
