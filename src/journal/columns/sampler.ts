import { ColumnBuffer } from './column-buffer.js'

/** Trials look at runs of so many neighbours, so that differences show. */
const RUNS = 4
const RUN_VALUES = 256
const VALUES = RUNS * RUN_VALUES

/** Takes a sample of a chunk. */
export class Sampler {
  /** Of the sample at hand. */
  count = 0
  readonly #sample = new ColumnBuffer()

  /** Runs from everywhere in the first `count` wide values; all of them when they are few. Good until the next call. */
  take(values: ColumnBuffer, count: number): ColumnBuffer {
    this.count = Math.min(count, VALUES)
    if (count <= VALUES) return values
    const sample = this.#sample.fit(VALUES)
    const step = (count - RUN_VALUES) / (RUNS - 1)
    for (let run = 0; run < RUNS; run++) {
      const start = Math.floor(run * step)
      sample.bytes.set(values.bytes.subarray(8 * start, 8 * (start + RUN_VALUES)), 8 * run * RUN_VALUES)
    }
    return sample
  }
}
