import { entityId } from '#base/ids.js'
import { messageOf } from '#base/errors.js'
import { type Codec, LIFECYCLE_EVENT } from '#schema/index.js'
import type { Envelope } from './decider.js'
import type { Child } from './kin-context.js'
import { type ChildLink, type ChildOptions, type Directive, Kin, LIFECYCLE_CODEC, type LifecycleData, type SelfLink } from './kin.js'
import type { KinCommand, KinCommandData } from './kin-commands.js'
import type { RuntimeTimer } from './message-writer.js'
import type { OutboxRow } from './outbox.js'
import { type SignalKind, takesSignal } from './signal.js'
import { DIRECTIVES } from './supervise.js'

/** Of one entity: each has a link in its snapshots, and may have a row and two messages in one append. */
export const CHILDREN_MAX = 128
export const WATCHERS_MAX = 128
/** What a child is told behind each start, as JSON. */
const BEGIN_BYTES_MAX = 512
const PULSE_MS_MIN = 100
const CODE_CHARACTERS_MAX = 200
/** Of what went wrong, as it stands in rows and signals. */
const MESSAGE_CHARACTERS_MAX = 500

/** A type that is spawned, stopped or watched. */
export interface KinType {
  readonly name: string
  readonly commandNames: readonly string[]
  commandCodec(commandIndex: number): Codec
}

/** The decider and the writer of messages that work at the same decision. */
export interface KinHost {
  mustDecide(what: string): void
  fail(what: string): never
  /** Adds a message to the decision, and is answered its number. */
  send(kind: 'tell' | 'timer', to: string, command: string, data: object, more: RuntimeTimer): void
  cancel(key: string): void
}

const NO_KIN = new Kin()

/**
 * Writes what `spawn`, `stop`, `watch`, `unwatch` and `exit` come to, and what supervisors decide, as rows of the outbox: a row for each link that becomes another one, and the
 * messages that tell the other end. All that one command does is seen by the next call of the same command.
 */
export class KinWriter {
  readonly #own: KinType
  readonly #resolve: (type: { readonly name: string }) => KinType | undefined
  readonly #host: KinHost
  readonly #rows: OutboxRow[]
  readonly #onError: unknown
  #envelope: Envelope | undefined
  /** As it will be after what this command has done so far; undefined while it has done nothing. */
  #draft: Kin | undefined

  constructor(options: {
    readonly own: KinType
    readonly resolve: (type: { readonly name: string }) => KinType | undefined
    readonly host: KinHost
    readonly rows: OutboxRow[]
    /** What is done about errors of children of which nothing else was said. */
    readonly onError: unknown
  }) {
    this.#own = options.own
    this.#resolve = options.resolve
    this.#host = options.host
    this.#rows = options.rows
    this.#onError = options.onError
  }

  /** What handlers find in their context. */
  get context(): object {
    return {
      spawn: (type: { readonly name: string }, name: unknown, options?: unknown) => this.#spawn(type, name, options),
      stop: (type: { readonly name: string }, name: unknown) => this.#stop(type, name),
      watch: (type: { readonly name: string }, name: unknown, options: unknown) => this.#watch(type, name, options),
      unwatch: (type: { readonly name: string }, name: unknown) => this.#unwatch(type, name),
      exit: (code?: unknown) => this.#exit(code),
      children: () => this.#shownChildren(),
    }
  }

  /** The next command. */
  begin(envelope: Envelope): void {
    this.#envelope = envelope
    this.#draft = undefined
  }

  get kin(): Kin {
    return this.#draft ?? this.#envelope?.outbox?.kin ?? NO_KIN
  }

  get entity(): string {
    return this.#envelope?.entity ?? ''
  }

  /** Microseconds since 1970, when the plant took the command. */
  get now(): number {
    const { at, accepted = at } = this.#envelope as Envelope
    return accepted
  }

  setChild(
    what: string,
    entity: string,
    link: ChildLink,
    more: { readonly code?: string | undefined; readonly message?: string | undefined } = {},
  ): void {
    this.#write({ of: 'child', what, entity, incarnation: link.incarnation, link, ...more })
  }

  dropChild(what: string, entity: string, { incarnation }: ChildLink, code?: string): void {
    this.#write({ of: 'child', what, entity, incarnation, code })
  }

  setSelf(
    what: string,
    link: SelfLink,
    more: { readonly code?: string | undefined; readonly message?: string | undefined; readonly fresh?: boolean } = {},
  ): void {
    this.#write({ of: 'self', what, entity: link.parent, incarnation: link.incarnation, link, ...more })
  }

  addWatcher(entity: string): void {
    this.#write({ of: 'watcher', what: 'watched', entity, incarnation: 0, link: {} })
  }

