import { isMillraceError } from '#base/errors.js'
import { NO_PEER, Producer } from '#bus/index.js'
import { DRILLED } from '#plant/drilled.js'
import { PlantRig } from '../actors/plant-rig.js'
import { Counter } from '../faults/counter.js'
import { type MachinesOptions, PlantAtWork } from './plant-at-work.js'
import { RiggedPlant } from './rigged-plant.js'

export const INLINE_WORKERS = 2
/** A turn of everybody takes one of them. */
const PATIENCE_MS = 5000

/** Tier 0: the code of a plant over rings in memory, without a process of its own. */
export class InlinePlantAtWork extends PlantAtWork {
  readonly #rig: PlantRig
  readonly #rigged: RiggedPlant

  static async open(machines: MachinesOptions): Promise<InlinePlantAtWork> {
    return new InlinePlantAtWork(await PlantRig.open({ entities: [Counter, ...DRILLED], workers: INLINE_WORKERS }), machines)
  }

  private constructor(rig: PlantRig, machines: MachinesOptions) {
    const plant = new RiggedPlant(rig)
    super({ ...machines, plant, door: rig.door(), clock: rig.clock, run: '', patienceMs: PATIENCE_MS })
    this.#rig = rig
    this.#rigged = plant
  }

  async complaint(): Promise<string> {
    return this.#rig.server.isOutOfRoom ? 'the disk of the plant is full' : ''
  }

  async readReports(machine: number): Promise<number> {
    const rows = await this.#rig.rows()
    return rows.filter(({ entity }) => entity === `counter/machine-${machine}`).length
  }

  /** It takes its end of the channel to the journal again, under the term that it was started with. */
  canWrite({ pid: term }: { readonly pid: number }): boolean {
    const end = { pid: 1, startTime: 0, term, schemaHash: this.#rig.model.schemaHash, peer: NO_PEER }
    try {
      const channel = new Producer(this.#rig.memory('appends-w0'), end)
      return channel.frameBytesMax > 0
    } catch (error) {
      if (isMillraceError(error, 'ERR_CHANNEL_FENCED')) return false
      throw error
    }
  }

  /** The log forgets its last block, and nobody notices. */
  async tearLastBlock(): Promise<void> {
    await this.until('nothing is under way', () => this.#rig.isIdle)
    this.#rig.journal.stored.blocks.pop()
  }

  protected moment(): Promise<void> {
    return this.#rigged.turn()
  }
}
