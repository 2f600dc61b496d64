import type { BenchFlag } from './bench-main.js'

interface FaultOptions {
  readonly seed: number
  readonly sabotage?: string
}

/** The options of a benchmark that does harm by chance, and finds out what came of it: what fixes the chance, and one thing to be done wrong. */
export function faultFlags<Options extends FaultOptions>(
  sabotages: readonly NonNullable<Options['sabotage']>[],
): Readonly<Record<'--seed' | '--sabotage', BenchFlag<Options>>> {
  return {
    '--seed': {
      value: 'N',
      help: 'a whole number that fixes what is done',
      apply: (options, value) => {
        const seed = wholeNumber(value, Number.MIN_SAFE_INTEGER)
        return seed === undefined ? undefined : { ...options, seed }
      },
    },
    '--sabotage': {
      value: sabotages.join('|'),
      help: 'do one thing wrong, which must be found',
      apply: (options, value) => {
        const sabotage = sabotages.find((kind) => kind === value)
        return sabotage === undefined ? undefined : { ...options, sabotage }
      },
    },
  }
}

/** Undefined when it is none, or smaller than `min`. */
export function wholeNumber(value: string, min: number): number | undefined {
  const number = Number(value)
  return /^-?\d+$/.test(value) && number >= min ? number : undefined
}
