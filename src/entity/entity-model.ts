import { MillraceError, messageOf } from '#base/errors.js'
import { type Codec, createCodec, type Data, type EntitySchema, fieldSchemas, schemaHashHex } from '#schema/index.js'
import { Decider, type Decision, type Envelope, isThenable } from './decider.js'
import type { AnyEntity, EntityClass, EntityEvent } from './entity.js'

/** What `apply` handlers look like once their types are gone. */
type Apply = (state: unknown, data: object) => unknown

/**
 * An entity type as a worker runs it: codecs compiled, handlers in arrays, events and commands as indexes in declaration order. One per
 * process and type; not for use inside its own handlers.
 */
export class EntityModel {
  readonly name: string
  readonly class: EntityClass
  readonly schema: EntitySchema
  readonly eventNames: readonly string[]
  readonly commandNames: readonly string[]
  /** A snapshot is due after so many rows. */
  readonly snapshotEvery: number
  /** SHA-256 over the events, 64 hex digits: state is folded from them, so snapshots made under other events are passed over. */
  readonly eventsHash: string
  readonly #initial: () => unknown
  readonly #eventCodecs: readonly Codec[]
  readonly #commandCodecs: readonly Codec[]
  readonly #applies: readonly Apply[]
  readonly #decider: Decider

  constructor(entity: AnyEntity) {
    this.name = entity.name
    this.class = entity.class
    this.schema = entitySchema(entity)
    this.eventNames = Object.keys(entity.events)
    this.commandNames = Object.keys(entity.commands)
    this.snapshotEvery = entity.snapshotEvery
    this.eventsHash = schemaHashHex(this.schema.events)
    this.#initial = entity.initial
    this.#eventCodecs = this.schema.events.map(({ fields }) => createCodec(fields))
    this.#commandCodecs = this.schema.commands.map(({ fields }) => createCodec(fields))
    this.#applies = this.eventNames.map((name) => handler(entity.apply, name) as Apply)
    this.#decider = new Decider({
      entity: entity.name,
      eventNames: this.eventNames,
      commandNames: this.commandNames,
      eventCodecs: this.#eventCodecs,
      handlers: this.commandNames.map((name) => handler(entity.decide, name)),
    })
  }

  /** A new state, before the first event. */
  initial(): unknown {
    return this.#initial()
  }

  eventCodec(eventIndex: number): Codec {
    return this.#eventCodecs[eventIndex] as Codec
  }

  commandCodec(commandIndex: number): Codec {
    return this.#commandCodecs[commandIndex] as Codec
  }

  /**
   * Decides one command on the state before it. `data` has passed the command's codec. Never throws. The decision is this model's own and is
   * overwritten by its next call; nothing is applied.
   */
  decide(state: unknown, commandIndex: number, data: object, envelope: Envelope): Decision {
    return this.#decider.decide(state, commandIndex, data, envelope)
  }

  /**
   * Changes the state by one event, whose data has passed the event's codec (decoded or normalised) and belongs to the state from then on. Throws
   * ERR_APPLY_FAILED naming the event when the handler throws or returns a promise: then the state is half changed and must be dropped.
   */
  apply(state: unknown, eventIndex: number, data: object): void {
    let returned: unknown
    try {
      returned = (this.#applies[eventIndex] as Apply)(state, data)
    } catch (cause) {
      throw this.#applyFailed(eventIndex, `it threw: ${messageOf(cause)}`, cause)
    }
    if (returned !== undefined && isThenable(returned)) {
      returned.then(undefined, () => undefined)
      throw this.#applyFailed(eventIndex, 'it returned a promise, and state is folded synchronously')
    }
  }

  /** The index of an event, or -1. */
  eventIndex(event: string): number {
    return this.eventNames.indexOf(event)
  }

  /** The index of a command, or -1. */
  commandIndex(command: string): number {
    return this.commandNames.indexOf(command)
  }

  #applyFailed(eventIndex: number, what: string, cause?: unknown): MillraceError {
    return new MillraceError('ERR_APPLY_FAILED', {
      fact: `an apply handler failed, ${what}`,
      action: 'operator',
      values: { entity: this.name, event: this.eventNames[eventIndex] },
      cause,
    })
  }
}

export function compileEntity(entity: AnyEntity): EntityModel {
  return new EntityModel(entity)
}

/** What processes without the entity's code know of it. */
export function entitySchema(entity: AnyEntity): EntitySchema {
  return {
    entity: entity.name,
    events: Object.entries(entity.events).map(([event, fields]) => ({ event, fields: fieldSchemas(fields) })),
    commands: Object.entries(entity.commands).map(([command, fields]) => ({ command, fields: fieldSchemas(fields) })),
  }
}

/**
 * Folds events given as data into the state (a new one by default) and returns it. Each is checked and copied first, as emitting does; throws
 * ERR_EVENT_INVALID naming event and field.
 */
export function fold(model: EntityModel, events: readonly EntityEvent[], state: unknown = model.initial()): unknown {
  for (const event of events) model.apply(state, model.eventIndex(event.event), eventData(model, event))
  return state
}

/** The event's data as it would be stored and read back. Throws ERR_EVENT_INVALID naming event and field. */
export function eventData(model: EntityModel, event: EntityEvent): Data {
  const index = model.eventIndex(event.event)
  const wrong = index < 0 ? `the type has only ${model.eventNames.join(', ')}` : model.eventCodec(index).check(event.data)
  if (wrong !== undefined) {
    throw new MillraceError('ERR_EVENT_INVALID', {
      fact: `not an event of this entity type, ${wrong}`,
      action: 'operator',
      values: { entity: model.name, event: event.event },
    })
  }
  return model.eventCodec(index).normalise(event.data)
}

function handler(of: object, name: string): unknown {
  return (of as Readonly<Record<string, unknown>>)[name]
}
