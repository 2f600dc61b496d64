import type { Child, Ending } from './child.js'
import type { CommandPlace } from './command-at-hand.js'
import type { PlainError } from './control-message.js'
import type { Edition, LoadedDetails } from './editions.js'
import { Heartbeat } from './heartbeat.js'
import type { ChildRole } from './process-role.js'
import type { ProcessSlot, ProcessState } from './process-table.js'
import type { SeatFacts } from './process-facts.js'
import type { BusyCommand, HangSign, LongTurn, ProcessStatus } from './supervision-event.js'
import type { SupervisionLimits } from './supervision-options.js'

/** One process as its supervisor sees it, from spawn to reaping. Its state stands in the process table, too. */
export class Member {
  readonly role: ChildRole
  readonly edition: Edition
  readonly child: Child
  readonly pid: number
  readonly startTime: number
  readonly bornMs: number
  /** Undefined for a spare. */
  slot: number | undefined
  term: number | undefined
  /** When it became ready, on the monotonic clock. */
  readyMs: number | undefined
  /** When somebody asked for its death, for drills. */
  killAskedMs: number | undefined
  /** What it said over what it ends. */
  failure: PlainError | undefined
  /** It was asked to leave its seat to another, or is not needed any more. */
  isLeaving = false
  /** What it said of its code when it was loaded. */
  about: LoadedDetails = {}
  hang: { readonly sign: HangSign; readonly ageMs: number } | undefined
  readonly #place: ProcessSlot
  #heartbeat: Heartbeat
  #state: ProcessState = 'starting'
  #longTurn: LongTurn | undefined
  /** The command that was at hand at the last look, and since when it has been at every one. */
  #atHand: CommandPlace | undefined
  #atHandMs = 0

  constructor(role: ChildRole, edition: Edition, child: Child, pid: number, startTime: number, place: ProcessSlot, nowMs: number) {
    this.role = role
    this.edition = edition
    this.child = child
    this.pid = pid
    this.startTime = startTime
    this.bornMs = nowMs
    this.#place = place
    this.#place.occupy(role, pid, startTime)
    this.#heartbeat = new Heartbeat(nowMs, 0, 0)
  }

  get state(): ProcessState {
    return this.#state
  }

  set state(state: ProcessState) {
    this.#state = state
    this.#place.setState(state)
  }

  /** Its modules are in: from here on its counters have to move. */
  loaded(nowMs: number, about: LoadedDetails): void {
    this.about = about
    this.state = 'standby'
    this.#heartbeat = new Heartbeat(nowMs, this.#place.pulse, this.#place.turn)
  }

  take(slot: number, term: number): void {
    this.slot = slot
    this.term = term
    this.#state = 'taking'
    this.#place.take(slot, term)
  }

  /** The term under which the table, and so every other process, knows it; 0 without a seat. */
  get knownTerm(): number {
    return this.#place.term
  }

