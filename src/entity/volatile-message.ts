import type { EntityId } from '#base/ids.js'
import type { TargetModel } from './message-writer.js'

/** Of one command, timers and stored messages aside: as many as those. */
export const VOLATILE_PER_COMMAND_MAX = 1000
/** Names of one type that a sender remembers; it forgets all of them when it has more. */
const TARGETS_MAX = 65_536

/** Whom an entity type tells things: remembered by name, so that a name is checked once, and what the worker found out about it is found out once. */
export class ToldTarget {
  readonly model: TargetModel
  readonly id: EntityId
  /** Where the entity is, as `placeOf` knows: of whatever hosts entities, of which one process may have several. It may be in another process. */
  place: unknown = undefined
  placeOf: unknown = undefined
  isElsewhere = false
  /** What handlers have it told and asked by, once they have. */
  tellHandle: object | undefined = undefined
  askHandle: object | undefined = undefined

  constructor(model: TargetModel, id: EntityId) {
    this.model = model
    this.id = id
  }
}

/** What a volatile ask is to come back as. */
export interface VolatileAskTerms {
  /** Below zero, so that it is no number of a stored message. */
  readonly number: number
  readonly timeoutMs: number
  readonly answerIndex: number
}

/** What commands that are told have of the one that told them. */
export interface VolatileCause {
  readonly at: number
  readonly correlation: string
}

const NO_CAUSE: VolatileCause = { at: 0, correlation: '' }

/** A command that an entity told another one and that is nowhere but in memory: it is done once or, when its process dies first, never. */
export class VolatileMessage {
  readonly target: ToldTarget
  readonly commandIndex: number
  /** Normalised, the receiver's own. */
  readonly data: object
  readonly ask: VolatileAskTerms | undefined
  /** Filled in by whoever hosts the sender: who that is, and of which command this came. */
  from: unknown = undefined
  cause: VolatileCause = NO_CAUSE
  /** The ask that waits for what comes of it, or that it answers, as the host keeps it. */
  pending: unknown = undefined

  constructor(target: ToldTarget, commandIndex: number, data: object, ask: VolatileAskTerms | undefined) {
    this.target = target
    this.commandIndex = commandIndex
    this.data = data
    this.ask = ask
  }
}

/** The targets of one type, by name. */
export class ToldTargets {
  readonly model: TargetModel
  readonly #byName = new Map<string, ToldTarget>()
  readonly #idOf: (type: string, name: string) => EntityId

  /** `idOf` throws for a name that cannot be one. */
  constructor(model: TargetModel, idOf: (type: string, name: string) => EntityId) {
    this.model = model
    this.#idOf = idOf
  }

  of(name: string): ToldTarget {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    const target = new ToldTarget(this.model, this.#idOf(this.model.name, name))
    if (this.#byName.size === TARGETS_MAX) this.#byName.clear()
    this.#byName.set(name, target)
    return target
  }
}
