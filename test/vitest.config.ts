import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Tests of whole processes, which run under deadlines. */
const WHOLE = ['apps', 'bench', 'faults', 'packaging', 'processes'].map((folder) => `test/${folder}/**/*.test.ts`)

export default defineConfig({
  root,
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', './.ci/reporter.mjs'],
    projects: [
      { extends: true, test: { name: 'rooms', include: ['test/**/*.test.ts'], exclude: WHOLE } },
      // CI's machine is shared: there such a test fails only when it fails three times in a row. Elsewhere once is enough.
      { extends: true, test: { name: 'processes', include: WHOLE, retry: process.env['CI'] === 'true' ? 2 : 0 } },
    ],
  },
})
