import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { defineEntity } from '#entity/index.js'
import { readRows } from '#journal/index.js'
import { type MachineEvent, oee, packml } from '#packml/index.js'
import { openPlant } from '#runtime/inline-plant.js'

const MINUTE_MS = 60_000
const parts = packml()
const Press = defineEntity({
  name: 'press',
  ...parts,
  states: {
    ...parts.states,
    // Two acting states that do their work alone.
    Resetting: { ...parts.states.Resetting, onEnter: (_press, { after }) => after(MINUTE_MS, 'stateComplete', { state: 'Resetting' }) },
    Starting: { ...parts.states.Starting, onEnter: (_press, { after }) => after(MINUTE_MS, 'stateComplete', { state: 'Starting' }) },
  },
})

describe('a plant with a PackML machine', () => {
  test('has its effectiveness in its log, acting states that end by a timer included', async () => {
    const clock = new FakeClock()
    const begun = clock.nowMicros()
    const plant = await openPlant({ entities: [Press], clock })
    try {
      const press = plant.entity(Press, 'one')
      const isIn = async (state: string) => expect.poll(async () => (await plant.state(Press, 'one'))?.state).toBe(state)

      await press.reset({}) // minute 0
      clock.advance(MINUTE_MS)
      await isIn('Idle')
      await press.start({}) // minute 1
      clock.advance(MINUTE_MS)
      await isIn('Execute') // minute 2
      clock.advance(6 * MINUTE_MS)
      await press.count({ produced: 300, defective: 30 })
      await press.abort({ reason: 'door open' }) // minute 8
      clock.advance(2 * MINUTE_MS)

      const events: MachineEvent[] = []
      for await (const row of readRows(plant.journal, { from: 0 })) if (row.entity === 'press/one') events.push(row)
      const [shift] = oee(events, [{ from: begun, to: clock.nowMicros() }], { idealCycleMs: 1000 })

      expect(shift).toMatchObject({ quality: 0.9, parts: 300, flags: [] })
      // The door gives no time twice, so some are a microsecond off.
      expect(shift?.availability).toBeCloseTo(0.6, 6)
      expect(shift?.performance).toBeCloseTo(300 / 360, 6)
      expect(shift?.oee).toBeCloseTo(0.45, 6)
    } finally {
      await plant.close()
    }
  })
})
