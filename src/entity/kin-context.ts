import type { InputOf } from '#schema/index.js'
import type { FieldsByName, ToldType } from './entity.js'
import type { ChildPhase, Directive } from './kin.js'
import type { SignalCommand } from './supervise.js'

/** What a `decide` handler gets to have others live and die with. All of it is discarded by `refuse` or a throw. */
export interface KinContext<C extends FieldsByName> {
  /**
   * Makes another entity the child of this one, and has it started: `spawn(Press, 'press-1', { begin: Press.command.configure({ recipe: 7 }) })`. A child that errs is dealt
   * with as `supervise` says, and stops with its parent. One that was stopped begins anew, with the state of the beginning; one that was nobody's child before goes on
   * with the state that it has. For a child that is there already only the options are changed.
   */
  readonly spawn: <const T extends ToldType>(type: T, name: string, options?: SpawnOptions<T, C>) => undefined
  /** Stops a child: it takes no commands until it is spawned again. Whether it was a child that was not stopped yet. */
  readonly stop: (type: ToldType, name: string) => boolean
  /** Hears from now on what becomes of another entity, in any process: started, errored, exited, lost. */
  readonly watch: (type: ToldType, name: string, options: { readonly signal: SignalCommand<C> }) => undefined
  readonly unwatch: (type: ToldType, name: string) => undefined
  /** Stops this entity behind this command, with its children: it takes no commands until it is spawned again. `code`: why, as others hear it; EXITED unless told. */
  readonly exit: (code?: string) => undefined
  /** Its children, in the order in which they were spawned. */
  readonly children: () => readonly Child[]
}

export interface SpawnOptions<T extends ToldType, C extends FieldsByName> {
  /** In place of what `supervise` says. */
  readonly onError?: Directive
  /** The command of the parent that takes its signals, in place of what `supervise` says. */
  readonly signal?: SignalCommand<C>
  /** It goes on when its parent stops, as nobody's child. */
  readonly outlives?: boolean
  /** What it is told first, at its start and behind each restart; at most 512 bytes of data. */
  readonly begin?: BeginOf<T>
  /** It tells its parent `pulsed` every so many whole milliseconds, 100 at least. Each is stored at both ends. */
  readonly pulseMs?: number
}

/** Any command of a type as data, as `Press.command.sample({ … })` makes it. */
export type BeginOf<T extends ToldType> = {
  readonly [K in keyof T['commands'] & string]: { readonly command: K; readonly data: InputOf<T['commands'][K]> }
}[keyof T['commands'] & string]

/** A child as its parent sees it. */
export interface Child {
  /** `type/name`. */
  readonly entity: string
  /** `starting` until it has said that it runs; `waiting` for its back-off; `failed` until the supervisor's own supervisor has decided; `stopping` until it has exited. */
  readonly phase: ChildPhase
  /** Counts the starts of children that this entity has ordered. */
  readonly incarnation: number
}
