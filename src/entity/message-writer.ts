import { ENTITY_ID_BYTES_MAX, type EntityId, entityId } from '#base/ids.js'
import { messageOf } from '#base/errors.js'
import { type Codec, LABEL_BYTES_MAX, MESSAGE_EVENT, SETTLED_EVENT } from '#schema/index.js'
import { takesAnswer } from './answer.js'
import type { Decision, Envelope } from './decider.js'
import { EFFECT_PREFIX, type EffectModel } from './effect.js'
import { MESSAGE_CODEC, type MessageKind, OUTBOX_MESSAGES_MAX, type OutboxRow, settledRow } from './outbox.js'
import { handleClass } from './told-handles.js'
import { type ToldTarget, ToldTargets, VOLATILE_PER_COMMAND_MAX, type VolatileAskTerms, VolatileMessage } from './volatile-message.js'

/** Names of which nothing more has to be looked at but their length. */
const PLAIN_NAME = /^[ -~]+$/
/** Messages that one command may tell, timers included. */
export const MESSAGES_PER_COMMAND_MAX = 1000
/** Longest time of a timer, milliseconds: a hundred years. */
const TIMER_MS_MAX = 100 * 366 * 86_400_000
/** Shortest time between two goes of a timer, milliseconds: timers are no more exact than that. */
const EVERY_MS_MIN = 10

/** A type that is told something. */
export interface TargetModel {
  readonly name: string
  readonly commandNames: readonly string[]
  commandCodec(commandIndex: number): Codec
  isVolatile(commandIndex: number): boolean
}

/** A type that has been told something. */
interface ToldType {
  readonly targets: ToldTargets
  readonly Tell: ReturnType<typeof handleClass>
  readonly Ask: ReturnType<typeof handleClass>
}

export interface RuntimeTimer {
  readonly ms?: number
  readonly every?: number
  readonly key?: string
}

/** The decider at whose handlers' disposal the writer is. */
export interface WriterHost {
  /** Throws when no command is being decided. */
  mustDecide(what: string): void
  /** Throws, and the command fails whether or not the handler catches it. */
  fail(what: string): never
}

/** Writes what `tell`, `ask`, `after`, `every`, `cancel` and `effect` come to as rows of the outbox. */
export class MessageWriter {
  readonly #own: TargetModel
  readonly #resolve: (type: { readonly name: string }) => TargetModel | undefined
  readonly #effects: ReadonlyMap<string, EffectModel>
  readonly #host: WriterHost
  readonly #rows: OutboxRow[]
  readonly #decision: Pick<Decision, 'volatile' | 'volatileCount'>
  readonly #told = new WeakMap<object, ToldType>()
  #lastType: object | undefined
  #lastTold: ToldType | undefined
  #envelope: Envelope | undefined
  #count = 0
  #volatileNumber = 0

  constructor(options: {
    readonly own: TargetModel
    /** The compiled twin of a type; undefined when the plant has none of its name. */
    readonly resolve: (type: { readonly name: string }) => TargetModel | undefined
    /** Those that the type lists, by name. */
    readonly effects: ReadonlyMap<string, EffectModel>
    readonly host: WriterHost
    /** The decision at hand. */
    readonly decision: Pick<Decision, 'outbox' | 'volatile' | 'volatileCount'>
  }) {
    this.#own = options.own
    this.#resolve = options.resolve
    this.#effects = options.effects
    this.#host = options.host
    this.#rows = options.decision.outbox
    this.#decision = options.decision
  }

  /** What handlers find in their context. */
  get context(): object {
    return {
      tell: (type: { readonly name: string }, name: string) => this.#handle('tell', type, name),
      ask: (type: { readonly name: string }, name: string) => this.#handle('ask', type, name),
      after: (ms: unknown, command: unknown, data: unknown, options?: unknown) => this.#timer('after', ms, command, data, options),
      every: (ms: unknown, command: unknown, data: unknown, options?: unknown) => this.#timer('every', ms, command, data, options),
      cancel: (key: unknown) => this.#cancel(key),
      effect: (effect: unknown, data: unknown, options?: unknown) => this.#effect(effect, data, options),
    }
  }

  /** The next command. */
  begin(envelope: Envelope): void {
    this.#envelope = envelope
    if (this.#count > 0) this.#count = 0
  }

  #handle(kind: 'tell' | 'ask', type: { readonly name: string }, name: unknown): object {
    this.#host.mustDecide(kind)
    const told = this.#toldOf(kind, type)
    const target = told.targets.of(typeof name === 'string' ? name : String(name))
    if (kind === 'tell') return (target.tellHandle ??= new told.Tell(target))
    return (target.askHandle ??= new told.Ask(target))
  }

