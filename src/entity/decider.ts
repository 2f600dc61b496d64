import type { Codec, Data } from '#schema/index.js'
import type { EffectModel } from './effect.js'
import { MessageWriter, type TargetModel } from './message-writer.js'
import type { Outbox, OutboxRow } from './outbox.js'
import { whyNotPlain } from './plain-data.js'
import type { WholeSupervision } from './supervise.js'
import { Supervisor } from './supervisor.js'
import type { VolatileMessage } from './volatile-message.js'

/** Who commands whom, and when: all that a decision may know besides state and command. */
export interface Envelope {
  /** Microseconds since 1970. */
  readonly at: number
  readonly entity: string
  readonly source: string
  readonly correlation: string
  /** When the plant took it, microseconds since 1970: what timers count from; `at` where it is left out. */
  readonly accepted?: number
  /** What the entity has told so far; it has told nothing where it is left out. */
  readonly outbox?: Outbox | undefined
}

/** What a command came to. Reused: read it before the next one is decided. */
export interface Decision {
  /** `done`: events and reply count. `refused`: code and detail count. `failed`: the handler broke the rules or threw, `error` counts. */
  kind: 'done' | 'refused' | 'failed'
  /** How many of `eventIndexes` and `events` count; 0 unless done. */
  eventCount: number
  readonly eventIndexes: number[]
  /** Normalised data, each the decision's own copy. */
  readonly events: Data[]
  /** What was told, empty unless done. */
  readonly outbox: OutboxRow[]
  /** What was told that is not stored; the first `volatileCount` count, 0 unless done. Whoever takes one out owns it. */
  readonly volatile: VolatileMessage[]
  volatileCount: number
  /** Plain data, or undefined. */
  reply: unknown
  code: string
  /** Plain data, or undefined. */
  detail: unknown
  error: Error | undefined
}

/** Events that one command may emit: rows of an append are counted in 16 bits. */
export const EVENTS_PER_COMMAND_MAX = 65_535

const CODE_CHARACTERS_MAX = 200

type Decide = (state: unknown, data: object, context: unknown) => unknown

/**
 * Runs the `decide` handlers of one entity type. The context they get is one object, made once: its `emit` functions write into the
 * decision at hand and throw when there is none.
 */
