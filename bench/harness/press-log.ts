import { assert } from '#base/assert.js'
import { entityId } from '#base/ids.js'
import { openPlant } from '#runtime/inline-plant.js'
import { Press } from './press-plant.js'

const SNAPSHOT_EVERY = 1000

/** Fills a new data directory with `entities × eventsEach` events of presses, entity after entity in turns, and closes it. */
export async function makePressLog(data: string, entities: number, eventsEach: number): Promise<void> {
  const plant = await openPlant({ entities: [Press], data, snapshotEvery: SNAPSHOT_EVERY })
  try {
    const ids = Array.from({ length: entities }, (_, index) => entityId('press', `press-${index + 1}`))
    let settled = 0
    for (let cycle = 1; cycle <= eventsEach; cycle++) {
      for (const entity of ids) {
        const command = { source: 'bench', sequence: cycle, entity, command: 'sample', data: { temperature: cycle / 8, cycle }, at: cycle }
        const take = () => plant.door.offer(command, 'refused', ({ kind }) => (settled += kind === 'done' ? 1 : 0))
        while (take() === 'full') await new Promise<void>((resolve) => plant.door.onRoom(resolve))
      }
    }
    await plant.drain()
    assert(settled === entities * eventsEach, 'every event of the log to be read was taken')
  } finally {
    await plant.close()
  }
}
