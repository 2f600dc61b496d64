import { type CommandHeader, commandFrameBytes, writeCommandHeader } from '#entity/command-frame.js'

const FIRST_BYTES = 1 << 16

/**
 * The beginnings of the command frames of all lines, header and strings, side by side in one memory, as devices that report in turns are read from it in
 * order. A place is used again for a line of the same length.
 */
export class LineTemplates {
  #words = new Int32Array(FIRST_BYTES / 4)
  #end = 0
  /** By words: places of lines that were closed. */
  readonly #free = new Map<number, number[]>()

  /** Writes all but what differs from command to command; answers the place. */
  add(header: CommandHeader): number {
    header.payloadBytes = 0
    const words = wordsOf(commandFrameBytes(header))
    const place = this.#free.get(words)?.pop() ?? this.#newPlace(words)
    const bytes = new Uint8Array(this.#words.buffer)
    writeCommandHeader(header, bytes, new DataView(this.#words.buffer), place * 4)
    return place
  }

  /** Copies the first `byteCount` bytes of a template to `offset`, and up to three more. */
  copy(place: number, byteCount: number, view: DataView, offset: number): void {
    const words = this.#words
    const end = place + wordsOf(byteCount)
    for (let from = place, to = offset; from < end; from++, to += 4) view.setInt32(to, words[from] as number, true)
  }

  remove(place: number, byteCount: number): void {
    const words = wordsOf(byteCount)
    const free = this.#free.get(words)
    if (free === undefined) this.#free.set(words, [place])
    else free.push(place)
  }

  #newPlace(words: number): number {
    const place = this.#end
    while (place + words > this.#words.length) {
      const grown = new Int32Array(this.#words.length * 2)
      grown.set(this.#words)
      this.#words = grown
    }
    this.#end = place + words
    return place
  }
}

function wordsOf(byteCount: number): number {
  return (byteCount + 3) >> 2
}
