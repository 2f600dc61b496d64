import type { EntityId } from '#base/ids.js'
import { batchOf, TestWriter } from '../journal/writer.js'
import type { PlantRig } from './plant-rig.js'

/** Not used by any worker. */
const SLOT = 9

/** Somebody who appends to entities that a worker owns: against the rules, and found out by the base row. */
export class ForeignWriter {
  readonly #rig: PlantRig
  readonly #writer: TestWriter
  #count = 0

  constructor(rig: PlantRig) {
    this.#rig = rig
    this.#writer = new TestWriter(rig.journal.eventTypes, { slot: SLOT, term: rig.nextTerm(), shardCount: rig.journal.shardCount })
  }

  /** Adds a row to the entity right in front of the journal's next batch. */
  interfere(entity: EntityId): void {
    const { journal } = this.#rig
    journal.foreign.push(() => {
      const head = journal.head(entity)
      const frame = this.#writer.append({
        entity,
        expectedVersion: head?.version ?? 0,
        baseTerm: head?.term ?? 0,
        baseNumber: head?.appendNumber ?? 0,
        rows: [{ event: 'Added', data: { id: 5000 + this.#count++, by: 1 } }],
        at: 0,
      })
      return batchOf([frame], SLOT)
    })
  }
}
