import { isMillraceError, messageOf } from '#base/errors.js'
import { openProgress, type Progress, type ProgressOptions } from './progress.js'

export interface OutputOptions {
  readonly isJson: boolean
  /** Print stacks with errors. */
  readonly isDebug: boolean
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/** What these say was wrong stood on the command line. */
const ASKED_WRONGLY = ['ERR_USAGE', 'ERR_QUERY', 'ERR_ENTITY_ID', 'ERR_SUBSCRIPTION_OPTIONS', 'ERR_MQTT_OPTIONS'] as const

type Tone = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

const TONES: Readonly<Record<Tone, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 }

/** The two streams of a command: results on stdout, for a person or as JSON; everything about them on stderr. */
export class Output {
  readonly isJson: boolean
  readonly #isDebug: boolean
  readonly #isColor: boolean
  #progress: Progress | undefined

  constructor(options: OutputOptions) {
    this.isJson = options.isJson
    this.#isDebug = options.isDebug
    this.#isColor = process.stdout.isTTY && (options.env['NO_COLOR'] ?? '') === '' && options.env['TERM'] !== 'dumb'
  }

  /** Whether stdout is read by a person on a terminal. */
  get isTerminal(): boolean {
    return process.stdout.isTTY
  }

  /** One line of result. False when the reader is behind: await `drained` before the next many. */
  line(text = ''): boolean {
    return process.stdout.write(`${text}\n`)
  }

  /** One value as one line of JSON on stdout. */
  json(value: unknown): boolean {
    return this.line(JSON.stringify(value))
  }

  /** Resolves once stdout has taken what was written. */
  drained(): Promise<void> {
    if (!process.stdout.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => process.stdout.once('drain', resolve))
  }

  /** A remark about the work, for a person. */
  note(text: string): void {
    this.#progress?.pause()
    process.stderr.write(`${text}\n`)
  }

  /** Rows under their titles, columns two spaces apart, numbers to the right. */
  table(columns: readonly Column[], rows: readonly (readonly (string | number)[])[]): void {
    const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : cell)))
    const widths = columns.map((column, index) => Math.max(column.title.length, ...cells.map((row) => row[index]?.length ?? 0)))
    const isRight = columns.map((column, index) => (column.align ?? (typeof rows[0]?.[index] === 'number' ? 'right' : 'left')) === 'right')
    const show = (row: readonly string[]): string =>
      row
        .map((cell, index) => (isRight[index] === true ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0)))
        .join('  ')
        .trimEnd()
    this.line(this.tone('bold', show(columns.map((column) => column.title))))
    for (const row of cells) this.line(show(row))
  }

  /** The text in a colour or weight, where stdout shows any. */
  tone(tone: Tone, text: string): string {
    return this.#isColor ? `\u001b[${TONES[tone]}m${text}\u001b[0m` : text
  }

  /**
   * A bar on stderr over `total` units of `unit`: shown only on a terminal, and only once the work has taken a second. Call `stop` before
   * the result is printed. An unknown total is 0.
   */
  progress(total: number, unit: string, options: ProgressOptions = {}): Progress {
    this.#progress = openProgress(total, unit, options)
    return this.#progress
  }

  /**
   * Says what went wrong and answers the exit code: 2 for a question asked wrongly, else 1. One line for a person on stderr; with `--json`
   * also `{"error":{"code","message"}}` on stdout.
   */
  fail(error: unknown): number {
    this.#progress?.stop()
    const isForeseen = isMillraceError(error)
    const message = messageOf(error)
    if (this.isJson) this.json({ error: { code: isForeseen ? error.code : 'ERR_INTERNAL', message } })
    this.note(`millrace: ${message}`)
    if (this.#isDebug && error instanceof Error) this.note(stackOf(error))
    else if (!isForeseen) this.note('This is a fault in Millrace or in the plant: run it again with --debug to see where.')
    return ASKED_WRONGLY.some((code) => isMillraceError(error, code)) ? 2 : 1
  }
}

function stackOf(error: Error): string {
  const stack = error.stack ?? error.message
  return error.cause instanceof Error ? `${stack}\ncaused by: ${stackOf(error.cause)}` : stack
}
