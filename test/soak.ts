/**
 * The two tiers of a long test. `npm test` runs it with its smoke count; `npm run soak -- NAME --times N --seed S` runs the same file, for
 * `NAME.test.ts`, with the count and the seed of the command line, or its own full count, and without time limits. A test file becomes a
 * soak by importing this one.
 */
export const isSoak = process.env['MILLRACE_SOAK'] === '1'

/** How many rounds to run in this tier. */
export function soakTimes(counts: { readonly smoke: number; readonly full: number }): number {
  if (!isSoak) return counts.smoke
  const times = process.env['MILLRACE_SOAK_TIMES']
  return times === undefined ? counts.full : Number(times)
}

/** The seed of the command line, or the test's own. Print it with every failure. */
export function soakSeed(own: number): number {
  const seed = process.env['MILLRACE_SOAK_SEED']
  return seed === undefined ? own : Number(seed)
}