  #toldOf(kind: string, type: { readonly name: string }): ToldType {
    if (type === this.#lastType) return this.#lastTold as ToldType
    const known = typeof type === 'object' && type !== null ? this.#told.get(type) : undefined
    const told = known ?? this.#newTold(kind, type)
    this.#told.set(type, told)
    this.#lastType = type
    this.#lastTold = told
    return told
  }

  #newTold(kind: string, type: { readonly name: string }): ToldType {
    const model = typeof type?.name === 'string' ? this.#resolve(type) : undefined
    if (model === undefined) this.#host.fail(`${kind}: the plant has no entity type ${type?.name}`)
    return {
      targets: new ToldTargets(model, (typeName, name) => this.#idOf(kind, typeName, name)),
      Tell: handleClass(model.commandNames, (target, index, data) => this.#tell(target, index, data)),
      Ask: handleClass(model.commandNames, (target, index, data, options) => this.#ask(target, index, data, options)),
    }
  }

  #tell(target: ToldTarget, index: number, data: unknown): undefined {
    const { model } = target
    this.#host.mustDecide('tell')
    const codec = model.commandCodec(index)
    const wrong = codec.check(data)
    if (wrong !== undefined) this.#host.fail(`tell ${model.commandNames[index]} to ${target.id}: ${wrong}`)
    const checked = codec.normalise(data as object)
    if (model.isVolatile(index)) this.#volatile(target, index, checked, undefined)
    else this.#message('tell', target.id, model.commandNames[index] as string, checked, {})
    return undefined
  }

  #ask(target: ToldTarget, commandIndex: number, given: unknown, options: unknown): number {
    const { timeoutMs, answer } = (options ?? {}) as { readonly timeoutMs?: unknown; readonly answer?: unknown }
    const { own, entity } = { own: this.#own, entity: this.#envelope?.entity }
    const command = target.model.commandNames[commandIndex] as string
    const { id: to } = target
    const what = `ask ${command} to ${to}`
    this.#host.mustDecide(what)
    const data = this.#checked(what, target.model.commandCodec(commandIndex), given)
    if (to === entity)
      this.#host.fail(`${what}: an entity cannot ask itself, since the answer could change nothing that it does not know; tell it`)
    this.#checkMs(`${what}: timeoutMs`, timeoutMs, 1)
    const answerIndex = own.commandNames.indexOf(answer as string)
    if (answerIndex < 0) this.#host.fail(`${what}: answer names the command that takes it, and ${own.name} has no ${String(answer)}`)
    if (!takesAnswer(own.commandCodec(answerIndex).fields))
      this.#host.fail(`${what}: ${String(answer)} does not take answers; declare it as ${String(answer)}: answer()`)
    if (target.model.isVolatile(commandIndex) && own.isVolatile(answerIndex)) {
      const number = --this.#volatileNumber
      this.#volatile(target, commandIndex, data, { number, timeoutMs: timeoutMs as number, answerIndex })
      return number
    }
    return this.#message('ask', to, command, data, { due: this.#dueIn(timeoutMs as number), answerCommand: answer })
  }

  #volatile(target: ToldTarget, commandIndex: number, data: object, ask: VolatileAskTerms | undefined): void {
    const decision = this.#decision
    if (decision.volatileCount === VOLATILE_PER_COMMAND_MAX)
      this.#host.fail(`told more than ${VOLATILE_PER_COMMAND_MAX} volatile commands in one command`)
    decision.volatile[decision.volatileCount++] = new VolatileMessage(target, commandIndex, data, ask)
  }

