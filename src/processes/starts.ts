import { join } from 'node:path'
import { BackOff } from './back-off.js'
import { type Ending, spawnChild } from './child.js'
import type { ChildMessage, PlainError } from './control-message.js'
import type { Edition } from './editions.js'
import { type FailureKind, failureKindOf, needsOperator } from './failure-kind.js'
import { Member } from './member.js'
import type { ChildRole } from './process-role.js'
import type { SupervisedSeat } from './supervised-seat.js'
import type { SupervisionOptions } from './supervision-options.js'

/** Who is told of a process that was started. Nothing is told from within `start`. */
export interface Started {
  onMessage(member: Member, message: ChildMessage): void
  /** Undefined: the operating system refused to run it. */
  onEnd(member: Member | undefined, ending: Ending): void
}

/** Starts the processes of a plant into standby, and knows for each role how that goes. */
export class Starts {
  readonly #options: SupervisionOptions
  readonly #backOffs: Readonly<Record<ChildRole, BackOff>>
  /** What the last process of a role said that ended before it was loaded. */
  readonly #failures: Partial<Record<ChildRole, PlainError | undefined>> = {}

  constructor(options: SupervisionOptions) {
    const backOff = () => new BackOff(options.limits.backOff, options.clock, options.prng)
    this.#options = options
    this.#backOffs = { journal: backOff(), worker: backOff(), gateway: backOff() }
  }

  backOff(role: ChildRole): BackOff {
    return this.#backOffs[role]
  }

  /** Undefined when the table has no place for it, or the operating system refuses, which `onEnd` tells. Throws what keeps a process from being made at all. */
  start(role: ChildRole, edition: Edition, started: Started): Member | undefined {
    const { table, tablePath, roles, clock, logDirectory, startTimeOf } = this.#options
    const place = table.emptyProcess()
    if (place === undefined) return undefined
    const { entry, execArgv = [] } = roles[role]
    const birth = { role, tablePath, tableIndex: place.index, settings: edition.settings[role] }
    const logPath = logDirectory === undefined ? undefined : join(logDirectory, `${role}.log`)
    let member: Member | undefined
    const child = spawnChild(
      { entry, birth, logPath, execArgv },
      {
        onMessage: (message) => {
          if (member !== undefined) started.onMessage(member, message)
        },
        onEnd: (ending) => started.onEnd(member, ending),
      },
    )
    if (child.pid === undefined) return undefined
    member = new Member(role, edition, child, child.pid, startTimeOf(child.pid) ?? 0, place, clock.monotonicMs())
    return member
  }

  /** A process of the role stands by. */
  loaded(role: ChildRole): void {
    this.#failures[role] = undefined
  }

  /** One ended before it held a seat. */
  failed({ role, failure, bornMs }: Member, wasLoaded: boolean): void {
    if (!wasLoaded) this.#failures[role] = failure
    const isHopeless = failure !== undefined && needsOperator(failureKindOf(failure))
    this.#backOffs[role].failed(wasLoaded ? this.#options.clock.monotonicMs() - bornMs : 0, isHopeless)
  }

  /** Of whoever was to hold the seat: one that did not even load came last. */
  lastFailure(
    role: ChildRole,
    seat: SupervisedSeat | undefined,
  ): { readonly kind: FailureKind; readonly message: string | undefined } | undefined {
    const start = this.#failures[role]
    if (start !== undefined) return { kind: failureKindOf(start), message: start.message }
    return seat?.lastFailure === undefined ? undefined : { kind: seat.lastFailure, message: seat.needs }
  }
}
