import { MillraceError } from '#base/errors.js'
import { type Data, type FieldSchema, fieldsKey, laterShapes, readAs, readingOf, type StoredShape } from '#schema/index.js'
import type { EntityModel } from './entity-model.js'
import type { UpcastChain } from './upcasts.js'

/** The `eventIndex` of a stored event that the entity type has dropped: it counts as a version and changes nothing. */
const DROPPED = -1

/** What a stored event is to a model. */
export interface StoredEvent {
  readonly model: EntityModel
  readonly eventIndex: number
  /** Makes stored data the event's own; undefined where it is that already. */
  readonly upcast: ((data: Data) => Data) | undefined
}

/**
 * How the events of a log are read by the models of a plant, whatever shape they were stored in. Tells nothing of types that the plant does not
 * know, which the journal has refused at start.
 */
export class StoredEvents {
  readonly #events: (StoredEvent | undefined)[] = []
  readonly #numbers = new Map<EntityModel, number[]>()

  constructor(models: readonly EntityModel[], shapes: readonly StoredShape[]) {
    for (const model of models) {
      const own = shapes.filter(({ entity }) => entity === model.name)
      for (const shape of own) this.#events[shape.number] = storedEvent(model, shape, own)
      const numbers = model.schema.events.map(({ event, fields }) => {
        const key = fieldsKey(fields)
        return own.find((shape) => shape.event === event && fieldsKey(shape.fields) === key)?.number ?? 0
      })
      this.#numbers.set(model, numbers)
    }
  }

  /** Undefined for a type that no model can read. */
  of(typeNumber: number): StoredEvent | undefined {
    return this.#events[typeNumber]
  }

  /** Applies a stored event; its data becomes the state's. Throws ERR_SCHEMA_CHANGED for a type that no model can read, and what `applyStored` throws. */
  apply(typeNumber: number, state: unknown, data: Data): void {
    const stored = this.#events[typeNumber]
    if (stored !== undefined) return applyStored(stored, state, data)
    throw new MillraceError('ERR_SCHEMA_CHANGED', {
      fact: 'the log has an event that this plant cannot read',
      action: 'operator',
      values: { typeNumber },
      next: 'start the plant once: it names the event, and what to declare',
    })
  }

  /** The number under which new events are stored; 0 when the log has not been told of the model's events. */
  numberOf(model: EntityModel, eventIndex: number): number {
    return this.#numbers.get(model)?.[eventIndex] ?? 0
  }
}

/** Applies a stored event; its data becomes the state's. Throws ERR_UPCAST_FAILED and ERR_APPLY_FAILED. */
export function applyStored({ model, eventIndex, upcast }: StoredEvent, state: unknown, data: Data): void {
  if (eventIndex !== DROPPED) model.apply(state, eventIndex, upcast === undefined ? data : upcast(data))
}

function storedEvent(model: EntityModel, shape: StoredShape, all: readonly StoredShape[]): StoredEvent | undefined {
  const reading = readingOf(model.schema, shape, all)
  if (reading === undefined) return undefined
  if (reading.kind === 'dropped') return { model, eventIndex: DROPPED, upcast: undefined }
  const { event: eventIndex } = reading
  const defaults = earliestDefault(shape, all)
  if (reading.kind === 'present') {
    const { fields } = model.eventCodec(eventIndex)
    const isPresent = fieldsKey(fields) === fieldsKey(shape.fields)
    return { model, eventIndex, upcast: isPresent ? undefined : readAs(shape.fields, fields, defaults) }
  }
  const chain = model.upcasts(eventIndex)
  const { step } = reading
  const read = readAs(shape.fields, (chain.former[step] as UpcastChain['former'][number]).codec.fields, defaults)
  return { model, eventIndex, upcast: (data) => chain.run(step, read === undefined ? data : read(data)) }
}

/** The default that a field was added with: one that is changed later must not change what old events were. */
function earliestDefault(shape: StoredShape, all: readonly StoredShape[]): (field: FieldSchema) => unknown {
  const later = laterShapes(shape, all)
  return ({ name, kind }) => {
    for (const { fields } of later) {
      const added = fields.find((field) => field.name === name && field.kind === kind)
      if (added !== undefined) return added.defaultValue
    }
    return undefined
  }
}
