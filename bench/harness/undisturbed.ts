import { MillraceError } from '#base/errors.js'

const MS_MAX = 60_000

/**
 * Measures until other work left something that counts, and gives what was measured, the counting one last. Throws ERR_BENCH_DISTURBED
 * when nothing did for a minute.
 */
export async function undisturbed<T>(what: string, measure: () => Promise<T>, counts: (measured: T) => boolean): Promise<[...T[], T]> {
  const before: T[] = []
  const giveUpAt = performance.now() + MS_MAX
  do {
    const measured = await measure()
    if (counts(measured)) return [...before, measured]
    before.push(measured)
  } while (performance.now() < giveUpAt)
  throw new MillraceError('ERR_BENCH_DISTURBED', {
    fact: `other work interrupted every measurement of ${what}`,
    action: 'retry',
    values: { measurements: before.length },
    next: 'measure on a machine with two idle cores',
  })
}
