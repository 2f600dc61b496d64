import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { featuresProject } from '../project.js'

/** Of claims that must not hold: never part of a run of the tests, but run by one of them. */
export default defineConfig({
  root: fileURLToPath(new URL('../../..', import.meta.url)),
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    pool: 'forks',
    reporters: ['default', './.ci/reporter.mjs'],
    projects: [
      featuresProject({
        include: ['test/features/false-claims/*.feature'],
        patienceMs: 60_000,
        moreSteps: ['test/features/false-claims/faults.ts'],
        keepsPlants: true,
      }),
    ],
  },
})