  dropWatcher(entity: string): void {
    this.#write({ of: 'watcher', what: 'unwatched', entity, incarnation: 0 })
  }

  tell(to: string, command: KinCommand, data: KinCommandData): void {
    this.#host.send('tell', to, command, data, {})
  }

  tellUser(to: string, command: string, data: object): void {
    this.#host.send('tell', to, command, data, {})
  }

  timer(ms: number, command: KinCommand, data: KinCommandData, more: { readonly every?: number; readonly key?: string } = {}): void {
    this.#host.send('timer', this.entity, command, data, { ms, ...more })
  }

  cancel(key: string): void {
    this.#host.cancel(key)
  }

  /** Tells the parent and all who watch. */
  signal(
    what: SignalKind,
    {
      code,
      message,
      parent = this.kin.self?.parent ?? '',
    }: { code?: string | undefined; message?: string | undefined; parent?: string } = {},
  ): void {
    const incarnation = this.kin.self?.incarnation ?? 0
    const data = { what, incarnation, code, message }
    if (parent !== '') this.tell(parent, '#signal', data)
    for (const watcher of this.kin.watchers) if (watcher !== parent) this.tell(watcher, '#signal', data)
  }

  /** It takes no commands from now on, and neither do those that it has spawned. */
  stopSelf(code: string, message?: string): void {
    const { self } = this.kin
    this.setSelf('stopped', { parent: '', incarnation: 0, suspends: false, ...self, phase: 'stopped' }, { code, message })
    this.cancel(PULSE_KEY)
    this.stopChildren(code)
    this.signal('exited', { code, message })
  }

  /** All but those that outlive it. */
  stopChildren(code: string): void {
    for (const [entity, child] of this.kin.children) {
      if (child.options.outlives === true) this.#release(entity, child)
      else if (child.phase !== 'stopping') this.stopChild(entity, child, code)
    }
  }

  /** The same, and nothing is heard of them any more: it begins anew, and knows nothing of them. */
  leaveChildren(code: string): void {
    for (const [entity, child] of this.kin.children) {
      if (child.options.outlives === true) this.#release(entity, child)
      else {
        this.dropChild('left', entity, child, code)
        this.tell(entity, '#stop', { incarnation: child.incarnation, code })
      }
    }
  }

