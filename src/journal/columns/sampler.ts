import { ColumnBuffer } from './column-buffer.js'

/** Trials look at runs of neighbours, so that differences show: in all at a sixteenth of the chunk, within these bounds. */
const RUNS = 4
const RUN_VALUES_MIN = 128
const RUN_VALUES_MAX = 256
const PART = 16

/** Takes a sample of a chunk. */
export class Sampler {
  /** Of the sample at hand. */
  count = 0
  readonly #sample = new ColumnBuffer()

  /** Runs from everywhere in the first `count` wide values; all of them when they are few. Good until the next call. */
  take(values: ColumnBuffer, count: number): ColumnBuffer {
    const length = Math.min(RUN_VALUES_MAX, Math.max(RUN_VALUES_MIN, Math.ceil(count / (RUNS * PART))))
    this.count = Math.min(count, RUNS * length)
    if (count <= RUNS * length) return values
    const sample = this.#sample.fit(RUNS * length)
    const step = (count - length) / (RUNS - 1)
    for (let run = 0; run < RUNS; run++) {
      const start = Math.floor(run * step)
      sample.bytes.set(values.bytes.subarray(8 * start, 8 * (start + length)), 8 * run * length)
    }
    return sample
  }
}
