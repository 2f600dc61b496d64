import type { EntityId } from '#base/ids.js'
import { type CellSupervision, cellType, Press } from './press-cell.js'
import { PlantRig, type RigOptions } from './plant-rig.js'
import { RigClient } from './rig-client.js'

/** A rig with cells and presses, and somebody who sends them commands one after the other. */
export class CellRig {
  readonly rig: PlantRig
  readonly client: RigClient

  static async open(supervise: CellSupervision = {}, options: Partial<RigOptions> = {}): Promise<CellRig> {
    const rig = await PlantRig.open({ entities: [Press, cellType(supervise)], ...options })
    await rig.until(() => rig.isIdle)
    return new CellRig(rig)
  }

  /** Of any types. */
  constructor(rig: PlantRig, source = 'plc') {
    let id = 0
    this.rig = rig
    this.client = new RigClient(rig, source, 0, () => id++)
  }

  /** Until nothing is under way; what waits for its time waits on. */
  settle(): Promise<void> {
    return this.rig.until(() => this.rig.isIdle && this.client.isSettled)
  }

  /** What the command came to, once all that it caused is over: its reply, or `refused`, or the code of its failure. */
  async send(entity: EntityId, command: string, data: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const { settlements } = this.client.send({ entity, command, data, at: undefined, answer: 'always' })
    await this.settle()
    const [settlement] = settlements
    if (settlement?.kind === 'done') return settlement.reply ?? 'done'
    return settlement?.kind === 'failed' ? settlement.message.split(':')[0] : settlement?.kind
  }

  spawn(press: string, options: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return this.send('cell/c', 'spawn', { press, options })
  }

  children(): Promise<unknown> {
    return this.send('cell/c', 'list')
  }

  async heard(cell = 'c'): Promise<readonly string[] | undefined> {
    return (await this.#read<{ heard: string[] }>(`cell/${cell}`))?.heard
  }

  totals(...presses: string[]): Promise<(number | undefined)[]> {
    return Promise.all(presses.map(async (one) => (await this.#read<{ total: number }>(`press/${one}`))?.total))
  }

  async #read<T>(entity: EntityId): Promise<T | undefined> {
    for (let slot = 0; slot < this.rig.workerCount; slot++) {
      const found = this.rig.worker(slot).read(entity, (live) => structuredClone(live.state) as T)
      if (found === undefined) continue
      let state: { readonly it: T } | undefined
      void found.then((it) => (state = { it }))
      await this.rig.until(() => state !== undefined)
      return state?.it
    }
    return undefined
  }
}
