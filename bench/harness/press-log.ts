import { assert } from '#base/assert.js'
import { entityId } from '#base/ids.js'
import { openPlant } from '#runtime/inline-plant.js'
import { Press } from './press-plant.js'

/** Who sends each press its commands, numbered from 1. */
export const PRESS_SOURCE = 'bench'

/**
 * Fills a new data directory with `entities × eventsEach` events of presses, entity after entity in turns, and closes it. Each press has one snapshot, of its
 * event number `snapshotAt`; without that, only the snapshots that a plant takes by itself.
 */
export async function makePressLog(data: string, entities: number, eventsEach: number, snapshotAt?: number): Promise<void> {
  if (snapshotAt === undefined) return addRounds(data, entities, 1, eventsEach, false)
  await addRounds(data, entities, 1, snapshotAt - 1, false)
  await addRounds(data, entities, snapshotAt, snapshotAt, true)
  await addRounds(data, entities, snapshotAt + 1, eventsEach, false)
}

async function addRounds(data: string, entities: number, from: number, to: number, isSnapshotEach: boolean): Promise<void> {
  const plant = await openPlant({ entities: [Press], data, ...(isSnapshotEach ? { snapshotEvery: 1 } : {}) })
  try {
    const ids = Array.from({ length: entities }, (_, index) => entityId('press', `press-${index + 1}`))
    let settled = 0
    for (let cycle = from; cycle <= to; cycle++) {
      for (const entity of ids) {
        const command = {
          source: PRESS_SOURCE,
          sequence: cycle,
          entity,
          command: 'sample',
          data: { temperature: cycle / 8, cycle },
          at: cycle,
        }
        const take = () => plant.door.offer(command, 'refused', ({ kind }) => (settled += kind === 'done' ? 1 : 0))
        while (take() === 'full') await new Promise<void>((resolve) => plant.door.onRoom(resolve))
      }
    }
    await plant.drain()
    assert(settled === entities * (to - from + 1), 'every event of the log to be read was taken')
  } finally {
    await plant.close()
  }
}
