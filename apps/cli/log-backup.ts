import { backupLog } from '#runtime/log-backup.js'
import type { Run } from './command.js'
import type { Output } from './output.js'
import { dataDirectoryOf } from './place.js'
import { INTERRUPTED, onInterrupt } from './signals.js'

/** Makes a backup of the log, or brings one up to date, and reads it back. */
export const runLogBackup: Run = async ([directory = ''], options, output) => {
  const interrupted = new AbortController()
  onInterrupt(() => interrupted.abort())
  const bars = new Bars(output)
  try {
    const report = await backupLog({
      dataDirectory: dataDirectoryOf(options),
      directory,
      acceptsDamage: options['acceptDamage'] === true,
      signal: interrupted.signal,
      onProgress: (what, done, total) => bars.update(what, done, total),
    })
    bars.stop()
    if (output.isJson) output.json(report)
    else {
      const { firstPosition, endPosition, bytes, copiedBytes } = report
      for (const what of report.damage) output.note(`damaged: ${what}`)
      const rows = (endPosition - firstPosition).toLocaleString('en-US')
      output.line(`${rows} rows, positions ${firstPosition} to ${endPosition}: ${report.directory}`)
      output.line(
        `${bytes.toLocaleString('en-US')} bytes, ${copiedBytes.toLocaleString('en-US')} of them copied now, all of these read back and found right.`,
      )
    }
    return 0
  } catch (error) {
    if (!interrupted.signal.aborted) throw error
    bars.stop()
    output.note('interrupted: the directory has what it had before')
    return INTERRUPTED
  } finally {
    bars.stop()
  }
}

/** One bar after the other: one for each part of the work. */
export class Bars {
  readonly #output: Output
  #what = ''
  #bar: ReturnType<Output['progress']> | undefined

  constructor(output: Output) {
    this.#output = output
  }

  update(what: string, done: number, total: number): void {
    if (what !== this.#what) {
      this.#bar?.stop()
      this.#bar = this.#output.progress(total, `bytes ${what}`)
      this.#what = what
    }
    this.#bar?.update(done)
  }

  stop(): void {
    this.#bar?.stop()
    this.#bar = undefined
  }
}
