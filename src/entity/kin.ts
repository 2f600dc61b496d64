import { createCodec, type Data, fieldSchemas, LIFECYCLE_FIELDS } from '#schema/index.js'

/** How rows of LIFECYCLE_EVENT are written and read. */
export const LIFECYCLE_CODEC = createCodec(fieldSchemas(LIFECYCLE_FIELDS))

/** What a supervisor does about an error of a child. */
export type Directive = 'restart' | 'resume' | 'stop' | 'escalate'

/** `running`: takes commands. `suspended`: errored, and its supervisor has not said what becomes of it. `stopped`: takes none until it is started. */
export type SelfPhase = 'running' | 'suspended' | 'stopped'

/** `starting`: told to. `waiting`: to be started again after a time. `failed`: the supervisor itself waits for what becomes of both. `stopping`: told to. */
export type ChildPhase = 'starting' | 'running' | 'waiting' | 'failed' | 'stopping'

/** An entity's own place. Only what JSON can say, as all links. */
export interface SelfLink {
  /** Entity id; empty: nobody's child. */
  readonly parent: string
  readonly incarnation: number
  readonly phase: SelfPhase
  /** After an error it takes no commands until its supervisor has decided. */
  readonly suspends: boolean
}

export interface ChildOptions {
  readonly onError?: Directive
  /** The command of the parent that takes its signals. */
  readonly signal?: string
  readonly outlives?: boolean
  /** What it is told behind each start. */
  readonly begin?: { readonly command: string; readonly data: Readonly<Record<string, unknown>> }
  readonly pulseMs?: number
}

export interface ChildLink {
  readonly incarnation: number
  readonly phase: ChildPhase
  readonly options: ChildOptions
  /** When it was restarted for errors of its own, as far as that counts, microseconds since 1970. */
  readonly restarts: readonly number[]
  /** The incarnation that errored, with which it is to be started again. */
  readonly waitsFor?: number
}

export interface WatchedLink {
  /** The command that takes its signals. */
  readonly signal: string
}

/** A row of LIFECYCLE_EVENT, as LIFECYCLE_FIELDS says. */
export interface LifecycleData {
  readonly of: 'self' | 'child' | 'watcher' | 'watched'
  readonly what: string
  readonly entity: string
  readonly incarnation: number
  readonly code?: string | undefined
  readonly message?: string | undefined
  readonly fresh?: boolean | undefined
  readonly link?: object | undefined
}

/** As plain data. */
export type PlainKin = readonly [
  self: SelfLink | null,
  given: number,
  children: readonly (readonly [string, ChildLink])[],
  watchers: readonly string[],
  watched: readonly (readonly [string, WatchedLink])[],
]

/**
 * Who an entity belongs to, whom it has spawned, whom it watches and who watches it: folded from its own rows, in the same order, so that it is as durable as the state. Each row says
 * what the link is from then on; what an order or a signal makes of a link is decided once (supervisor.ts), never when rows are folded.
 */
export class Kin {
  self: SelfLink | undefined
  /** Highest incarnation that it has given to a child: none is given twice, so that what is late can be told. */
  given = 0
  /** By entity id, in the order in which they were spawned. */
  readonly children: Map<string, ChildLink>
  readonly watchers: Set<string>
  readonly watched: Map<string, WatchedLink>

  constructor(from?: Kin) {
    this.self = from?.self
    this.given = from?.given ?? 0
    this.children = new Map(from?.children)
    this.watchers = new Set(from?.watchers)
    this.watched = new Map(from?.watched)
  }

  /** Folds one row, whose link becomes its own. */
  take({ of, entity, incarnation, link }: LifecycleData): void {
    if (of === 'self') this.self = link as SelfLink | undefined
    else if (of === 'child') {
      if (incarnation > this.given) this.given = incarnation
      put(this.children, entity, link as ChildLink | undefined)
    } else if (of === 'watched') put(this.watched, entity, link as WatchedLink | undefined)
    else if (link === undefined) this.watchers.delete(entity)
    else this.watchers.add(entity)
  }

  toPlain(): PlainKin {
    return [this.self ?? null, this.given, [...this.children], [...this.watchers], [...this.watched]]
  }

  static fromPlain([self, given, children, watchers, watched]: PlainKin): Kin {
    const kin = new Kin()
    kin.self = self ?? undefined
    kin.given = given
    for (const [entity, link] of children) kin.children.set(entity, link)
    for (const entity of watchers) kin.watchers.add(entity)
    for (const [entity, link] of watched) kin.watched.set(entity, link)
    return kin
  }
}

/** Whether a row makes the state that of the beginning again. */
export function isFreshStart(data: Data): boolean {
  return data['fresh'] === true
}

function put<T>(links: Map<string, T>, entity: string, link: T | undefined): void {
  if (link === undefined) links.delete(entity)
  else links.set(entity, link)
}
