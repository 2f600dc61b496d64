import { MillraceError } from '#base/errors.js'

const NEWLINE = 0x0a

/**
 * Cuts a byte stream into lines of JSON. Holds at most `lineBytesMax` bytes of an unfinished line; a longer one throws ERR_LINE_TOO_LONG and a
 * line that is no JSON ERR_LINE_GARBLED, after which the stream has to be closed, since nobody knows where the next line begins.
 */
export class JsonLineReader {
  readonly #lineBytesMax: number
  #parts: Buffer[] = []
  #bytes = 0

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** Values of all lines that this piece completes. */
  *read(piece: Buffer): Generator<unknown> {
    let start = 0
    for (;;) {
      const end = piece.indexOf(NEWLINE, start)
      const rest = piece.subarray(start, end < 0 ? piece.length : end)
      this.#bytes += rest.length
      if (this.#bytes > this.#lineBytesMax) throw tooLong(this.#lineBytesMax)
      if (rest.length > 0) this.#parts.push(rest)
      if (end < 0) return
      start = end + 1
      const line = Buffer.concat(this.#parts).toString('utf8')
      this.#parts = []
      this.#bytes = 0
      if (line.trim() !== '') yield parse(line)
    }
  }
}

/** One line. Throws ERR_LINE_TOO_LONG, so that the other side never has to; undefined fields vanish, as JSON has it. */
export function jsonLine(value: unknown, lineBytesMax: number): string {
  const line = `${JSON.stringify(value)}\n`
  // A UTF-16 unit is at most three bytes of UTF-8: only lines near the limit are measured.
  if (line.length * 3 > lineBytesMax && Buffer.byteLength(line) - 1 > lineBytesMax) throw tooLong(lineBytesMax)
  return line
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new MillraceError('ERR_LINE_GARBLED', {
      fact: 'a line of a control channel is not JSON',
      action: 'operator',
      values: { line: line.slice(0, 80) },
      next: 'check that both sides are the same version of millrace',
      cause,
    })
  }
}

function tooLong(lineBytesMax: number): MillraceError {
  return new MillraceError('ERR_LINE_TOO_LONG', {
    fact: 'a line of a control channel is too long',
    action: 'operator',
    values: { lineBytesMax },
    next: 'ask for less at once, or for a stream',
  })
}
