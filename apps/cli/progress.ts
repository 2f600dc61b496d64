import type { SingleBar } from 'cli-progress'

/** How far some long work is, told to a person. */
export interface Progress {
  update(done: number): void
  /** Takes the bar off the screen; it comes back with the next update. */
  pause(): void
  stop(): void
}

export interface ProgressOptions {
  /** Say how many units are done in a second, too. */
  readonly isRated?: boolean
}

/** Work shorter than this shows nothing. */
const QUIET_MS = 1000

const SILENT: Progress = { update: () => undefined, pause: () => undefined, stop: () => undefined }

/** A bar on stderr, or nothing where stderr is no terminal. The library is loaded when the bar first shows. */
export function openProgress(total: number, unit: string, options: ProgressOptions = {}): Progress {
  return process.stderr.isTTY ? new Bar(total, unit, options) : SILENT
}

class Bar implements Progress {
  readonly #total: number
  readonly #unit: string
  readonly #isRated: boolean
  readonly #startedMs = performance.now()
  readonly #timer: NodeJS.Timeout
  #bar: SingleBar | undefined
  #done = 0
  #isStopped = false

  constructor(total: number, unit: string, { isRated = false }: ProgressOptions) {
    this.#total = total
    this.#unit = unit
    this.#isRated = isRated
    this.#timer = setTimeout(() => void this.#show(), QUIET_MS)
    this.#timer.unref()
  }

  update(done: number): void {
    this.#done = done
    this.#bar?.update(done, this.#payload())
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
        ? `{bar} {percentage}% {value}/{total} ${this.#unit}{rate}, {eta_formatted} left`
        : `{value} ${this.#unit}{rate}, {duration_formatted}`
    this.#bar = new library.SingleBar(
      { format, stream: process.stderr, clearOnComplete: true, hideCursor: true },
      library.Presets.shades_classic,
    )
    this.#bar.start(this.#total, this.#done, this.#payload())
  }

  #payload(): { readonly rate: string } {
    if (!this.#isRated) return { rate: '' }
    const perSecond = (this.#done * 1000) / (performance.now() - this.#startedMs)
    return { rate: `, ${Math.round(perSecond).toLocaleString('en-US')}/s` }
  }
}
