import { AssertionError } from 'node:assert'
import { inspect, isDeepStrictEqual } from 'node:util'
import { messageOf } from '#base/errors.js'
import { type Data, type InputOf, MESSAGE_EVENT } from '#schema/index.js'
import { encodeCanonical } from './canonical.js'
import type { Decision, Envelope } from './decider.js'
import type { AnyEntity, EntityEvent, EventOf, StateOf } from './entity.js'
import { compileEntity, type EntityModel, eventData, fold } from './entity-model.js'
import { frozenCopy, isChangeRefused } from './frozen-state.js'
import { type ToldKin, toldKin } from './told-kin.js'
import type { VolatileMessage } from './volatile-message.js'

/** The envelope of the command under test, where it matters. By default `at` is 2026-01-01 and the sender unnamed. */
export type GivenEnvelope = Partial<Omit<Envelope, 'outbox'>>

/** What a command told others, and itself for later, as data. */
export type ToldMessage =
  | ({ readonly command: string; readonly data: object } & (
      | { readonly tell: string }
      | { readonly ask: string; readonly timeoutMs: number; readonly answer: string }
      | { readonly after: number; readonly key?: string }
      | { readonly every: number; readonly key?: string }
    ))
  | { readonly effect: string; readonly data: object; readonly answer?: string }
  | ToldKin

/**
 * A test of one decision, in terms of data alone: `given(Press, [events]).when.sample({ … }).then([events])`. Needs no test runner: what does not
 * hold throws node's AssertionError, with what was expected and what came.
 */
export interface Given<T extends AnyEntity> {
  /** One function per command. The command is decided at once, on a frozen state. */
  readonly when: { readonly [K in keyof T['commands']]: (data: InputOf<T['commands'][K]>, envelope?: GivenEnvelope) => When<T> }
  /** Holds when the events before fold to this state. */
  thenState(state: StateOf<T>): void
}

export interface When<T extends AnyEntity> extends Then<T> {
  /** Holds when the command was done and emitted exactly these events, in this order. */
  then(events: readonly EventOf<T>[]): Then<T>
}

/** More to say about the same decision. Without a `then` of its own, so that a test may return it. */
export interface Then<T extends AnyEntity> {
  /** Holds when the command was refused with this code, and this detail if one is given. */
  thenRefused(code: string, detail?: unknown): Then<T>
  /** Holds when the command was done with this reply. */
  thenReply(reply: unknown): Then<T>
  /** Holds when the command told exactly this, in this order, and what is volatile behind what is stored: `[{ tell: 'conveyor/main', command: 'stop', data: { why: 'jam' } }]`. */
  thenTold(messages: readonly ToldMessage[]): Then<T>
  /** Holds when the state after the emitted events is this one. */
  thenState(state: StateOf<T>): Then<T>
  /** Holds when the handler broke the rules or threw, with a message that contains this text. */
  thenFailed(message: string | RegExp): Then<T>
}

/**
 * An event in a shape that it was stored in before, for `given` and `checkPurity`, which upcast it: `given(Press, [formerEvent('Measured', { temp: 212 })])`.
 * Of every type to the compiler; checked against the former shapes when it is used.
 */
export function formerEvent(event: string, data: object): never {
  const former: EntityEvent = { event, data }
  return former as never
}

const ENVELOPE: Envelope = { at: Date.UTC(2026, 0, 1) * 1000, entity: '', source: '', correlation: '' }

/** Folds the events, checking each against its schema. Throws ERR_EVENT_INVALID naming event and field. */
export function given<T extends AnyEntity>(entity: T, events: readonly EventOf<T>[] = []): Given<T> {
  const model = compileEntity(entity)
  const past = events as readonly EntityEvent[]
  const state = fold(model, past)
  const when = model.commandNames.map((command, index) => [
    command,
    (data: unknown, envelope?: GivenEnvelope) => new Outcome(model, past, decide(model, state, index, data, envelope)),
  ])
  return {
    when: Object.freeze(Object.fromEntries(when)),
    thenState: (expected) => expectSame('the state', expected, state),
  }
}

/** What came of a command, copied out of the model's decision. */
type Decided = Pick<Decision, 'kind' | 'reply' | 'code' | 'detail' | 'error'> & {
  readonly events: readonly EntityEvent[]
  readonly told: readonly ToldMessage[]
}

function decide(model: EntityModel, state: unknown, index: number, data: unknown, envelope: GivenEnvelope | undefined): Decided {
  const codec = model.commandCodec(index)
  const name = `${model.name}.${model.commandNames[index]}`
  const wrong = codec.check(data)
  if (wrong !== undefined) throw failure(`${name} does not fit its schema, ${wrong}`, undefined, data)
  const frozen = frozenCopy(state)
  const before = encodeCanonical(state)
  const whole = { ...ENVELOPE, entity: `${model.name}/test`, ...envelope }
  const decision = model.decide(frozen, index, codec.normalise(data as Data), whole)
  if (isChangeRefused(decision.error) || Buffer.compare(before, encodeCanonical(frozen)) !== 0) {
    const how = decision.error === undefined ? 'the bytes in it are others now' : messageOf(decision.error)
    throw failure(`${name}: decide changed the state (${how}); only apply may, so emit an event instead`, undefined, undefined)
  }
  const { kind, reply, code, detail, error } = decision
  const events = decision.events
    .slice(0, decision.eventCount)
    .map((one, at) => ({ event: model.eventNames[decision.eventIndexes[at] as number] as string, data: one }))
  const told = decision.outbox.flatMap((row): readonly ToldMessage[] => {
    const kin = toldKin(row)
    if (kin !== undefined) return kin
    return row.event === MESSAGE_EVENT ? [toldMessage(row.data, whole.accepted ?? whole.at)] : []
  })
  told.push(...decision.volatile.slice(0, decision.volatileCount).map((message) => toldVolatile(model, message)))
  return { kind, reply, code, detail, error, events, told }
}

