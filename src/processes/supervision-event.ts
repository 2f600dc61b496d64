import type { Ending } from './child.js'
import type { CommandPlace, NamedCommand } from './command-at-hand.js'
import type { ReadyDetails } from './control-message.js'
import type { FailureKind } from './failure-kind.js'
import type { HandedOver } from './hand-over.js'
import type { ProcessState } from './process-table.js'
import type { ChildRole, Role } from './process-role.js'

/** Which sign of life was missing: not scheduled, event loop stuck, modules never loaded; or that its seat is another's by now. */
export type HangSign = 'pulse' | 'turn' | 'load' | 'term'

/** A command that an event loop is busy with, and for how long it has been seen to be. */
export interface BusyCommand extends NamedCommand {
  readonly ms: number
}

/** A turn of an event loop that took longer than they do. Plain JSON. */
export interface LongTurn {
  /** So far, or in all. */
  readonly ms: number
  /** Null: none, or it was not to be read any more. */
  readonly command: BusyCommand | null
  readonly isOver: boolean
}

/** Why a process ended. A hang is one that the supervisor ended itself. */
export type DeathCause = Ending | { readonly kind: 'hang'; readonly sign: HangSign; readonly ageMs: number }

/** A seat that was empty and is ready again. Plain JSON. */
export interface Replacement {
  readonly role: ChildRole
  readonly slot: number
  readonly pid: number
  readonly term: number
  readonly cause: DeathCause
  /** From the first sign of the death to ready, in milliseconds; the sum of the four phases of the supervisor. */
  readonly ms: number
  /**
   * `noticed` (the kill, or the last sign of life, to its being noticed; 0 where the moment of death is unknown), `reaped`, `started` (until a
   * process was given the seat), `ready`; beside them what the process itself reported, as parts of `ready`.
   */
  readonly phases: Readonly<Record<string, number>>
  /** Processes that were given the seat, 1 in the ordinary case. */
  readonly attempts: number
  readonly details: ReadyDetails
}

/** What happened, at `at` microseconds since 1970. Plain JSON; `slot` is null for a process without a seat. */
export type SupervisionEvent = { readonly at: number } & SupervisionFact

export type SupervisionFact =
  | { readonly kind: 'started'; readonly role: ChildRole; readonly pid: number }
  | {
      readonly kind: 'hung'
      readonly role: ChildRole
      readonly slot: number | null
      readonly pid: number
      readonly sign: HangSign
      readonly ageMs: number
      /** What its event loop is stuck in. */
      readonly command: BusyCommand | null
    }
  /** Once for each turn that is long, as soon as it is. */
  | {
      readonly kind: 'long-turn'
      readonly role: ChildRole
      readonly slot: number | null
      readonly pid: number
      readonly ms: number
      readonly command: BusyCommand | null
    }
  | {
      readonly kind: 'died'
      readonly role: ChildRole
      readonly slot: number | null
      readonly pid: number
      readonly term: number | null
      readonly cause: DeathCause
      /** Which command a worker was executing when it ended by its own doing; null: none, or it was killed. */
      readonly fatalCommand: CommandPlace | null
    }
  | {
      readonly kind: 'ready'
      readonly role: ChildRole
      readonly slot: number
      readonly pid: number
      readonly term: number
      readonly details: ReadyDetails
    }
  | { readonly kind: 'replaced'; readonly replacement: Replacement }
  /** Without anybody having failed: for other code. */
  | { readonly kind: 'handed-over'; readonly over: HandedOver }
  /** A seat is no more, since the plant is to have fewer. */
  | { readonly kind: 'removed'; readonly role: ChildRole; readonly slot: number }
  | {
      readonly kind: 'failing'
      readonly role: ChildRole
      readonly slot: number
      readonly failures: number
      readonly retryInMs: number
      readonly failure: FailureKind
      /** What the last process said before it ended, if it needs a person; else null. */
      readonly needs: string | null
    }
  | {
      readonly kind: 'reported'
      readonly role: ChildRole
      readonly slot: number | null
      readonly pid: number
      readonly name: string
      readonly data: unknown
    }
  | { readonly kind: 'paused'; readonly ms: number }
  | { readonly kind: 'trouble'; readonly code: string; readonly message: string }
  | { readonly kind: 'plant-ready'; readonly ms: number }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'stopped'; readonly ms: number; readonly killed: readonly string[] }

/** One line of `millrace status`. Plain JSON: null where there is nothing to tell. */
export interface ProcessStatus {
  readonly role: Role
  /** Null: a spare. */
  readonly slot: number | null
  /** Null: the seat is empty at the moment. */
  readonly pid: number | null
  readonly term: number | null
  readonly state: ProcessState | 'failing'
  /** Of the plant's code that it has loaded; null: none, or none yet. */
  readonly version: string | null
  readonly pulseAgeMs: number | null
  readonly turnAgeMs: number | null
  readonly uptimeMs: number | null
  /** The last turn that was too long, or the one that goes on. */
  readonly longTurn: LongTurn | null
  /** Of a failing seat: what a person has to change. */
  readonly needs: string | null
}

/** `SIGKILL`, `exit code 1`, `hang (pulse)`: for reports and people. */
export function describeCause(cause: DeathCause): string {
  switch (cause.kind) {
    case 'exit':
      return `exit code ${cause.code}`
    case 'signal':
      return cause.signal
    case 'hang':
      return `hang (${cause.sign})`
    case 'not-started':
      return `not started: ${cause.message}`
  }
}
