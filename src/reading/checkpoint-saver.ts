import type { Cancel, Clock } from '#base/clock.js'

export interface CheckpointSaverOptions {
  readonly position: number
  /** Makes a position durable. */
  readonly save: (position: number) => Promise<void>
  /** Saves once so many positions are settled, and so many milliseconds after the first that was not saved. */
  readonly everyRows: number
  readonly everyMs: number
  readonly clock: Clock
  readonly onFailure: (error: unknown) => void
}

/** Saves a checkpoint behind the reader: one save at a time, each of the newest settled position. */
export class CheckpointSaver {
  readonly #options: CheckpointSaverOptions
  #settled: number
  #saved: number
  #saving: Promise<void> | undefined
  #hasFailed = false
  #cancelTimer: Cancel | undefined

  constructor(options: CheckpointSaverOptions) {
    this.#options = options
    this.#settled = options.position
    this.#saved = options.position
  }

  get settled(): number {
    return this.#settled
  }

  get saved(): number {
    return this.#saved
  }

  /** Everything below the position is done with. One that is lower than before changes nothing. */
  settle(position: number): void {
    if (position <= this.#settled) return
    this.#settled = position
    this.#plan()
  }

  /** Saves what is not saved; resolves when that is done or has failed. */
  async flush(): Promise<void> {
    await this.#saving
    if (this.#settled > this.#saved) await this.#save()
    this.#cancelTimer?.()
  }

  /** Now, or after a while. A save under way plans the next one. */
  #plan(): void {
    if (this.#saving !== undefined || this.#hasFailed || this.#settled === this.#saved) return
    if (this.#settled - this.#saved >= this.#options.everyRows) return void this.#save()
    if (this.#cancelTimer !== undefined) return
    this.#cancelTimer = this.#options.clock.after(this.#options.everyMs, () => {
      this.#cancelTimer = undefined
      void this.#save()
    })
  }

  #save(): Promise<void> {
    if (this.#hasFailed) return Promise.resolve()
    this.#saving ??= this.#saveNow()
    return this.#saving
  }

  async #saveNow(): Promise<void> {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const position = this.#settled
    try {
      await this.#options.save(position)
      this.#saved = position
    } catch (error) {
      this.#hasFailed = true
      this.#options.onFailure(error)
    }
    this.#saving = undefined
    this.#plan()
  }
}
