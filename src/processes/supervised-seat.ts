import type { Clock } from '#base/clock.js'
import type { BackOff } from './back-off.js'
import type { PlainError, ReadyDetails } from './control-message.js'
import { type FailureKind, failureKindOf, needsOperator } from './failure-kind.js'
import type { Edition } from './editions.js'
import { HandOver } from './hand-over.js'
import { SeatChange, seatRemoved } from './seat-change.js'
import type { Member } from './member.js'
import type { ChildRole, Seat } from './process-role.js'
import type { DeathCause, ProcessStatus, Replacement } from './supervision-event.js'

interface Recovery {
  readonly cause: DeathCause
  readonly noticedMs: number
  readonly noticeAfterMs: number
  reapedMs: number
  takenMs: number
  attempts: number
}

/** A place of the plant as its supervisor sees it: who holds it, how it fares, and what its present recovery has taken so far. */
export class SupervisedSeat implements Seat<ChildRole> {
  readonly role: ChildRole
  readonly slot: number
  readonly backOff: BackOff
  holder: Member | undefined
  /** What its next holder is born with. */
  edition: Edition
  handOver: HandOver | undefined
  isFailing = false
  /** Of the last process that was to hold the seat, while none has been ready since. */
  lastFailure: FailureKind | undefined
  /** What a person has to change. */
  needs: string | undefined
  /** The failure that was reported last. */
  #reported: FailureKind | undefined
  /** The term under which the seat was given away last. */
  newestTerm = 0
  #recovery: Recovery | undefined
  #coming: SeatChange | undefined
  #going: SeatChange | undefined
  readonly #clock: Clock

  constructor(role: ChildRole, slot: number, edition: Edition, backOff: BackOff, clock: Clock) {
    this.role = role
    this.slot = slot
    this.edition = edition
    this.backOff = backOff
    this.#clock = clock
  }

  get isReady(): boolean {
    return this.holder?.state === 'ready'
  }

  /** It is new, and nobody has worked there yet: the plant does without it. */
  get isComing(): boolean {
    return this.#coming !== undefined
  }

  /** Nobody is to take it after its holder. */
  get isGoing(): boolean {
    return this.#going !== undefined
  }

  /** Of a new seat: resolves when it works for the first time. */
  come(): Promise<void> {
    this.#coming = new SeatChange()
    return this.#coming.promise
  }

  /** Resolves when `gone` is told. */
  go(): Promise<void> {
    this.#coming?.fail(seatRemoved(this))
    this.#coming = undefined
    this.#going = new SeatChange()
    return this.#going.promise
  }

  gone(): void {
    this.#going?.done()
  }

  /** Whatever changes about the seat comes to nothing. */
  stopChange(error: Error): void {
    this.handOver?.fail(error)
    this.#coming?.fail(error)
    this.#going?.fail(error)
  }

  /** Of its holder, or of nobody. */
  status(nowMs: number): ProcessStatus {
    const { role, slot, isFailing } = this
    const needs = (isFailing ? this.needs : undefined) ?? null
    if (this.holder !== undefined) return { ...this.holder.status(nowMs), ...(isFailing ? { state: 'failing' } : {}), needs }
    const state = isFailing ? 'failing' : 'empty'
    return {
      role,
      slot,
      pid: null,
      term: null,
      state,
      version: null,
      pulseAgeMs: null,
      turnAgeMs: null,
      uptimeMs: null,
      longTurn: null,
      needs,
    }
  }

  /** Its next holder is to be of that edition; what those before failed over counts no more. */
  beginHandOver(edition: Edition): HandOver {
    this.edition = edition
    this.backOff.forgive()
    this.isFailing = false
    this.lastFailure = undefined
    this.needs = undefined
    this.handOver = new HandOver(this, this.#clock.monotonicMs())
    return this.handOver
  }

  /** The holder ended as it was asked to. */
  left(): void {
    this.holder = undefined
    this.handOver?.left(this.#clock.monotonicMs())
  }

  /** The holder was found hung and is being killed: the recovery starts here, before it is reaped. */
  hung(member: Member, cause: DeathCause & { kind: 'hang' }): void {
    const now = this.#clock.monotonicMs()
    if (member.readyMs === undefined && this.#recovery === undefined) return
    this.#recovery ??= { cause, noticedMs: now, noticeAfterMs: cause.ageMs, reapedMs: now, takenMs: now, attempts: 0 }
  }

  /** The holder was reaped. A holder that never became ready at the plant's start leaves no recovery behind, only failures. */
  died(member: Member, cause: DeathCause): void {
    // It was to leave anyway.
    if (this.handOver !== undefined && member.edition !== this.edition) return this.left()
    const now = this.#clock.monotonicMs()
    this.holder = undefined
    if (member.readyMs !== undefined) {
      const noticeAfterMs = member.killAskedMs === undefined ? 0 : now - member.killAskedMs
      this.#recovery ??= { cause, noticedMs: now, noticeAfterMs, reapedMs: now, takenMs: now, attempts: 0 }
    }
    if (this.#recovery !== undefined && this.#recovery.attempts === 0) this.#recovery.reapedMs = now
    this.failed(member.failure, member.readyMs === undefined ? 0 : now - member.readyMs)
    this.handOver?.died(member, cause)
    this.handOver = undefined
  }

  /** Whoever was to hold the seat failed, after so many milliseconds of use. */
  failed(error: PlainError | undefined, workedMs = 0): void {
    this.lastFailure = failureKindOf(error)
    this.needs = this.lastFailure === 'other' ? undefined : error?.message
    this.backOff.failed(workedMs, needsOperator(this.lastFailure))
  }

  /** Marks the seat as failing for the reason; whether that is news. */
  report(failure: FailureKind, needs: string | undefined): boolean {
    const isNews = !this.isFailing || failure !== this.#reported
    this.isFailing = true
    this.needs = needs
    this.#reported = failure
    return isNews
  }

  taken(member: Member): void {
    this.holder = member
    this.newestTerm = member.term ?? 0
    if (this.#recovery === undefined) return
    this.#recovery.takenMs = this.#clock.monotonicMs()
    this.#recovery.attempts++
  }

  /** The holder does its work. The answer tells of the recovery that ended with it, if there was one. */
  ready(member: Member, term: number, details: ReadyDetails): Replacement | undefined {
    const now = this.#clock.monotonicMs()
    member.readyMs = now
    this.isFailing = false
    this.lastFailure = undefined
    this.needs = undefined
    this.#coming?.done()
    this.#coming = undefined
    const recovery = this.#recovery
    this.#recovery = undefined
    if (recovery === undefined) return undefined
    const own = {
      noticed: recovery.noticeAfterMs,
      reaped: recovery.reapedMs - recovery.noticedMs,
      started: recovery.takenMs - recovery.reapedMs,
      ready: now - recovery.takenMs,
    }
    return {
      role: this.role,
      slot: this.slot,
      pid: member.pid,
      term,
      cause: recovery.cause,
      ms: recovery.noticeAfterMs + now - recovery.noticedMs,
      phases: { ...details.phases, ...own },
      attempts: recovery.attempts,
      details,
    }
  }
}
