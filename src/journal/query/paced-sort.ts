import type { Pace } from './pace.js'

/** So many items are sorted in one go. */
const RUN = 1024
/** Steps of a merge between two looks at the clock. */
const STRIDE = 4096

/** Sorts in place, stable, and gives way now and then: a merge sort from runs up. */
export async function pacedSort<T>(items: T[], compare: (a: T, b: T) => number, pace: Pace): Promise<void> {
  for (let start = 0; start < items.length; start += RUN) {
    const run = items.slice(start, start + RUN).sort(compare)
    for (const [index, item] of run.entries()) items[start + index] = item
    await pace.step()
  }
  let spare: T[] = new Array<T>(items.length)
  let from = items
  for (let width = RUN; width < items.length; width *= 2) {
    for (let start = 0; start < items.length; start += width * 2) await merge(from, spare, start, width, compare, pace)
    ;[from, spare] = [spare, from]
  }
  if (from === items) return
  for (const [index, item] of from.entries()) items[index] = item
}

async function merge<T>(
  from: readonly T[],
  to: T[],
  start: number,
  width: number,
  compare: (a: T, b: T) => number,
  pace: Pace,
): Promise<void> {
  const middle = Math.min(start + width, from.length)
  const end = Math.min(start + width * 2, from.length)
  let [left, right] = [start, middle]
  for (let index = start; index < end; index++) {
    const isLeft = left < middle && (right >= end || compare(from[left] as T, from[right] as T) <= 0)
    to[index] = from[isLeft ? left++ : right++] as T
    if (index % STRIDE === 0) await pace.step()
  }
}
