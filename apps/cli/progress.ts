import type { SingleBar } from 'cli-progress'

/** How far some long work is, told to a person. */
export interface Progress {
  update(done: number): void
  /** Takes the bar off the screen; it comes back with the next update. */
  pause(): void
  stop(): void
}

/** Work shorter than this shows nothing. */
const QUIET_MS = 1000

const SILENT: Progress = { update: () => undefined, pause: () => undefined, stop: () => undefined }

/** A bar on stderr, or nothing where stderr is no terminal. The library is loaded when the bar first shows. */
export function openProgress(total: number, unit: string): Progress {
  return process.stderr.isTTY ? new Bar(total, unit) : SILENT
}

class Bar implements Progress {
  readonly #total: number
  readonly #unit: string
  readonly #timer: NodeJS.Timeout
  #bar: SingleBar | undefined
  #done = 0
  #isStopped = false

  constructor(total: number, unit: string) {
    this.#total = total
    this.#unit = unit
    this.#timer = setTimeout(() => void this.#show(), QUIET_MS)
    this.#timer.unref()
  }

  update(done: number): void {
    this.#done = done
    this.#bar?.update(done)
  }

  pause(): void {
    if (this.#bar !== undefined) process.stderr.write('\r\u001b[K')
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#bar?.stop()
    this.#bar = undefined
  }

  async #show(): Promise<void> {
    const { default: library } = await import('cli-progress')
    if (this.#isStopped) return
    const format =
      this.#total > 0
        ? `{bar} {percentage}% {value}/{total} ${this.#unit}, {eta_formatted} left`
        : `{value} ${this.#unit}, {duration_formatted}`
    this.#bar = new library.SingleBar(
      { format, stream: process.stderr, clearOnComplete: true, hideCursor: true },
      library.Presets.shades_classic,
    )
    this.#bar.start(this.#total, this.#done)
  }
}
