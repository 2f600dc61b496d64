import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('..', import.meta.url))

export default defineConfig({
  root,
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // CI's machine is shared and whole plants run under deadlines: there any test fails only when it fails three times in a row. Elsewhere once is enough.
    retry: process.env['CI'] === 'true' ? 2 : 0,
    reporters: ['default', './.ci/reporter.mjs'],
  },
})