  observe(nowMs: number, isSupervisorPaused: boolean): void {
    const lastedMs = this.#heartbeat.turnAgeMs(nowMs)
    const isTurnOver = this.#heartbeat.observe(nowMs, this.#place.pulse, this.#place.turn)
    if (isTurnOver && this.#longTurn?.isOver === false) this.#longTurn = { ...this.#longTurn, ms: lastedMs, isOver: true }
    if (isSupervisorPaused) this.#heartbeat.forgive(nowMs)
    const atHand = this.#place.commandAtHand.read()
    if (isTurnOver || atHand?.position !== this.#atHand?.position || atHand?.gateway !== this.#atHand?.gateway) this.#atHandMs = nowMs
    this.#atHand = atHand
  }

  /** The command that its event loop is busy with, and for how long it has been seen to be. */
  atHand(nowMs: number): (CommandPlace & { readonly ms: number }) | undefined {
    return this.#atHand === undefined ? undefined : { ...this.#atHand, ms: nowMs - this.#atHandMs }
  }

  /** The turn that goes on is long, and is told of from now on. */
  nameTurn(nowMs: number, command: BusyCommand | null): LongTurn {
    this.#longTurn = { ms: this.#heartbeat.turnAgeMs(nowMs), command, isOver: false }
    return this.#longTurn
  }

  /** How the turn that goes on is to be taken. One that was forgiven stays the same turn. */
  turnFact(nowMs: number, limits: SupervisionLimits): SeatFacts['turn'] {
    if (this.#state === 'starting') return 'fresh'
    const ageMs = this.#heartbeat.turnAgeMs(nowMs)
    if (ageMs > limits.turnLimitMs) return 'stale'
    if (ageMs <= limits.longTurnMs) return 'fresh'
    return this.#longTurn?.isOver === false ? 'named' : 'long'
  }

  /** The sign of life that is missing for longer than its limit; pulse before turn, since no turn comes without being scheduled. */
  missingSign(nowMs: number, limits: SupervisionLimits): { readonly sign: HangSign; readonly ageMs: number } | undefined {
    const pulseAgeMs = this.#heartbeat.pulseAgeMs(nowMs)
    const turnAgeMs = this.#heartbeat.turnAgeMs(nowMs)
    if (this.#state === 'starting') return pulseAgeMs > limits.loadLimitMs ? { sign: 'load', ageMs: pulseAgeMs } : undefined
    if (pulseAgeMs > limits.pulseLimitMs) return { sign: 'pulse', ageMs: pulseAgeMs }
    if (turnAgeMs > limits.turnLimitMs) return { sign: 'turn', ageMs: turnAgeMs }
    return undefined
  }

  status(nowMs: number): ProcessStatus {
    const isWatched = this.#state !== 'starting'
    return {
      role: this.role,
      slot: this.slot ?? null,
      pid: this.pid,
      term: this.term ?? null,
      state: this.#state,
      version: typeof this.about['version'] === 'string' ? this.about['version'] : null,
      pulseAgeMs: isWatched ? this.#heartbeat.pulseAgeMs(nowMs) : null,
      turnAgeMs: isWatched ? this.#heartbeat.turnAgeMs(nowMs) : null,
      uptimeMs: nowMs - this.bornMs,
      longTurn: this.#longTurn?.isOver === false ? this.#turnSoFar(this.#longTurn, nowMs) : (this.#longTurn ?? null),
      needs: null,
    }
  }

  #turnSoFar(turn: LongTurn, nowMs: number): LongTurn {
    const ms = this.#heartbeat.turnAgeMs(nowMs)
    const { command } = turn
    return { ...turn, ms, command: command === null ? null : { ...command, ms: command.ms + ms - turn.ms } }
  }

  /** What it was executing when it ended by its own doing: not when somebody killed it from here, nor when the machine did not run it. Before `leave`. */
  get fatalCommand(): CommandPlace | undefined {
    const isOwnDoing = this.killAskedMs === undefined && (this.hang === undefined || this.hang.sign === 'turn')
    return isOwnDoing ? this.#place.commandAtHand.read() : undefined
  }

  /** Finishes what is in flight and ends, so that another can take the seat. */
  leaveSeat(withinMs: number): void {
    this.isLeaving = true
    this.state = 'stopping'
    this.child.send({ kind: 'stop', withinMs, isReplaced: true })
  }

  /** Ends one that holds no seat and is not needed any more. */
  dismiss(): void {
    this.isLeaving = true
    this.kill()
  }

  /** Whether that end is what it was asked for. */
  wasAsked(ending: Ending): boolean {
    return this.isLeaving && (this.slot === undefined || (ending.kind === 'exit' && ending.code === 0))
  }

  kill(): void {
    this.state = 'killed'
    this.child.kill()
  }

  /** After reaping: the table's place is free for another. */
  leave(): void {
    this.state = 'empty'
  }
}
