import { assert } from '#base/assert.js'
import { type EntityModel, type OutboxRow, type PlantModel, type StoredEvent, StoredEvents } from '#entity/index.js'
import { FENCED_EVENT } from '#journal/fenced-block.js'
import type { EventType } from '#journal/journal.js'
import { BUILT_IN_EVENTS, fieldsKey } from '#schema/index.js'

type OutboxEvent = OutboxRow['event']

/** Translates between the journal's event type numbers and the plant's models. Learnt from the journal at the
 * beginning of each load of shards. */
export class EventNumbers {
  readonly #plant: PlantModel
  #types: readonly EventType[] = []
  #events: StoredEvents
  /** The numbers of the model asked for last, as far as they were asked for. */
  #latest: EntityModel | undefined
  #latestNumbers: (number | undefined)[] = []
  /** By entity type and event. */
  readonly #builtIn = new Map<string, number>()

  constructor(plant: PlantModel) {
    this.#plant = plant
    this.#events = new StoredEvents(plant.models, [])
  }

  get types(): readonly EventType[] {
    return this.#types
  }

  /** Types are only ever added, so as many as before are the same: then what is kept per array of types stays good. */
  learn(types: readonly EventType[]): void {
    if (types.length > 0 && types.length === this.#types.length) return
    this.#types = types
    this.#events = new StoredEvents(this.#plant.models, types)
    this.#latest = undefined
  }

  /** Undefined for a type that this plant does not know (any more). */
  stored(typeNumber: number): StoredEvent | undefined {
    return this.#events.of(typeNumber)
  }

  /** Whether rows of this type stand for rows that repair gave up. */
  isFenced(typeNumber: number): boolean {
    return this.#types[typeNumber - 1]?.event === FENCED_EVENT
  }

  /** The event of an outbox that rows of this type are; undefined for others. */
  outboxEvent(typeNumber: number): OutboxEvent | undefined {
    const event = this.#types[typeNumber - 1]?.event
    return BUILT_IN_EVENTS.some((one) => one.event === event) ? (event as OutboxEvent) : undefined
  }

  /** Under which rows of an outbox are stored. */
  numberOfBuiltIn({ name }: EntityModel, event: OutboxEvent): number {
    const key = `${name}.${event}`
    const known = this.#builtIn.get(key)
    if (known !== undefined) return known
    const fields = fieldsKey(BUILT_IN_EVENTS.find((one) => one.event === event)?.fields ?? [])
    const type = this.#types.find((one) => one.entity === name && one.event === event && fieldsKey(one.fields) === fields)
    assert(type !== undefined, 'the journal has numbered the events of outboxes')
    this.#builtIn.set(key, type.number)
    return type.number
  }

  numberOf(model: EntityModel, eventIndex: number): number {
    if (model !== this.#latest) {
      this.#latest = model
      this.#latestNumbers = []
    }
    const number = (this.#latestNumbers[eventIndex] ??= this.#events.numberOf(model, eventIndex))
    assert(number > 0, 'the journal has numbered every event type of the plant')
    return number
  }
}
