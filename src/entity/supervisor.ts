import type { Codec } from '#schema/index.js'
import type { Envelope } from './decider.js'
import type { ChildError, WholeSupervision } from './supervise.js'
import { backOffMs, DIRECTIVES, groupOf, recentRestarts, RESTARTS_REMEMBERED } from './supervise.js'
import type { ChildLink, Directive, SelfLink } from './kin.js'
import { KIN_COMMANDS, type KinCommand, type KinCommandData } from './kin-commands.js'
import { type KinType, KinWriter, PULSE_KEY, WATCHERS_MAX } from './kin-writer.js'
import type { MessageWriter, WriterHost } from './message-writer.js'
import type { OutboxRow } from './outbox.js'
import type { SignalKind } from './signal.js'

type Handler = (state: unknown, data: KinCommandData, context: { readonly source: string }) => undefined

export interface SupervisorOptions {
  /** Of the type, as the decider has it. */
  readonly entity: string
  readonly commandNames: readonly string[]
  readonly commandCodecs: readonly Codec[]
  readonly resolve: (type: { readonly name: string }) => KinType | undefined
  readonly supervision: WholeSupervision
  readonly host: WriterHost
  readonly messages: MessageWriter
  /** Of the decision at hand. */
  readonly rows: OutboxRow[]
}

/** The links that everybody has whom nobody has spawned. */
const NOBODYS: SelfLink = { parent: '', incarnation: 0, phase: 'running', suspends: false }

/**
 * Decides the commands by which parents, children and watchers deal with each other. Whatever is late is told by the incarnation it is about: orders and signals of one pair come in the
 * order in which they were sent, and no incarnation is given twice. What a person's own command makes of a signal is decided in a command of its own
 * behind it, so that supervision goes on when that one fails.
 */
export class Supervisor {
  readonly #kin: KinWriter
  readonly #supervision: WholeSupervision
  readonly #hasCommand: (command: string) => boolean
  /** By the index in KIN_COMMANDS. */
  readonly handlers: readonly Handler[]

