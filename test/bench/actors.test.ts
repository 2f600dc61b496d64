import { describe, expect, test } from 'vitest'
import { allowedCores } from '#shm/index.js'
import { ACTORS_SMOKE, describeActors, measureActors } from '../../bench/actors.js'

describe.runIf(allowedCores().length >= 2)('the benchmark of actors', () => {
  test('counts what it measures, and reports rates, trips and bytes', async () => {
    const result = await measureActors(ACTORS_SMOKE)

    expect(result).toMatchObject({ bench: 'actors', liveEntities: ACTORS_SMOKE.liveEntities, rivals: [] })
    for (const rate of [result.tellPerSecond, result.askPerSecond, result.tellPerSecondAmongAll]) expect(rate).toBeGreaterThan(0)
    for (const us of [result.crossProcessAskP50Us, result.crossProcessPromiseP50Us, result.crossWorkerAskP50Us])
      expect(us).toBeGreaterThan(0)
    expect(describeActors(result).split('\n')).toHaveLength(4)
  })
})
