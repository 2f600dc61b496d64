import { capture, type CaptureSummary } from '#bus/index.js'
import { tapTarget } from '#runtime/tap-target.js'
import { readCapture } from './bus-read.js'
import type { Run } from './command.js'
import { numberOption, usageError } from './number-option.js'
import type { Output } from './output.js'
import { busPlaceOf, textOption } from './place.js'
import { onInterrupt } from './signals.js'

const LEASE_MS = 1000

/** Captures a channel into a file until Ctrl-C, or prints what such a file holds. */
export const runBusTap: Run = async (args, options, output) => {
  const file = textOption(options, 'read')
  if (file !== undefined) return readCapture(file, options, output)
  const [channel] = args
  if (channel === undefined)
    throw usageError('say which channel', {}, '`millrace bus stat` lists them; or print a capture with --read <file>')
  const path = textOption(options, 'out')
  if (path === undefined) throw usageError('say into which file', {}, 'with -o <file>')
  const seconds = numberOption(options, 'for', 1)
  const leaseMs = numberOption(options, 'lease', 1) ?? LEASE_MS
  const target = tapTarget(busPlaceOf(options), channel)

  const end = new AbortController()
  onInterrupt(() => end.abort())
  process.once('SIGTERM', () => end.abort())
  const line = new TapLine(output)
  const summary = await capture({
    ...target,
    path,
    leaseMs,
    signal: end.signal,
    forMs: seconds === undefined ? undefined : seconds * 1000,
    bytesMax: numberOption(options, 'maxBytes', 1),
    onProgress: (soFar) => line.show(soFar),
  }).finally(() => line.close())
  if (output.isJson) output.json(summary)
  else tell(summary, output)
  return 0
}

function tell(summary: CaptureSummary, output: Output): void {
  const { frames, bytes, durationMs, gaps, lostBytes, anew, fileBytes, path, channel, endedBy } = summary
  const why = endedBy === 'channel' ? '; the channel is gone, its plant has ended' : ''
  output.line(
    `${frames.toLocaleString('en-US')} frames, ${megabytes(bytes)} of ${channel} in ${(durationMs / 1000).toFixed(1)} s are in ${path} (${megabytes(fileBytes)})${why}`,
  )
  if (anew > 0) output.line(`the channel was made anew ${anew} ${anew === 1 ? 'time' : 'times'}`)
  if (gaps > 0) {
    const times = gaps === 1 ? 'once' : `${gaps} times`
    output.line(output.tone('yellow', `the lease ran out ${times}: ${megabytes(lostBytes)} are missing, and the file says where`))
  } else output.line('nothing is missing')
}

/** That a capture has begun, and on a terminal how far it is. */
class TapLine {
  readonly #output: Output
  #hasBegun = false
  #isOpen = false

  constructor(output: Output) {
    this.#output = output
  }

  show({ channel, path, frames, bytes, gaps, durationMs }: CaptureSummary): void {
    if (this.#output.isJson) return
    if (!this.#hasBegun) this.#output.note(`capturing ${channel} into ${path}; Ctrl-C ends it`)
    this.#hasBegun = true
    if (!process.stderr.isTTY) return
    this.#isOpen = true
    const rate = Math.round(frames / Math.max(0.001, durationMs / 1000))
    process.stderr.write(
      `\r\u001b[K${(durationMs / 1000).toFixed(1)} s  ${frames.toLocaleString('en-US')} frames  ${rate.toLocaleString('en-US')} frames/s  ${megabytes(bytes)}  gaps ${gaps}`,
    )
  }

  close(): void {
    if (this.#isOpen) process.stderr.write('\r\u001b[K')
  }
}

function megabytes(value: number): string {
  return `${(value / 1e6).toFixed(1)} MB`
}
