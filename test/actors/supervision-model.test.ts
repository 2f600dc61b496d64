import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SupervisionModel } from '../models/supervision.js'
import { CellRig } from './cell-rig.js'

const PRESSES = ['a', 'b', 'c']
const BACK_OFF_MS = 10_000
const SECONDS = 1000

const press = fc.constantFrom(...PRESSES)
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('spawn' as const), press }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('fail' as const), press }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('work' as const), press }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('stop' as const, 'leave' as const), press }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('wait' as const, 'kill-worker' as const, 'kill-journal' as const), press }) },
)
const supervision = fc.record({
  strategy: fc.constantFrom('one-for-one' as const, 'one-for-all' as const, 'rest-for-one' as const),
  onError: fc.oneof(
    { weight: 5, arbitrary: fc.constant('restart' as const) },
    { weight: 1, arbitrary: fc.constantFrom('resume' as const, 'stop' as const, 'escalate' as const) },
  ),
  restarts: fc.integer({ min: 0, max: 4 }),
  hasBackOff: fc.boolean(),
})

describe('supervision under random errors, stops and deaths of processes', () => {
  test('comes to what a model says in which everything is over at once', async () => {
    const property = fc.asyncProperty(
      supervision,
      fc.array(step, { minLength: 4, maxLength: 20 }),
      fc.integer({ min: 1, max: 2 }),
      fc.constantFrom({}, { liveEntitiesMax: 1, snapshotEvery: 4 }),
      async (how, steps, workers, limits) => {
        const { hasBackOff, ...rest } = how
        const backOff = hasBackOff ? { backOff: { minMs: BACK_OFF_MS, factor: 1 } } : {}
        const cell = await CellRig.open({ ...rest, withinMs: 100_000 * SECONDS, ...backOff }, { workers, limits })
        const { rig } = cell
        const model = new SupervisionModel(how)
        const first = PRESSES.map((name) => ({ kind: 'spawn' as const, press: name }))
        for (const { kind, press: name } of [...first, ...steps]) {
          if (kind === 'spawn') {
            model.spawn(name)
            await cell.spawn(name)
          } else if (kind === 'fail') expect(await cell.send(`press/${name}`, 'fail', { why: 'jam' })).toBe(model.fail(name))
          else if (kind === 'work') expect(await cell.send(`press/${name}`, 'work', { amount: 10 })).toBe(model.work(name, 10))
          else if (kind === 'leave') expect(await cell.send(`press/${name}`, 'leave')).toBe(model.leave(name))
          else if (kind === 'stop') {
            model.stop(name)
            await cell.send('cell/c', 'stop', { press: name })
          } else if (kind === 'wait') {
            model.wait()
            rig.clock.advance(3 * BACK_OFF_MS)
            await cell.settle()
          } else if (kind === 'kill-worker') {
            for (let slot = 0; slot < workers; slot++) rig.killWorker(slot)
            for (let slot = 0; slot < workers; slot++) rig.startWorker(slot)
            await cell.settle()
          } else {
            rig.killJournal()
            rig.startJournal()
            await cell.settle()
          }
          expect(await cell.children()).toEqual(model.children)
          for (const one of PRESSES) expect((await cell.totals(one))[0] ?? 0, `total of ${one}`).toBe(model.total(one))
        }
        expect(await rig.liveHash()).toBe(await rig.replayedHash())
      },
    )
    await fc.assert(property, { numRuns: 25 })
  }, 60_000)
})