  constructor({ host, messages, ...type }: SupervisorOptions) {
    const { supervision, entity, commandNames, commandCodecs } = type
    this.#kin = new KinWriter({
      own: { name: entity, commandNames, commandCodec: (index) => commandCodecs[index] as Codec },
      resolve: type.resolve,
      rows: type.rows,
      onError: supervision.onError,
      host: {
        ...host,
        send: (...told) => messages.send(...told),
        cancel: (key) => void messages.cancelTimer(key),
      },
    })
    this.#supervision = supervision
    this.#hasCommand = (command) => commandNames.includes(command)
    const byName: { readonly [K in KinCommand]: (from: string, data: KinCommandData, state: unknown) => void } = {
      '#start': (from, data) => this.#start(from, data),
      '#stop': (from, { incarnation, code, message }) => {
        if (this.#isOrdered(from, incarnation) && this.#self.phase !== 'stopped') this.#kin.stopSelf(code ?? 'STOPPED', message)
      },
      '#resume': (from, { incarnation }) => {
        if (this.#isOrdered(from, incarnation)) this.#resume()
      },
      '#suspend': (from, { incarnation }) => {
        if (this.#isOrdered(from, incarnation) && this.#self.phase === 'running')
          this.#kin.setSelf('suspended', { ...this.#self, phase: 'suspended' })
      },
      '#release': (from, { incarnation }) => {
        if (this.#isOrdered(from, incarnation)) this.#release()
      },
      '#signal': (from, data, state) => this.#signal(from, data, state),
      '#watch': (from) => this.#watch(from),
      '#unwatch': (from) => {
        if (this.#kin.kin.watchers.has(from)) this.#kin.dropWatcher(from)
      },
      '#due': (_from, { incarnation }) => this.#due(incarnation),
      '#pulse': () => {
        const { parent, incarnation, phase } = this.#self
        if (parent !== '' && phase === 'running') this.#kin.tell(parent, '#signal', { what: 'pulsed', incarnation })
      },
      '#lost': (_from, { code }) => {
        const { incarnation } = this.#self
        for (const watcher of this.#kin.kin.watchers) this.#kin.tell(watcher, '#signal', { what: 'lost', incarnation, code })
      },
    }
    this.handlers = KIN_COMMANDS.map(
      (name): Handler =>
        (state, data, { source }) => {
          byName[name](source.slice(source.indexOf(':') + 1), data, state)
          return undefined
        },
    )
  }

  /** What handlers find in their context. */
  get context(): object {
    return this.#kin.context
  }

  /** The next command. */
  begin(envelope: Envelope): void {
    this.#kin.begin(envelope)
  }

  /** A command of this entity has failed. */
  errored(code: string, message: string): void {
    const { self, watchers } = this.#kin.kin
    if (self === undefined && watchers.size === 0) return
    if (self !== undefined) {
      const suspends = self.parent !== '' && self.suspends
      this.#kin.setSelf('errored', { ...self, phase: suspends ? 'suspended' : self.phase }, { code, message })
    }
    this.#kin.signal('errored', { code, message })
  }

  get #self(): SelfLink {
    return this.#kin.kin.self ?? NOBODYS
  }

  #isOrdered(from: string, incarnation: number): boolean {
    return this.#self.parent === from && this.#self.incarnation === incarnation
  }

  #start(from: string, { incarnation, data }: KinCommandData): void {
    const kin = this.#kin
    const { self } = kin.kin
    if (self !== undefined && self.parent !== '' && self.parent !== from && self.phase !== 'stopped') {
      kin.tell(from, '#signal', { what: 'exited', incarnation, code: 'HAS_PARENT', message: `it is a child of ${self.parent}` })
      return
    }
    const { suspends, isFresh, pulseMs } = data as { readonly suspends: boolean; readonly isFresh: boolean; readonly pulseMs?: number }
    const fresh = isFresh || self?.phase === 'stopped'
    if (fresh) kin.leaveChildren('RESTARTED')
    kin.setSelf(fresh ? 'restarted' : 'started', { parent: from, incarnation, phase: 'running', suspends }, fresh ? { fresh } : {})
    kin.cancel(PULSE_KEY)
    if (pulseMs !== undefined) kin.timer(pulseMs, '#pulse', { incarnation }, { every: pulseMs, key: PULSE_KEY })
    kin.signal('started')
  }

  /** With those of its children whose error was the reason. */
  #resume(): void {
    if (this.#self.phase !== 'suspended') return
    this.#kin.setSelf('resumed', { ...this.#self, phase: 'running' })
    for (const [entity, child] of this.#kin.kin.children) if (child.phase === 'failed') this.#resumeChild(entity, child)
  }

  #resumeChild(entity: string, child: ChildLink): void {
    this.#kin.setChild('resumed', entity, { ...child, phase: 'running' })
    this.#kin.tell(entity, '#resume', { incarnation: child.incarnation })
  }

  #release(): void {
    this.#kin.setSelf('released', { ...this.#self, parent: '', phase: this.#self.phase === 'stopped' ? 'stopped' : 'running' })
    this.#kin.cancel(PULSE_KEY)
  }

  /** One that is stopped says so at once. */
  #watch(from: string): void {
    const kin = this.#kin
    if (kin.kin.watchers.size >= WATCHERS_MAX) {
      kin.tell(from, '#signal', { what: 'errored', incarnation: 0, code: 'TOO_MANY_WATCHERS' })
      return
    }
    if (!kin.kin.watchers.has(from)) kin.addWatcher(from)
    const { phase, incarnation } = this.#self
    if (phase === 'stopped') kin.tell(from, '#signal', { what: 'exited', incarnation, code: 'STOPPED' })
  }

  #signal(from: string, data: KinCommandData, state: unknown): void {
    const kin = this.#kin
    const child = kin.kin.children.get(from)
    const watched = kin.kin.watched.get(from)
    const isOfChild = child !== undefined && child.incarnation === data.incarnation
    const directive = isOfChild ? this.#ofChild(from, child, data, state) : undefined
    const ofChild = isOfChild ? (child.options.signal ?? this.#supervision.signal) : undefined
    this.#hear(ofChild, from, data, directive)
    if (watched?.signal !== ofChild) this.#hear(watched?.signal, from, data, undefined)
  }

  /** Has the person's own command take it, in its turn. */
  #hear(
    command: string | undefined,
    from: string,
    { what, incarnation, code, message }: KinCommandData,
    directive: string | undefined,
  ): void {
    if (command === undefined || !this.#hasCommand(command) || this.#self.phase === 'stopped') return
    this.#kin.tellUser(this.#kin.entity, command, { signal: what, from, incarnation, code, message, directive })
  }

  /** What is done about it, where something is. */
  #ofChild(from: string, child: ChildLink, data: KinCommandData, state: unknown): Directive | undefined {
    const { code = 'UNKNOWN', message = '' } = data
    switch (data.what as SignalKind) {
      case 'started':
        if (child.phase === 'starting') this.#kin.setChild('started', from, { ...child, phase: 'running' })
        return undefined
      case 'exited':
        this.#kin.dropChild('exited', from, child, code)
        return undefined
      case 'errored':
        // One that is restarted with others, or is on its way out, errs no more.
        if (child.phase !== 'starting' && child.phase !== 'running') return undefined
        return this.#ofError(from, child, { code, message }, state)
      default:
        return undefined
    }
  }

  #ofError(from: string, child: ChildLink, error: { readonly code: string; readonly message: string }, state: unknown): Directive {
    const kin = this.#kin
    const { children } = kin.kin
    const restarts = recentRestarts(this.#supervision, children, from, kin.now)
    const wanted = this.#wanted(child, { child: from, restarts, ...error }, state)
    const isTooOften = wanted === 'restart' && restarts >= this.#supervision.restarts
    const directive = isTooOften ? 'escalate' : wanted
    kin.setChild('errored', from, child, error)
    if (directive === 'resume') this.#resumeChild(from, child)
    else if (directive === 'stop') kin.stopChild(from, child, error.code, error.message)
    else if (directive === 'restart') this.#restart(from, child, restarts)
    else this.#escalate(from, child, isTooOften ? 'RESTARTS_EXHAUSTED' : 'ESCALATED', `${from}: ${error.code} ${error.message}`)
    return directive
  }

  #wanted({ options }: ChildLink, error: ChildError, state: unknown): Directive {
    const { onError } = this.#supervision
    if (options.onError !== undefined) return options.onError
    if (typeof onError !== 'function') return onError
    try {
      const directive = onError(state, error)
      return DIRECTIVES.includes(directive as string) ? (directive as Directive) : 'escalate'
    } catch {
      return 'escalate'
    }
  }

  #restart(from: string, child: ChildLink, before: number): void {
    const kin = this.#kin
    const { children } = kin.kin
    const restarts = [...child.restarts, kin.now].slice(-RESTARTS_REMEMBERED)
    kin.setChild('errored', from, { ...child, restarts })
    const group = groupOf(this.#supervision, children, from)
    const ms = backOffMs(this.#supervision, before + 1, `${kin.entity} ${from} ${child.incarnation} ${kin.now}`)
    if (ms === 0) {
      this.#restartAll(group)
      return
    }
    for (const entity of group) {
      const one = kin.kin.children.get(entity) as ChildLink
      if (entity !== from && one.phase !== 'waiting') kin.tell(entity, '#suspend', { incarnation: one.incarnation })
      kin.setChild('waiting', entity, { ...one, phase: 'waiting', waitsFor: child.incarnation })
    }
    kin.timer(ms, '#due', { incarnation: child.incarnation })
  }

  #restartAll(group: readonly string[]): void {
    for (const entity of group) {
      const { options, restarts } = this.#kin.kin.children.get(entity) as ChildLink
      this.#kin.startChild('restarting', entity, options, restarts, true)
    }
  }

  #due(incarnation: number): void {
    const { children } = this.#kin.kin
    const waiting = [...children].filter(([, { phase, waitsFor }]) => phase === 'waiting' && waitsFor === incarnation)
    this.#restartAll(waiting.map(([entity]) => entity))
  }

  /** The entity itself errs. One that nobody supervises stops its children and goes on, so that somebody can spawn them again. */
  #escalate(from: string, child: ChildLink, code: string, message: string): void {
    const kin = this.#kin
    const { self } = kin.kin
    if (self === undefined || self.parent === '') {
      kin.stopChildren(code)
      this.#hear(this.#supervision.signal, from, { what: 'escalated', incarnation: child.incarnation, code, message }, undefined)
      return
    }
    kin.setChild('failed', from, { ...child, phase: 'failed' })
    kin.setSelf('errored', { ...self, phase: 'suspended' }, { code, message })
    kin.signal('errored', { code, message })
  }
}