  #release(entity: string, child: ChildLink): void {
    this.tell(entity, '#release', { incarnation: child.incarnation })
    this.dropChild('released', entity, child)
  }

  stopChild(entity: string, child: ChildLink, code: string, message?: string): void {
    this.setChild('stopping', entity, { ...child, phase: 'stopping' }, { code })
    this.tell(entity, '#stop', { incarnation: child.incarnation, code, message })
  }

  /** A new incarnation of a child, whose state is that of the beginning unless it takes commands for the first time. */
  startChild(what: string, entity: string, options: ChildOptions, restarts: readonly number[], isFresh: boolean): void {
    const incarnation = this.kin.given + 1
    this.setChild(what, entity, { incarnation, phase: 'starting', options, restarts })
    const { onError = this.#onError, begin, pulseMs } = options
    this.tell(entity, '#start', { incarnation, data: { suspends: onError !== 'resume', isFresh, pulseMs } })
    if (begin !== undefined) this.tellUser(entity, begin.command, begin.data)
  }

  #spawn(type: { readonly name: string }, name: unknown, given: unknown): undefined {
    const { model, entity } = this.#target('spawn', type, name)
    const options = this.#childOptions(`spawn ${entity}`, model, given)
    const { children } = this.kin
    const child = children.get(entity)
    if (child !== undefined && child.phase !== 'stopping') {
      this.setChild('changed', entity, { ...child, options })
      return undefined
    }
    if (child === undefined && children.size >= CHILDREN_MAX)
      this.#host.fail(`spawn ${entity}: an entity has ${CHILDREN_MAX} children at most; have some of them spawn the others`)
    this.startChild('spawned', entity, options, [], false)
    return undefined
  }

  /** Whether it was a child that ran. */
  #stop(type: { readonly name: string }, name: unknown): boolean {
    const { entity } = this.#target('stop', type, name)
    const child = this.kin.children.get(entity)
    if (child === undefined || child.phase === 'stopping') return false
    this.stopChild(entity, child, 'STOPPED')
    return true
  }

  #watch(type: { readonly name: string }, name: unknown, given: unknown): undefined {
    const { entity } = this.#target('watch', type, name)
    const { signal } = (given ?? {}) as { readonly signal?: unknown }
    const command = this.#signalCommand(`watch ${entity}`, signal)
    const { watched } = this.kin
    if (!watched.has(entity)) this.tell(entity, '#watch', { incarnation: 0 })
    if (watched.get(entity)?.signal === command) return undefined
    if (!watched.has(entity) && watched.size >= WATCHERS_MAX)
      this.#host.fail(`watch ${entity}: an entity watches ${WATCHERS_MAX} others at most`)
    this.#write({ of: 'watched', what: 'watches', entity, incarnation: 0, link: { signal: command } })
    return undefined
  }

  #unwatch(type: { readonly name: string }, name: unknown): undefined {
    const { entity } = this.#target('unwatch', type, name)
    if (!this.kin.watched.has(entity)) return undefined
    this.#write({ of: 'watched', what: 'unwatched', entity, incarnation: 0 })
    this.tell(entity, '#unwatch', { incarnation: 0 })
    return undefined
  }

  #exit(code: unknown = 'EXITED'): undefined {
    this.#host.mustDecide('exit')
    if (typeof code !== 'string' || code === '' || code.length > CODE_CHARACTERS_MAX || !code.isWellFormed())
      this.#host.fail(`exit: its code is not text of 1 to ${CODE_CHARACTERS_MAX} characters`)
    if (this.kin.self?.phase !== 'stopped') this.stopSelf(code)
    return undefined
  }

  #shownChildren(): readonly Child[] {
    this.#host.mustDecide('children')
    return [...this.kin.children].map(([entity, { phase, incarnation }]) => ({ entity, phase, incarnation }))
  }

  #target(what: string, type: { readonly name: string }, name: unknown): { readonly model: KinType; readonly entity: string } {
    this.#host.mustDecide(what)
    const model = typeof type?.name === 'string' ? this.#resolve(type) : undefined
    if (model === undefined) this.#host.fail(`${what}: the plant has no entity type ${type?.name}`)
    try {
      const entity = entityId(model.name, String(name))
      if (entity !== this.entity) return { model, entity }
    } catch (error) {
      return this.#host.fail(`${what}: ${messageOf(error)}`)
    }
    return this.#host.fail(`${what}: an entity is neither its own child nor watches itself; exit stops it`)
  }

  #childOptions(what: string, model: KinType, given: unknown): ChildOptions {
    const { onError, signal, outlives, begin, pulseMs, ...others } = (given ?? {}) as Readonly<Record<string, unknown>>
    const extra = Object.keys(others)[0]
    if (extra !== undefined) this.#host.fail(`${what}: there is no option ${extra}, only onError, signal, outlives, begin, pulseMs`)
    if (onError !== undefined && !DIRECTIVES.includes(onError as string))
      this.#host.fail(`${what}: onError is one of ${DIRECTIVES.join(', ')}`)
    if (pulseMs !== undefined && !(Number.isInteger(pulseMs) && (pulseMs as number) >= PULSE_MS_MIN))
      this.#host.fail(`${what}: pulseMs is not whole milliseconds, ${PULSE_MS_MIN} at least`)
    return {
      ...(onError === undefined ? {} : { onError: onError as Directive }),
      ...(signal === undefined ? {} : { signal: this.#signalCommand(what, signal) }),
      ...(outlives === true ? { outlives } : {}),
      ...(begin === undefined ? {} : { begin: this.#begin(what, model, begin) }),
      ...(pulseMs === undefined ? {} : { pulseMs: pulseMs as number }),
    }
  }

  #begin(what: string, model: KinType, given: unknown): NonNullable<ChildOptions['begin']> {
    const { command, data } = given as { readonly command?: unknown; readonly data?: unknown }
    const index = model.commandNames.indexOf(command as string)
    if (index < 0) this.#host.fail(`${what}: begin is a command of ${model.name}, such as ${model.name}.command.name({ … })`)
    const codec = model.commandCodec(index)
    const wrong = codec.check(data)
    if (wrong !== undefined) this.#host.fail(`${what}: begin: ${wrong}`)
    const checked = codec.normalise(data as object)
    if (codec.encodedBytes(checked) > BEGIN_BYTES_MAX) this.#host.fail(`${what}: the data of begin are more than ${BEGIN_BYTES_MAX} bytes`)
    return { command: command as string, data: checked }
  }

  #signalCommand(what: string, signal: unknown): string {
    const index = this.#own.commandNames.indexOf(signal as string)
    if (index < 0 || !takesSignal(this.#own.commandCodec(index).fields))
      this.#host.fail(`${what}: signal names the command of ${this.#own.name} that takes signals, one declared with signal()`)
    return signal as string
  }

  #write(data: LifecycleData): void {
    this.#draft ??= new Kin(this.kin)
    const { message } = data
    const row = LIFECYCLE_CODEC.normalise({ ...data, message: message?.slice(0, MESSAGE_CHARACTERS_MAX).toWellFormed() })
    this.#rows.push({ event: LIFECYCLE_EVENT, data: row })
    this.#draft.take(row as unknown as LifecycleData)
  }
}

export const PULSE_KEY = '#pulse'
