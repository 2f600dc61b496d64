import { writeFileSync } from 'node:fs'
import { systemClock } from '#base/clock.js'
import { compareReports, describeChanges } from '#drills/compare-reports.js'
import { DrillHistory } from '#drills/drill-history.js'
import type { DrillProgress, DrillResult } from '#drills/drill-run.js'
import type { Fault } from '#drills/fault.js'
import type { FaultOutcome } from '#drills/fault-executor.js'
import { renderReportPage } from '#drills/report-page.js'
import { seatName } from '#processes/process-role.js'
import { renderReport } from '#recovery/render-report.js'
import { isClean, type PlantReport } from '#recovery/report.js'
import { dataPaths } from '#runtime/data-directory.js'
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

/** What came of a fault, in one line. */
export function describeOutcome({ kind, seat, forMs, during }: Fault, { recoveries, skipped }: FaultOutcome): string {
  const what = during === undefined ? kind : `${kind} + ${during.kind} ${seatName(during.seat)}`
  const whom = `${what} ${seatName(seat)}${forMs === 0 ? '' : ` for ${forMs} ms`}`
  if (skipped !== undefined) return `${whom}: skipped, ${skipped}`
  if (recoveries.length === 0) return `${whom}: nobody had to be replaced`
  return `${whom}: ${recoveries.map(({ process, rtoMs }) => `${process} back after ${rtoMs.toFixed(1)} ms`).join(', ')}`
}

/** Where to look into a run that went wrong. */
export function sayKept(dataDirectory: string, output: Output): void {
  output.note(`the data directory with its logs is kept in ${dataDirectory}`)
}

export interface RunPlace {
  /** What was run, such as `chaos`: runs are compared with the last of the same name and number of machines. */
  readonly name: string
  readonly machines: number
  /** Undefined: a temporary one, of which nothing is kept. */
  readonly dataDirectory: string | undefined
  /** Where the page goes. */
  readonly htmlFile: string | undefined
}

/**
 * Prints the report, writes its page, keeps it among the drills of the data directory and says what has changed since the last one there. Answers the exit
 * code: 1 when anything is wrong.
 */
export function finishRun(report: PlantReport, result: DrillResult, place: RunPlace, output: Output): number {
  if (output.isJson) output.json(report)
  else {
    output.line(renderReport(report))
    for (const example of result.examples) output.line(output.tone('red', `  ${example}`))
  }
  if (place.htmlFile !== undefined) writeFileSync(place.htmlFile, renderReportPage(report))
  if (place.dataDirectory !== undefined) compareWithLast(report, place.dataDirectory, place, output)
  return isClean(report) ? 0 : 1
}

function compareWithLast(report: PlantReport, dataDirectory: string, { name, machines }: RunPlace, output: Output): void {
  const history = new DrillHistory(dataPaths(dataDirectory).drills)
  const last = history.last(name, machines)
  history.add({ at: systemClock.nowMicros(), name, machines, report })
  if (output.isJson) return
  if (last === undefined) output.line(`the first run of ${name} here: the next one is compared with it`)
  else for (const line of describeChanges(compareReports(last.report, report), last)) output.line(line)
}
