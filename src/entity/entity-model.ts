import { MillraceError, messageOf } from '#base/errors.js'
import { sha256 } from '#base/hash.js'
import { type Codec, createCodec, type Data, type EntitySchema, entitySchemaToJson, fieldSchemas } from '#schema/index.js'
import { encodeCanonical } from './canonical.js'
import { Decider, type Decision, type Envelope, isThenable } from './decider.js'
import { compileEffect, type EffectModel } from './effect.js'
import { KIN_COMMAND_CODEC, KIN_COMMANDS, type KinCommand } from './kin-commands.js'
import type { OutboxRow } from './outbox.js'
import type { AnyEntity, EntityClass, EntityEvent } from './entity.js'
import { shapeOf } from './state-shape.js'
import { wholeSupervision } from './supervise.js'
import { UpcastChain } from './upcasts.js'

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
  /** How long an entity may be idle in memory, milliseconds: for ever where it is infinite; as the plant says where it is undefined. */
  readonly passivateAfterMs: number | undefined
  /** SHA-256 over all that decides, code aside, what rows fold into: events now and before, the first state, `stateVersion`. Snapshots made under another are folded anew. */
  readonly foldHash: Uint8Array
  /** SHA-256 over the names and kinds of what is in the first state, and `stateVersion`: what a base snapshot must share, its rows being gone. */
  readonly shapeHash: Uint8Array
  readonly upcastState: ((old: unknown) => unknown) | undefined
  readonly adoptState: ((state: unknown) => void) | undefined
  /** Those that it uses, by name. */
  readonly effects: ReadonlyMap<string, EffectModel>
  readonly #initial: () => unknown
  readonly #eventCodecs: readonly Codec[]
  readonly #commandCodecs: readonly Codec[]
  readonly #applies: readonly Apply[]
  readonly #upcasts: readonly UpcastChain[]
  readonly #isVolatile: readonly boolean[]
  readonly #decider: Decider
  /** The other types of its plant by name; undefined outside of one, where types are taken as they are. */
  peers: ((type: string) => EntityModel | undefined) | undefined

  constructor(entity: AnyEntity) {
    this.name = entity.name
    this.class = entity.class
    this.schema = entitySchema(entity)
    this.eventNames = Object.keys(entity.events)
    this.commandNames = Object.keys(entity.commands)
    this.snapshotEvery = entity.snapshotEvery
    const { passivate } = entity
    this.passivateAfterMs = passivate === 'never' ? Number.POSITIVE_INFINITY : passivate?.afterMs
    const { stateVersion = 1 } = entity
    const { commands: _, ...stored } = this.schema
    const told = entitySchemaToJson({ ...stored, commands: [] })
    const first = entity.initial()
    this.foldHash = new Uint8Array(sha256(encodeCanonical([told, first, stateVersion])))
    this.shapeHash = new Uint8Array(sha256(encodeCanonical([shapeOf(first), stateVersion])))
    this.upcastState = entity.upcastState
    this.adoptState = entity.adoptState as ((state: unknown) => void) | undefined
    this.#initial = entity.initial
    this.#eventCodecs = this.schema.events.map(({ fields }) => createCodec(fields))
    this.#commandCodecs = this.schema.commands.map(({ fields }) => createCodec(fields))
    this.#applies = this.eventNames.map((name) => handler(entity.apply, name) as Apply)
    this.#upcasts = this.schema.events.map((event) => new UpcastChain(entity.name, event, entity.upcast?.[event.event] ?? []))
    this.#isVolatile = this.commandNames.map((name) => entity.volatile?.includes(name) === true)
    this.effects = new Map((entity.effects ?? []).map((effect) => [effect.name, compileEffect(effect)]))
    this.#decider = new Decider({
      effects: this.effects,
      entity: entity.name,
      eventNames: this.eventNames,
      commandNames: this.commandNames,
      eventCodecs: this.#eventCodecs,
      commandCodecs: this.#commandCodecs,
      handlers: this.commandNames.map((name) => handler(entity.decide, name)),
      isVolatile: (commandIndex) => this.isVolatile(commandIndex),
      supervision: wholeSupervision(entity.supervise),
      resolve: (type) => (this.peers === undefined ? new EntityModel(type as AnyEntity) : this.peers(type.name)),
    })
  }

  /** A new state, before the first event. */
  initial(): unknown {
    return this.#initial()
  }

  eventCodec(eventIndex: number): Codec {
    return this.#eventCodecs[eventIndex] as Codec
  }

  /** From the event's former shapes to the present one. */
  upcasts(eventIndex: number): UpcastChain {
    return this.#upcasts[eventIndex] as UpcastChain
  }

  commandCodec(commandIndex: number): Codec {
    return this.#commandCodecs[commandIndex] ?? KIN_COMMAND_CODEC
  }

  /** Whether it is one that every type has (KIN_COMMANDS), behind those that are declared. */
  isKinCommand(commandIndex: number): boolean {
    return commandIndex >= this.commandNames.length
  }

  /** Whether the command leaves nothing behind unless it emits events or tells what is to be stored. */
  isVolatile(commandIndex: number): boolean {
    return this.#isVolatile[commandIndex] as boolean
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

  /** What is stored and told because a command of the entity has failed, where somebody wants to hear of it. Overwritten by the next decision. */
  errored(code: string, message: string, envelope: Envelope): readonly OutboxRow[] {
    return this.#decider.errored(code, message, envelope)
  }

  /** The index of an event, or -1. */
  eventIndex(event: string): number {
    return this.eventNames.indexOf(event)
  }

  /** The index of a command, or -1. */
  commandIndex(command: string): number {
    if (!command.startsWith('#')) return this.commandNames.indexOf(command)
    const index = KIN_COMMANDS.indexOf(command as KinCommand)
    return index < 0 ? -1 : this.commandNames.length + index
  }

  commandName(commandIndex: number): string {
    return this.commandNames[commandIndex] ?? (KIN_COMMANDS[commandIndex - this.commandNames.length] as string)
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
    events: Object.entries(entity.events).map(([event, fields]) => {
      const former = entity.upcast?.[event]?.map((one) => ({ event: one.event ?? event, fields: fieldSchemas(one.from) }))
      return { event, fields: fieldSchemas(fields), ...(former === undefined ? {} : { former }) }
    }),
    commands: Object.entries(entity.commands).map(([command, fields]) => ({ command, fields: fieldSchemas(fields) })),
    ...(entity.dropped === undefined || entity.dropped.length === 0 ? {} : { dropped: entity.dropped }),
  }
}

/**
 * Folds events given as data into the state (a new one by default) and returns it. Each is checked and copied first, as emitting does, and made a present
 * one where its shape is a former one; throws ERR_EVENT_INVALID naming event and field.
 */
export function fold(model: EntityModel, events: readonly EntityEvent[], state: unknown = model.initial()): unknown {
  for (const event of events) model.apply(state, ...presentEvent(model, event))
  return state
}

/**
 * An event as the model has it, made from one in a former shape where it is no present one: index and data. Throws what `eventData` and upcasters throw.
 */
export function presentEvent(model: EntityModel, { event, data }: EntityEvent): readonly [eventIndex: number, data: Data] {
  const present = model.eventIndex(event)
  if (present < 0 || model.eventCodec(present).check(data) !== undefined) {
    for (const eventIndex of model.eventNames.keys()) {
      const chain = model.upcasts(eventIndex)
      const step = chain.former.findIndex((former) => former.event === event && former.codec.check(data) === undefined)
      if (step >= 0) return [eventIndex, chain.run(step, (chain.former[step] as (typeof chain.former)[number]).codec.normalise(data))]
    }
  }
  return [present, eventData(model, { event, data })]
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