export class Decider {
  readonly #name: string
  readonly #commandNames: readonly string[]
  readonly #handlers: readonly Decide[]
  readonly #context: { -readonly [Key in keyof Envelope]: Envelope[Key] } & { readonly emit: object; readonly refuse: unknown }
  readonly #messages: MessageWriter
  readonly #supervisor: Supervisor
  readonly #decision: Decision = {
    kind: 'done',
    eventCount: 0,
    eventIndexes: [],
    events: [],
    outbox: [],
    volatile: [],
    volatileCount: 0,
    reply: undefined,
    code: '',
    detail: undefined,
    error: undefined,
  }
  #envelope: Envelope | undefined
  /** Index of the command being decided, -1 between two. */
  #deciding = -1

  constructor(type: {
    readonly entity: string
    readonly eventNames: readonly string[]
    readonly commandNames: readonly string[]
    readonly eventCodecs: readonly Codec[]
    readonly commandCodecs: readonly Codec[]
    readonly handlers: readonly unknown[]
    readonly isVolatile: (commandIndex: number) => boolean
    readonly resolve: (type: { readonly name: string }) => TargetModel | undefined
    readonly supervision: WholeSupervision
    readonly effects: ReadonlyMap<string, EffectModel>
  }) {
    this.#name = type.entity
    this.#commandNames = type.commandNames
    const emit = type.eventNames.map((name, index) => [
      name,
      (data: unknown) => this.#emit(index, name, type.eventCodecs[index] as Codec, data),
    ])
    const host = {
      mustDecide: (what: string) => {
        if (this.#deciding < 0) throw new Error(`${this.#name}: ${what} was called after decide had returned`)
      },
      fail: (what: string): never => {
        const error = new TypeError(`${this.#where()}: ${what}`)
        this.#fail(error)
        throw error
      },
    }
    this.#messages = new MessageWriter({
      own: {
        name: type.entity,
        commandNames: type.commandNames,
        commandCodec: (index) => type.commandCodecs[index] as Codec,
        isVolatile: type.isVolatile,
      },
      resolve: type.resolve,
      effects: type.effects,
      host,
      decision: this.#decision,
    })
    this.#supervisor = new Supervisor({ ...type, host, messages: this.#messages, rows: this.#decision.outbox })
    this.#handlers = [...type.handlers, ...this.#supervisor.handlers] as readonly Decide[]
    // Asked for by few handlers, and made of two strings where entities tell each other what is volatile.
    const sourceOf = (): string => this.#envelope?.source ?? ''
    this.#context = {
      ...this.#messages.context,
      ...this.#supervisor.context,
      emit: Object.freeze(Object.fromEntries(emit)),
      refuse: (code: unknown, detail?: unknown) => this.#refuse(code, detail),
      at: 0,
      entity: '',
      get source() {
        return sourceOf()
      },
      correlation: '',
    }
  }

  decide(state: unknown, commandIndex: number, data: object, envelope: Envelope): Decision {
    const decision = this.#decision
    decision.kind = 'done'
    decision.eventCount = 0
    decision.reply = undefined
    decision.code = ''
    decision.detail = undefined
    decision.error = undefined
    if (decision.outbox.length > 0) decision.outbox.length = 0
    decision.volatileCount = 0
    this.#messages.begin(envelope)
    this.#supervisor.begin(envelope)
    this.#envelope = envelope
    const context = this.#context
    context.at = envelope.at
    context.entity = envelope.entity
    context.correlation = envelope.correlation
    this.#deciding = commandIndex
    try {
      this.#conclude((this.#handlers[commandIndex] as Decide)(state, data, context))
    } catch (thrown) {
      this.#fail(thrown instanceof Error ? thrown : new Error(`${this.#where(commandIndex)} threw ${String(thrown)}`))
    }
    this.#deciding = -1
    return decision
  }

  /** What is stored and told because a command of the entity has failed. Overwritten by the next decision. */
  errored(code: string, message: string, envelope: Envelope): readonly OutboxRow[] {
    const { outbox } = this.#decision
    outbox.length = 0
    this.#messages.begin(envelope)
    this.#supervisor.begin(envelope)
    this.#supervisor.errored(code, message)
    return outbox
  }

  #conclude(returned: unknown): void {
    const decision = this.#decision
    if (isThenable(returned)) {
      returned.then(undefined, () => undefined)
      this.#fail(new Error(`${this.#where()} returned a promise: decide is synchronous, ask the outside world before sending the command`))
      return
    }
    if (decision.kind !== 'done') {
      decision.eventCount = 0
      decision.outbox.length = 0
      decision.volatileCount = 0
      return
    }
    const wrong = returned === undefined ? undefined : whyNotPlain(returned, 'the reply')
    if (wrong !== undefined) this.#fail(new Error(`${this.#where()}: ${wrong}, not plain data`))
    else decision.reply = returned
  }

  #emit(eventIndex: number, event: string, codec: Codec, data: unknown): void {
    if (this.#deciding < 0) throw new Error(`${this.#name}: emit.${event} was called after decide had returned`)
    const decision = this.#decision
    const wrong =
      decision.eventCount === EVENTS_PER_COMMAND_MAX ? `more than ${EVENTS_PER_COMMAND_MAX} events of one command` : codec.check(data)
    if (wrong !== undefined) {
      const error = new TypeError(`${this.#where()} emitted ${event}: ${wrong}`)
      this.#fail(error)
      throw error
    }
    decision.eventIndexes[decision.eventCount] = eventIndex
    decision.events[decision.eventCount] = codec.normalise(data as object)
    decision.eventCount++
  }

  /** The first refusal counts, and nothing emitted before or after it. */
  #refuse(code: unknown, detail: unknown): unknown {
    if (this.#deciding < 0) throw new Error(`${this.#name}: refuse was called after decide had returned`)
    const decision = this.#decision
    const isCode = typeof code === 'string' && code !== '' && code.length <= CODE_CHARACTERS_MAX && code.isWellFormed()
    const wrong = isCode ? whyNotPlain(detail, 'its detail') : `its code is not text of 1 to ${CODE_CHARACTERS_MAX} characters`
    if (wrong !== undefined) {
      const error = new TypeError(`${this.#where()} refused wrongly: ${wrong}`)
      this.#fail(error)
      throw error
    }
    if (decision.kind === 'done') {
      decision.kind = 'refused'
      decision.code = code as string
      decision.detail = detail
    }
    return { refused: decision.code, detail: decision.detail }
  }

  /** The first failure counts, even when the handler catches what was thrown for it. */
  #fail(error: Error): void {
    const decision = this.#decision
    decision.error = decision.kind === 'failed' ? decision.error : error
    decision.kind = 'failed'
    decision.eventCount = 0
    decision.outbox.length = 0
    decision.volatileCount = 0
    decision.code = ''
    decision.detail = undefined
  }

  #where(commandIndex = this.#deciding): string {
    return `${this.#name}.decide.${this.#commandNames[commandIndex]}`
  }
}

/** Whether something returned by a handler is a promise, or would be taken for one. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
