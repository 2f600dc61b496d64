import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { allowedCores } from '#shm/index.js'
import { BUS_RTT_SMOKE, describeBusRtt, measureBusRtt } from '../../bench/bus-rtt.js'
import { compiledPath } from '../../bench/harness/compiled.js'

function leftovers(): string[] {
  const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : [])
  return [...names('/dev/shm'), ...names(tmpdir())].filter((name) => new RegExp(`^millrace-(rtt|c)-${process.pid}-`).test(name))
}

describe.runIf(allowedCores().length >= 2)('the round trip over the bus', () => {
  test('is measured beside the C ping-pong, and leaves nothing behind', async () => {
    const result = await measureBusRtt(BUS_RTT_SMOKE)

    expect(result).toMatchObject({ bench: 'bus-rtt', rounds: 1 })
    expect(result.meanNs).toBeGreaterThan(0)
    expect(result.p50Ns).toBeLessThanOrEqual(result.p99Ns)
    expect(result.p99Ns).toBeLessThanOrEqual(result.p999Ns)
    expect(result.clockNs).toBeGreaterThan(0)
    expect(result.discarded).toBeLessThan(1)
    if (result.reference === null) expect(result.referenceMissing).toMatch(/C compiler/)
    else expect(result.ratioMean).toBeCloseTo(result.meanNs / result.reference.meanNs, 1)
    await expect.poll(leftovers).toEqual([])
  })

  test('is measured without a reference too, and says why there is none', async () => {
    const result = await measureBusRtt({ ...BUS_RTT_SMOKE, withReference: false })

    expect(result).toMatchObject({ reference: null, referenceMissing: 'it was not asked for', ratioMean: null, ratioP99: null })
    expect(describeBusRtt(result)).toMatch(/no C ping-pong to compare with: it was not asked for/)
  })

  test('is printed as one line of JSON, also where there is no C compiler', () => {
    const run = spawnSync(process.execPath, [compiledPath('bus-rtt'), '--smoke', '--json'], { encoding: 'utf8', env: { PATH: '' } })

    expect(run.stderr).toBe('')
    expect(JSON.parse(run.stdout)).toMatchObject({
      bench: 'bus-rtt',
      reference: null,
      referenceMissing: 'there is no C compiler (cc) here',
    })
  })
})
