import { assert } from '#base/assert.js'
import type { EntityModel, PlantModel } from '#entity/index.js'
import type { EventType } from '#journal/journal.js'

/** What a stored event type is in this plant. */
export interface StoredEvent {
  readonly model: EntityModel
  readonly eventIndex: number
}

/** Translates between the journal's event type numbers and the plant's models. Learnt from the journal at the
 * beginning of each load of shards. */
export class EventNumbers {
  readonly #plant: PlantModel
  #types: readonly EventType[] = []
  #stored: (StoredEvent | undefined)[] = []
  #numbers = new Map<EntityModel, number[]>()

  constructor(plant: PlantModel) {
    this.#plant = plant
  }

  get types(): readonly EventType[] {
    return this.#types
  }

  /** Types are only ever added, so as many as before are the same: then what is kept per array of types stays good. */
  learn(types: readonly EventType[]): void {
    if (types.length > 0 && types.length === this.#types.length) return
    this.#types = types
    this.#stored = []
    this.#numbers = new Map(this.#plant.models.map((model) => [model, new Array<number>(model.eventNames.length).fill(0)]))
    for (const type of types) {
      const model = this.#plant.model(type.entity)
      const eventIndex = model === undefined ? -1 : model.eventNames.indexOf(type.event)
      if (model === undefined || eventIndex < 0) continue
      this.#stored[type.number] = { model, eventIndex }
      ;(this.#numbers.get(model) as number[])[eventIndex] = type.number
    }
  }

  /** Undefined for a type that this plant does not know (any more). */
  stored(typeNumber: number): StoredEvent | undefined {
    return this.#stored[typeNumber]
  }

  numberOf(model: EntityModel, eventIndex: number): number {
    const number = this.#numbers.get(model)?.[eventIndex] ?? 0
    assert(number > 0, 'the journal has numbered every event type of the plant')
    return number
  }
}
