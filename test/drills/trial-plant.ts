import type { FakeClock } from '#base/clock.js'
import { isMillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { LoggedRow } from '#drills/plant-under-test.js'
import type { Settlement } from '#ingest/door.js'
import { readRows } from '#journal/index.js'
import { DRILLED } from '#plant/drilled.js'
import { type InlinePlant, openPlant } from '#runtime/inline-plant.js'

/** What drills try out on a plant, on one without processes. */
export class TrialPlant {
  readonly #plant: Promise<InlinePlant>

  constructor(clock: FakeClock) {
    this.#plant = openPlant({ entities: [...DRILLED], clock })
  }

  async send(entity: EntityId, command: string, data: Readonly<Record<string, unknown>>): Promise<Settlement> {
    try {
      const answer = await (await this.#plant).send(entity, command, data)
      return { kind: 'done', ...(answer as { readonly version: number; readonly reply: unknown }) }
    } catch (error) {
      if (!isMillraceError(error, 'ERR_COMMAND_FAILED')) throw error
      return { kind: 'failed', message: error.message }
    }
  }

  /** `type/*` or `type*`. */
  async *rows(pattern: string): AsyncGenerator<LoggedRow> {
    const plant = await this.#plant
    await plant.drain()
    for await (const row of readRows(plant.journal, { from: 0 })) if (row.entity.startsWith(pattern.slice(0, -1))) yield row
  }

  async close(): Promise<void> {
    await (await this.#plant).close()
  }
}
