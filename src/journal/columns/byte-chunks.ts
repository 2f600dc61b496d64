import { ByteWriter } from '#journal/bytes.js'
import { ENCODING_CONSTANT, ENCODING_DICTIONARY, ENCODING_RAW } from './chunk-entry.js'
import { StringDictionary } from './dictionary.js'
import { CODEC_NONE, compress } from './last-stage.js'
import type { Encoded } from './number-trials.js'

const DICTIONARY_MAX = 1 << 16
/** What a last stage must save: less is not worth the time of undoing it. */
const WORTH = 0.9

/** Encodes columns of byte strings; variable.ts has the layouts. */
export class ByteChunks {
  readonly #dictionary = new StringDictionary()
  readonly #out = new ByteWriter(4096)

  /** Encodes the bytes, and puts into `words` what belongs into the chunk of lengths: lengths, or indexes of the dictionary. */
  encode(count: number, starts: Uint32Array, bytes: Uint8Array, words: Uint32Array): Encoded {
    const out = this.#out.clear()
    const first = starts[0] as number
    const isFew = this.#dictionary.fill(bytes, starts, count, Math.min(DICTIONARY_MAX, 1 + (count >> 1)))
    const { count: different, first: firstOf, numbers } = this.#dictionary
    if (isFew && different > 1) {
      out.varint(different)
      for (let number = 0; number < different; number++) {
        const index = firstOf[number] as number
        out.varint((starts[index + 1] as number) - (starts[index] as number))
      }
      for (let number = 0; number < different; number++) {
        const index = firstOf[number] as number
        out.copy(bytes, starts[index], starts[index + 1])
      }
      words.set(numbers.subarray(0, count))
      return this.#finish(ENCODING_DICTIONARY)
    }
    for (let index = 0; index < count; index++) words[index] = (starts[index + 1] as number) - (starts[index] as number)
    out.copy(bytes, first, isFew ? starts[1] : starts[count])
    return this.#finish(isFew ? ENCODING_CONSTANT : ENCODING_RAW)
  }

  /** Runs the last stage over `bytes` if that pays. */
  lastStage(bytes: Uint8Array): { codec: number; data: Uint8Array } {
    const compressed = compress(bytes, bytes.length * WORTH, true)
    return compressed === undefined ? { codec: CODEC_NONE, data: bytes } : { codec: compressed.codec, data: compressed.bytes }
  }

  #finish(encoding: number): Encoded {
    const bytes = this.#out.written()
    return { encoding, rawBytes: bytes.length, ...this.lastStage(bytes) }
  }
}
