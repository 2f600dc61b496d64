/** Value below which `share` of the samples lie; sorts them in place. NaN when there are none. */
export function percentile(samples: Float64Array, share: number): number {
  samples.sort()
  return samples.length === 0 ? Number.NaN : (samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] as number)
}

/** The middle one, NaN when there are none. */
export function median(values: readonly number[]): number {
  return percentile(Float64Array.from(values), 0.5)
}

/** What one look at `performance.now` costs, in nanoseconds: to be taken off what it measures. The least of several tries, as others use the core too. */
export function clockCostNs(): number {
  const looks = 20_000
  let least = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < 20; attempt++) {
    const start = performance.now()
    let last = start
    for (let look = 0; look < looks; look++) last = performance.now()
    least = Math.min(least, ((last - start) * 1e6) / looks)
  }
  return least
}
