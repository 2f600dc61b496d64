import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { allowedCores } from '#shm/index.js'
import { compiledPath } from '../../bench/harness/compiled.js'
import { runProgram } from '../../bench/harness/run-program.js'
import { type BusWake, describeBusWake, isBusWakeGood } from '../../bench/harness/wake-report.js'

const GOOD: BusWake = {
  bench: 'bus-wake',
  p50Us: 30,
  p99Us: 50,
  reference: { name: 'c-twin-parked', p50Us: 25, p99Us: 40 },
  ratio: 1.2,
  parksPerTrip: 1,
  oneCore: { p50Us: 9, p99Us: 12, referenceP50Us: 6, ratio: 1.5 },
  spinP50Us: 0.2,
  idleChannels: 32,
  idleCpuPercent: 0.3,
  loopDelayP99Ms: 2,
  loopDelayMaxMs: 5,
  draining: { frames: 20e6, timers: 900, echoes: 9000 },
  throughput: [{ bytes: 32, batch: 64, messagesPerSecond: 20e6 }],
  rivals: [
    {
      name: 'unix-socket',
      p50Us: 40,
      p99Us: 70,
      messagesPerSecond32: 2e6,
      messagesPerSecond1024: 1e6,
      timesOursSpinning: 200,
      timesOursParked: 1.3,
    },
  ],
  rounds: 5,
}

function leftovers(): string[] {
  const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : [])
  return [...names('/dev/shm'), ...names(tmpdir())].filter((name) => new RegExp(`^millrace-(wake|c)-${process.pid}-`).test(name))
}

describe.runIf(allowedCores().length >= 2)('the benchmark of sleeping', () => {
  test('measures ours, the C twin and every rival, an idle consumer and a draining one, and leaves nothing behind', async () => {
    const { stdout, stderr } = await runProgram(process.execPath, [compiledPath('bus-wake'), '--smoke', '--json'])

    expect(stderr).toBe('')
    const result = JSON.parse(stdout) as BusWake
    expect(result).toMatchObject({ bench: 'bus-wake', idleChannels: 32, rounds: 1 })
    expect(result.parksPerTrip).toBeGreaterThan(0.1)
    expect(result.p50Us).toBeLessThanOrEqual(result.p99Us)
    expect(result.rivals.map((rival) => rival.name)).toEqual(['process.send', 'process.send-advanced', 'message-port', 'unix-socket'])
    for (const rival of result.rivals) {
      expect(rival.p50Us).toBeGreaterThan(result.spinP50Us)
      expect(rival.messagesPerSecond32).toBeGreaterThan(0)
      expect(rival.messagesPerSecond1024).toBeGreaterThan(0)
    }
    expect(result.throughput.map(({ bytes, batch }) => [bytes, batch])).toEqual([
      [32, 1],
      [32, 64],
      [1024, 1],
      [1024, 64],
    ])
    expect(Math.min(...result.throughput.map((row) => row.messagesPerSecond))).toBeGreaterThan(0)
    expect(result.idleCpuPercent).toBeGreaterThan(0)
    expect(result.idleCpuPercent).toBeLessThan(20)
    expect(result.loopDelayP99Ms).toBeGreaterThan(0)
    expect(result.draining.frames).toBeGreaterThan(0)
    expect(result.draining.timers).toBeGreaterThan(0)
    expect(result.draining.echoes).toBeGreaterThan(0)
    if (result.reference === null) expect(result.referenceMissing).toMatch(/C compiler/)
    else expect(result.ratio).toBeCloseTo(result.p50Us / result.reference.p50Us, 1)
    await expect.poll(leftovers).toEqual([])
  })
})

describe('what the benchmark of sleeping makes of its figures', () => {
  test.each<[string, Partial<BusWake>]>([
    ['slower than the C twin by more than half', { ratio: 1.51 }],
    ['slower than a rival', { p50Us: 41 }],
    [
      'less than 20 times as fast as a rival when spinning',
      { rivals: [{ ...(GOOD.rivals[0] as BusWake['rivals'][0]), timesOursSpinning: 19 }] },
    ],
    ['busy while idle', { idleCpuPercent: 0.5 }],
    ['deaf while draining', { loopDelayP99Ms: 5 }],
    ['late with timers', { draining: { ...GOOD.draining, timers: 10 } }],
    ['slow to answer a socket', { draining: { ...GOOD.draining, echoes: 10 } }],
  ])('is bad when it is %s', (_, difference) => {
    expect(isBusWakeGood(GOOD)).toBe(true)
    expect(isBusWakeGood({ ...GOOD, reference: null, ratio: null })).toBe(true)
    expect(isBusWakeGood({ ...GOOD, ...difference })).toBe(false)
  })

  test('reads well', () => {
    expect(describeBusWake(GOOD)).toMatch(
      /C twin that parks the same way: p50 25\.0 us, ratio 1\.2; on one core 6\.0 us and ours 9\.0 us, ratio 1\.5/,
    )
    expect(describeBusWake({ ...GOOD, reference: null, referenceMissing: 'it is not here' })).toMatch(
      /no C twin to compare with: it is not here/,
    )
  })
})
