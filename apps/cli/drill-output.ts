import type { DrillProgress, DrillResult } from '#drills/drill-run.js'
import { renderReport } from '#recovery/render-report.js'
import { isClean, type PlantReport } from '#recovery/report.js'
import type { Output } from './output.js'

/** Seconds between two lines where stderr is no terminal. */
const LINE_EVERY_MS = 4000

/** Tells how a drill goes: one line that changes on a terminal, a line now and then elsewhere. */
export class LiveLine {
  readonly #output: Output
  #nextMs = 0
  #isOpen = false

  constructor(output: Output) {
    this.#output = output
  }

  show(progress: DrillProgress): void {
    if (this.#output.isJson) return
    const text =
      `${(progress.elapsedMs / 1000).toFixed(1).padStart(5)} s  ${Math.round(progress.eventsPerSecond).toLocaleString('en-US').padStart(7)} events/s  ` +
      `acked ${progress.acked.toLocaleString('en-US')}  ack p50 ${progress.ackMs.p50.toFixed(1)} p99 ${progress.ackMs.p99.toFixed(1)} ms  ` +
      `in flight ${progress.inFlight}  waiting ${progress.buffered}  back-pressure ${progress.backPressure}`
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\u001b[K${text}`)
      this.#isOpen = true
    } else if (progress.elapsedMs >= this.#nextMs) {
      this.#nextMs = progress.elapsedMs + LINE_EVERY_MS
      this.#output.note(text)
    }
  }

  /** A line that stays. */
  say(text: string): void {
    if (this.#output.isJson) return
    this.close()
    this.#output.note(text)
  }

  close(): void {
    if (this.#isOpen) process.stderr.write('\n')
    this.#isOpen = false
  }
}

/** Prints the report and answers the exit code: 1 when anything is wrong. */
export function printReport(report: PlantReport, result: DrillResult, output: Output): number {
  if (output.isJson) output.json(report)
  else {
    output.line(renderReport(report))
    for (const example of result.examples) output.line(output.tone('red', `  ${example}`))
    if (result.invented > 0) output.line(output.tone('red', `WRONG: ${result.invented} commands in the log that nobody sent`))
  }
  return isClean(report) && result.invented === 0 ? 0 : 1
}
