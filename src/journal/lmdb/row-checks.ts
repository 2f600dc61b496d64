import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Piscina } from 'piscina'
import type { EventType, Finding } from '#journal/journal.js'
import { checkRows, type RowCheck } from '#journal/row-check.js'
import { THREAD_OPTIONS } from './thread-options.js'

/** Logs with fewer blocks are looked through before threads have started. */
const POOL_FROM_BLOCKS = 256
/** Blocks on their way to threads: what bounds the memory of a verify. */
const IN_FLIGHT_MAX = 16

/**
 * Looks through the rows of many blocks in threads of a pool, which get bytes and never touch the store. Findings come in order of completion. A
 * short log, and sources that run without being compiled, are looked through in this thread.
 */
export class RowChecks {
  readonly #types: readonly EventType[]
  readonly #segment: string
  readonly #running = new Set<Promise<void>>()
  #found: Finding[] = []
  #blockCount = 0
  #pool: Piscina<RowCheck, string | undefined> | undefined

  constructor(segment: string, types: readonly EventType[]) {
    this.#segment = segment
    this.#types = types
  }

  /** Takes a block; resolves when there is room for the next. The bytes are the threads' from now on. */
  async add(block: number, bytes: Uint8Array): Promise<void> {
    this.#blockCount++
    const check = { bytes, types: this.#types, segment: this.#segment }
    if (this.#blockCount < POOL_FROM_BLOCKS || import.meta.url.endsWith('.ts')) return this.#note(block, checkRows(check))
    const { Piscina: Pool } = await import('piscina')
    this.#pool ??= new Pool<RowCheck, string | undefined>({
      filename: fileURLToPath(new URL('../row-check.js', import.meta.url)),
      maxThreads: availableParallelism(),
      ...THREAD_OPTIONS,
    })
    const running = this.#pool.run(check).then((wrong) => {
      this.#note(block, wrong)
      this.#running.delete(running)
    })
    this.#running.add(running)
    if (this.#running.size >= IN_FLIGHT_MAX) await Promise.race(this.#running)
  }

  /** What was found since the last call. */
  take(): Finding[] {
    const found = this.#found
    this.#found = []
    return found
  }

  /** Waits for the rest, and ends the threads. */
  async end(): Promise<Finding[]> {
    await Promise.all(this.#running)
    await this.#pool?.close()
    return this.take()
  }

  #note(block: number, what: string | undefined): void {
    if (what !== undefined) this.#found.push({ severity: 'damaged', segment: this.#segment, block, what, entities: [] })
  }
}