  #effect(effect: unknown, data: unknown, options: unknown): number {
    const { name = effect } = (effect ?? {}) as { readonly name?: unknown }
    const what = `effect ${String(name)}`
    this.#host.mustDecide(what)
    const model = this.#effects.get(name as string)
    if (model === undefined || model.effect !== effect) this.#host.fail(`${what}: ${this.#own.name} does not list it in its effects`)
    const { answer } = (options ?? {}) as { readonly answer?: unknown }
    const index = this.#own.commandNames.indexOf(answer as string)
    if (answer !== undefined && (index < 0 || !takesAnswer(this.#own.commandCodec(index).fields)))
      this.#host.fail(`${what}: answer names the command that takes it, one declared with answer()`)
    const checked = this.#checked(what, model.codec, data ?? {})
    return this.#message('effect', `${EFFECT_PREFIX}${model.effect.name}`, model.effect.name, checked, { answerCommand: answer })
  }

  /** What the runtime tells by itself, checked already. `ms`: of a timer. */
  send(kind: 'tell' | 'timer', to: string, command: string, data: object, more: RuntimeTimer): void {
    const { ms, every, key } = more
    this.#message(kind, to, command, data, ms === undefined ? {} : { due: this.#dueIn(ms), every, key })
  }

  /** Whether there was such a timer. */
  cancelTimer(key: string): boolean {
    return this.#cancelKey(key)
  }

  #timer(kind: 'after' | 'every', ms: unknown, command: unknown, data: unknown, options: unknown): undefined {
    const what = `${kind} ${String(command)}`
    this.#host.mustDecide(what)
    const index = this.#own.commandNames.indexOf(String(command))
    if (index < 0) this.#host.fail(`${what}: ${this.#own.name} has only ${this.#own.commandNames.join(', ')}`)
    this.#checkMs(`${what}: its time`, ms, kind === 'every' ? EVERY_MS_MIN : 0)
    if (kind === 'every' && !Number.isInteger(ms)) this.#host.fail(`${what}: its time is not whole milliseconds`)
    const key = ((options ?? {}) as { readonly key?: unknown }).key
    if (key !== undefined) {
      this.#checkKey(what, key)
      this.#cancelKey(key as string)
    }
    const checked = this.#checked(what, this.#own.commandCodec(index), data ?? {})
    this.#message('timer', this.#envelope?.entity ?? '', command as string, checked, {
      due: this.#dueIn(ms as number),
      every: kind === 'every' ? ms : undefined,
      key,
    })
    return undefined
  }

  /** Whether there was such a timer. */
  #cancel(key: unknown): boolean {
    this.#host.mustDecide('cancel')
    this.#checkKey('cancel', key)
    return this.#cancelKey(key as string)
  }

  #cancelKey(key: string): boolean {
    const number = this.#timerOf(key)
    if (number === undefined) return false
    this.#rows.push(settledRow({ number, outcome: 'cancelled' }))
    return true
  }

  /** As the outbox will be after what this command has done so far. */
  #timerOf(key: string): number | undefined {
    const told = this.#rows.findLast(({ event, data }) => event === MESSAGE_EVENT && data['key'] === key)
    const number = (told?.data['number'] as number | undefined) ?? this.#envelope?.outbox?.timerOf(key)
    const isCancelled = this.#rows.some(({ event, data }) => event === SETTLED_EVENT && data['number'] === number)
    return isCancelled ? undefined : number
  }

  #message(kind: MessageKind, to: string, command: string, data: object, more: Readonly<Record<string, unknown>>): number {
    const outbox = this.#envelope?.outbox
    if (this.#count === MESSAGES_PER_COMMAND_MAX) this.#host.fail(`told more than ${MESSAGES_PER_COMMAND_MAX} messages in one command`)
    if ((outbox?.count ?? 0) + this.#count >= OUTBOX_MESSAGES_MAX)
      this.#host.fail(`more than ${OUTBOX_MESSAGES_MAX} messages and timers of one entity would wait`)
    const number = (outbox?.next ?? 1) + this.#count++
    this.#rows.push({ event: MESSAGE_EVENT, data: MESSAGE_CODEC.normalise({ number, kind, to, command, data, ...more }) })
    return number
  }

  #dueIn(ms: number): number {
    const { at, accepted = at } = this.#envelope as Envelope
    return accepted + Math.round(ms * 1000)
  }

  #idOf(kind: string, type: string, name: string): EntityId {
    if (PLAIN_NAME.test(name) && type.length + name.length < ENTITY_ID_BYTES_MAX) return `${type}/${name}`
    try {
      return entityId(type, name)
    } catch (error) {
      return this.#host.fail(`${kind}: ${messageOf(error)}`)
    }
  }

  #checked(what: string, codec: Codec, data: unknown): object {
    const wrong = codec.check(data)
    if (wrong !== undefined) this.#host.fail(`${what}: ${wrong}`)
    return codec.normalise(data as object)
  }

  #checkMs(what: string, ms: unknown, min: number): void {
    if (typeof ms === 'number' && ms >= min && ms <= TIMER_MS_MAX) return
    this.#host.fail(`${what} is not a number of milliseconds from ${min} to ${TIMER_MS_MAX}`)
  }

  #checkKey(what: string, key: unknown): void {
    const isKey = typeof key === 'string' && key !== '' && key.isWellFormed() && Buffer.byteLength(key) <= LABEL_BYTES_MAX
    if (!isKey) this.#host.fail(`${what}: its key is not text of 1 to ${LABEL_BYTES_MAX} bytes`)
  }
}