class Outcome<T extends AnyEntity> implements When<T> {
  readonly #model: EntityModel
  readonly #past: readonly EntityEvent[]
  readonly #decided: Decided

  constructor(model: EntityModel, past: readonly EntityEvent[], decided: Decided) {
    this.#model = model
    this.#past = past
    this.#decided = decided
  }

  then(events: readonly EventOf<T>[]): Then<T> {
    if (typeof events === 'function') throw failure('this is no promise: do not await it, call then([events])', undefined, undefined)
    this.#expectKind('done', events)
    const expected = (events as readonly EntityEvent[]).map((event) => ({ event: event.event, data: eventData(this.#model, event) }))
    expectSame('the events', expected, this.#decided.events)
    return this.#rest()
  }

  thenRefused(code: string, ...detail: readonly unknown[]): Then<T> {
    this.#expectKind('refused', { refused: code })
    expectSame('the refusal', code, this.#decided.code)
    if (detail.length > 0) expectSame('the detail of the refusal', detail[0], this.#decided.detail)
    return this.#rest()
  }

  thenReply(reply: unknown): Then<T> {
    this.#expectKind('done', { reply })
    expectSame('the reply', reply, this.#decided.reply)
    return this.#rest()
  }

  thenTold(messages: readonly ToldMessage[]): Then<T> {
    this.#expectKind('done', messages)
    expectSame('the messages', messages, this.#decided.told)
    return this.#rest()
  }

  thenState(state: StateOf<T>): Then<T> {
    expectSame('the state', state, fold(this.#model, [...this.#past, ...this.#decided.events]))
    return this.#rest()
  }

  thenFailed(message: string | RegExp): Then<T> {
    this.#expectKind('failed', message)
    const said = messageOf(this.#decided.error)
    const holds = typeof message === 'string' ? said.includes(message) : message.test(said)
    if (!holds) throw failure('the failure is another one', message, said)
    return this.#rest()
  }

  #expectKind(kind: Decision['kind'], expected: unknown): void {
    const { kind: got, code, detail, error, events, told, reply } = this.#decided
    if (got === kind) return
    if (got === 'failed') throw failure(`the command failed: ${messageOf(error)}`, expected, error)
    if (got === 'refused') throw failure(`the command was refused with ${code}`, expected, { refused: code, detail })
    throw failure('the command was done', expected, told.length === 0 ? { events, reply } : { events, told, reply })
  }

  /** The same without `then`. */
  #rest(): Then<T> {
    return {
      thenRefused: (code, ...detail) => this.thenRefused(code, ...detail),
      thenReply: (reply) => this.thenReply(reply),
      thenTold: (messages) => this.thenTold(messages),
      thenState: (state) => this.thenState(state),
      thenFailed: (message) => this.thenFailed(message),
    }
  }
}

function toldMessage(row: Data, accepted: number): ToldMessage {
  const { kind, to, command, data, due, every, key, answerCommand } = row as unknown as {
    readonly [name in 'kind' | 'to' | 'command' | 'key' | 'answerCommand']: string
  } & { readonly data: object; readonly due: number; readonly every?: number }
  if (kind === 'tell') return { tell: to, command, data }
  if (kind === 'effect') return { effect: command, data, ...(answerCommand === undefined ? {} : { answer: answerCommand }) }
  const ms = (due - accepted) / 1000
  if (kind === 'ask') return { ask: to, command, data, timeoutMs: ms, answer: answerCommand }
  const named = key === undefined ? {} : { key }
  return every === undefined ? { after: ms, command, data, ...named } : { every, command, data, ...named }
}

function toldVolatile(model: EntityModel, { target, commandIndex, data, ask }: VolatileMessage): ToldMessage {
  const command = target.model.commandNames[commandIndex] as string
  if (ask === undefined) return { tell: target.id, command, data }
  return { ask: target.id, command, data, timeoutMs: ask.timeoutMs, answer: model.commandNames[ask.answerIndex] as string }
}

function expectSame(what: string, expected: unknown, got: unknown): void {
  if (!isDeepStrictEqual(got, expected)) throw failure(`${what} differ from what was expected`, expected, got)
}

function failure(what: string, expected: unknown, actual: unknown): AssertionError {
  const message = expected === undefined && actual === undefined ? what : `${what}\n\nexpected ${shown(expected)}\n\ngot ${shown(actual)}\n`
  return new AssertionError({ message, expected, actual })
}

function shown(value: unknown): string {
  return inspect(value, { depth: 8, breakLength: 100, sorted: true })
}
