import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { CLI_BENCH_SMOKE, describeCliBench, measureCli } from '../../bench/cli.js'

const hasHyperfine = spawnSync('hyperfine', ['--version']).status === 0

describe.skipIf(!hasHyperfine && (process.env['CI'] ?? '') === '')('whole commands', () => {
  test('are timed beside an empty program', async () => {
    const result = await measureCli(CLI_BENCH_SMOKE)

    expect(result.commands.map((command) => command.name)).toEqual(
      expect.arrayContaining(['node (empty program)', 'millrace --help', 'millrace get', 'millrace up, to ready']),
    )
    for (const { minMs, medianMs, maxMs } of result.commands) {
      expect(minMs).toBeGreaterThan(1)
      expect(medianMs).toBeGreaterThanOrEqual(minMs)
      expect(maxMs).toBeGreaterThanOrEqual(medianMs)
    }
    expect(describeCliBench(result)).toMatch(/^millrace --help +median [\d.]+ ms .*budget 120 ms/m)
  })
})
