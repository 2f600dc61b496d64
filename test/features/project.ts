import { quickpickle } from 'quickpickle'
import type { TestProjectInlineConfiguration } from 'vitest/config'

/** What a step waits for gives up before, and says what it was. */
const STEP_TIMEOUT_MS = 120_000

export interface FeaturesOptions {
  readonly include: string[]
  readonly patienceMs: number
  readonly moreSteps?: readonly string[]
  /** Whether a plant that scenarios share goes on behind one that has failed. */
  readonly keepsPlants?: boolean
}

/**
 * The scenarios in files of the given names. One that is tagged both @inline and @processes runs on either tier: on a plant without processes, and on one of
 * real ones.
 */
export function featuresProject({
  include,
  patienceMs,
  moreSteps = [],
  keepsPlants = false,
}: FeaturesOptions): TestProjectInlineConfiguration {
  return {
    extends: true,
    plugins: [quickpickle({ stepTimeout: STEP_TIMEOUT_MS, explodeTags: [['@inline', '@processes']], worldConfig: { keepsPlants } })],
    test: {
      name: 'features',
      include,
      setupFiles: ['test/features/setup.ts', ...moreSteps],
      isolate: false,
      testTimeout: patienceMs,
      hookTimeout: patienceMs,
    },
  }
}
