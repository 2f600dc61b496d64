import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { Settlement } from '#ingest/door.js'
import type { PlantUnderTest } from './plant-under-test.js'
import { notRecovered } from './supervision-watch.js'
import type { Values } from './value-print.js'

/** Between looks: at first, and at last, each time longer by half. */
const LOOK_EVERY_MS = 15
const LOOK_EVERY_MS_MAX = 250
/** Of an answer: as long as the plant may take to come back. */
const ANSWER_WITHIN_MS = 30_000
/** What has not come about so long after all that it comes from never will. */
const PATIENCE_MS = 10_000

/** Sends what is tried out on a plant, and waits for what comes of it. */
export class TrialClient {
  readonly #plant: Pick<PlantUnderTest, 'send'>
  readonly #clock: Clock

  constructor(plant: Pick<PlantUnderTest, 'send'>, clock: Clock) {
    this.#plant = plant
    this.#clock = clock
  }

  /** Rejects with ERR_NOT_RECOVERED when there is no answer. */
  send(entity: EntityId, command: string, data: Values): Promise<Settlement> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(ANSWER_WITHIN_MS, () => reject(notRecovered(`${entity} answers ${command}`)))
      this.#plant.send(entity, command, data).then(resolve, reject).finally(cancel)
    })
  }

  /** Of a command that entities do not refuse and that does not fail. Rejects with ERR_DRILL_COMMAND when it does. */
  async done(entity: EntityId, command: string, data: Values): Promise<Extract<Settlement, { kind: 'done' }>> {
    const settlement = await this.send(entity, command, data)
    if (settlement.kind === 'done') return settlement
    throw new MillraceError('ERR_DRILL_COMMAND', {
      fact: 'a command that a drill tries out came to nothing',
      action: 'operator',
      values: { entity, command, kind: settlement.kind, ...('message' in settlement ? { message: settlement.message } : {}) },
      next: 'look at the logs folder of the data directory',
    })
  }

  /** Whether it came about. */
  async until(condition: () => Promise<boolean>): Promise<boolean> {
    const deadlineMs = this.#clock.monotonicMs() + PATIENCE_MS
    for (let ms = LOOK_EVERY_MS; !(await condition()); ms = Math.min(ms * 1.5, LOOK_EVERY_MS_MAX)) {
      if (this.#clock.monotonicMs() > deadlineMs) return false
      await this.pause(ms)
    }
    return true
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(Math.max(0, ms), resolve)
    })
  }
}
