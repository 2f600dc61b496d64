import { setTimeout as delay } from 'node:timers/promises'
import { busReport, type BusReport, type ChannelReport, type EndReport } from '#runtime/bus-report.js'
import { BusView } from '#runtime/bus-view.js'
import type { Run } from './command.js'
import { numberOption } from './number-option.js'
import type { Column, Output } from './output.js'
import { busPlaceOf } from './place.js'
import { onInterrupt } from './signals.js'

const OVER_MS = 500
const WATCH_EVERY_MS = 1000
/** How exactly the age of a pulse is known. */
const OBSERVE_EVERY_MS = 10
const MIB = 1024 * 1024

const COLUMNS: readonly Column[] = [
  { title: 'channel' },
  { title: 'depth', align: 'right' },
  { title: 'unreleased', align: 'right' },
  { title: 'full', align: 'right' },
  { title: 'frames/s', align: 'right' },
  { title: 'MB/s', align: 'right' },
  { title: 'refused', align: 'right' },
  { title: 'wake-ups', align: 'right' },
  { title: 'producer' },
  { title: 'parked', align: 'right' },
  { title: 'pulse', align: 'right' },
  { title: 'consumer' },
  { title: 'parked', align: 'right' },
  { title: 'pulse', align: 'right' },
  { title: 'tap' },
]

/** Shows the channels of a plant, or of a directory, from outside: nobody is asked and nothing is touched. */
export const runBusStat: Run = async (_args, options, output) => {
  const isWatching = options['watch'] === true
  const overMs = numberOption(options, 'every', 1) ?? (isWatching ? WATCH_EVERY_MS : OVER_MS)
  const view = BusView.open(busPlaceOf(options))
  const screen = new Screen(output)
  let isOver = false
  if (isWatching) onInterrupt(() => (isOver = true))
  try {
    let before = view.look()
    for (;;) {
      const until = before.atMs + overMs
      while (!isOver && performance.now() < until) {
        await delay(Math.min(OBSERVE_EVERY_MS, Math.max(1, until - performance.now())))
        view.observe()
      }
      if (isOver) return 0
      const after = view.look()
      const report = busReport(before, after)
      if (output.isJson) output.json({ directory: view.directory, at: Date.now() * 1000, ...report })
      else screen.show(report, view.directory)
      if (!isWatching) return 0
      before = after
    }
  } finally {
    screen.close()
    view.close()
  }
}

/** A table that is drawn over itself on a terminal, and one after the other elsewhere. */
class Screen {
  readonly #output: Output
  #isOpen = false

  constructor(output: Output) {
    this.#output = output
  }

  show(report: BusReport, directory: string): void {
    if (this.#isOpen && process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[J')
    else if (this.#isOpen) this.#output.line()
    this.#isOpen = true
    const whole = report.channels.filter((channel) => channel.trouble === undefined)
    this.#output.line(`${report.channels.length} channels in ${directory}, over ${report.overMs} ms`)
    this.#output.line()
    this.#output.table(COLUMNS, whole.map(row))
    for (const { name, trouble } of report.channels) {
      if (trouble !== undefined) this.#output.line(this.#output.tone('red', `${name}: ${trouble}`))
    }
  }

  close(): void {
    if (this.#isOpen && process.stdout.isTTY) this.#output.line()
  }
}

function row(channel: ChannelReport): readonly string[] {
  const { capacityBytes = 1, unreleasedBytes = 0, tap, producer, consumer } = channel
  return [
    channel.name,
    bytes(channel.depthBytes ?? 0),
    bytes(unreleasedBytes),
    `${Math.round((unreleasedBytes / capacityBytes) * 100)} %`,
    count(channel.framesPerSecond ?? 0),
    ((channel.bytesPerSecond ?? 0) / 1e6).toFixed(1),
    count(channel.refusals ?? 0),
    `${count(channel.rings?.byProducer ?? 0)}/${count(channel.rings?.byConsumer ?? 0)}`,
    ...end(producer),
    ...end(consumer),
    tap === undefined || tap.state === 'none' ? '-' : `${tap.state} ${tap.pid}`,
  ]
}

function end(report: EndReport | undefined): readonly string[] {
  if (report === undefined) return ['-', '-', '-']
  const { process, pid, alive, pulseAgeMs, parkedShare } = report
  const who = process ?? (pid === 0 ? 'nobody' : `pid ${pid}`)
  const state = alive || pid === 0 ? who : `${who} dead`
  return [state, alive ? `${Math.round(parkedShare * 100)} %` : '-', alive && pulseAgeMs !== null ? `${pulseAgeMs} ms` : '-']
}

function bytes(value: number): string {
  if (value < 10_000) return count(value)
  return value < MIB ? `${Math.round(value / 1024)} KiB` : `${(value / MIB).toFixed(1)} MiB`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
