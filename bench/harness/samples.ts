/** Value below which `share` of the samples lie; sorts them in place. NaN when there are none. */
export function percentile(samples: Float64Array, share: number): number {
  samples.sort()
  return samples.length === 0 ? Number.NaN : (samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] as number)
}

/** The middle one, NaN when there are none. */
export function median(values: readonly number[]): number {
  return percentile(Float64Array.from(values), 0.5)
}

/** What one look at `performance.now` costs, in nanoseconds: to be taken off what it measures. */
export function clockCostNs(): number {
  const looks = 200_000
  let last = performance.now()
  for (let look = 0; look < looks; look++) last = performance.now()
  const start = performance.now()
  for (let look = 0; look < looks; look++) last = performance.now()
  return ((last - start) * 1e6) / looks
}
