import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { featuresProject } from './features/project.js'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Tests of whole processes, which wait for what these do. On a busy machine that takes long: what they say must come about, not be soon. */
const WHOLE = ['apps', 'bench', 'faults', 'features', 'packaging', 'processes'].map((folder) => `test/${folder}/**/*.test.ts`)

/** Rooms whose tests look at what a process has loaded, and so need one of their own. */
const ALONE = ['test/shm/native.test.ts']

/** A soak takes as long as it takes. */
const patienceMs = process.env['MILLRACE_SOAK'] === '1' ? 0 : 600_000

export default defineConfig({
  root,
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Spares of plants that run for seconds need no speed.
    env: { MILLRACE_PROCESSES__WARM_UP_CPU_MS: '0' },
    reporters: ['default', './.ci/reporter.mjs'],
    // One process runs many files and loads what they test once, which saves hundreds of starts. So a module that helps tests calls no hook by itself.
    projects: [
      { extends: true, test: { name: 'rooms', include: ['test/**/*.test.ts'], exclude: [...WHOLE, ...ALONE] } },
      { extends: true, test: { name: 'alone', isolate: true, include: ALONE } },
      {
        extends: true,
        test: {
          name: 'processes',
          include: WHOLE,
          testTimeout: patienceMs,
          hookTimeout: patienceMs,
          expect: { poll: { timeout: 60_000 } },
        },
      },
      featuresProject({ include: ['test/features/*.feature'], patienceMs }),
    ],
  },
})
