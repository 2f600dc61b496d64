import { assert, unreachable } from '#base/assert.js'
import type { Cancel } from '#base/clock.js'
import { isMillraceError, messageOf } from '#base/errors.js'
import type { Ending } from './child.js'
import { type ChildMessage, FAILED_EVENT, isPlainError, type PlainError, plainErrorOf, type SupervisorMessage } from './control-message.js'
import { drain } from './drain.js'
import type { Member } from './member.js'
import { changeStopped, type Edition, Editions, type LoadedDetails } from './editions.js'
import type { HandedOver } from './hand-over.js'
import { checkProcessCounts } from './process-counts.js'
import type { SeatAction } from './process-facts.js'
import { CHILD_ROLES, type ChildRole, type Seat } from './process-role.js'
import { seatFacts } from './seat-facts.js'
import { Seats } from './seats.js'
import { Starts } from './starts.js'
import type { SupervisedSeat } from './supervised-seat.js'
import type { BusyCommand, DeathCause, ProcessStatus, SupervisionFact } from './supervision-event.js'
import { spareFact, sparesByRole, takeSpare } from './spares.js'
import type { SupervisionOptions } from './supervision-options.js'

/**
 * Keeps every seat of a plant taken. It owns no data and decides nothing by itself: at each event and each tick it gathers the facts of every
 * seat, asks the decision table, and does what that says. All processes start the same way, into standby; a seat is taken from there, so a
 * warm spare is an ordinary process that came early. Seats are filled journal first, then workers, then gateways.
 */
export class Supervision {
  readonly #options: SupervisionOptions
  readonly #seats: Seats
  readonly #starts: Starts
  readonly #members = new Set<Member>()
  readonly #editions: Editions
  #startedMs = 0
  #lookedMs = 0
  #cancelTick: Cancel | undefined
  #isPaused = false
  #isRecordDue = false
  #haveWorkersBeenUp = false
  #hasBeenReady = false
  #stopped: Promise<void> | undefined
  #forcedStop: (() => void) | undefined
  #readyWaiters: (() => void)[] = []

  /** Throws ERR_TOO_MANY_PROCESSES when the plant asks for more than the process table has room for. */
  constructor(options: SupervisionOptions) {
    checkProcessCounts(options.roles)
    this.#options = options
    this.#editions = new Editions(options.roles)
    this.#seats = new Seats(options, this.#editions.standing)
    this.#starts = new Starts(options)
  }

  /** Starts all processes and returns; `whenReady` tells when they work. */
  start(): void {
    assert(this.#cancelTick === undefined, 'a supervision starts once')
    this.#startedMs = this.#lookedMs = this.#options.clock.monotonicMs()
    this.#scheduleTick()
    this.#step()
  }

  /** Every seat is held by a process that works, but for those that come or go. */
  get isReady(): boolean {
    return !this.isStopping && CHILD_ROLES.every((role) => this.#seats.areReady(role))
  }

  /** In the order in which they are filled, without those that go. */
  get seats(): readonly Seat<ChildRole>[] {
    return [...this.#seats].filter((seat) => !seat.isGoing).map(({ role, slot }) => ({ role, slot }))
  }

  get isStopping(): boolean {
    return this.#stopped !== undefined
  }

  get failingSeatCount(): number {
    return this.#seats.failingCount
  }

  /** Resolves at once or when the plant gets ready; never for one that stops before. */
  whenReady(): Promise<void> {
    return this.isReady ? Promise.resolve() : new Promise((resolve) => this.#readyWaiters.push(resolve))
  }

  /** Gateways stop taking in, workers drain, the journal makes durable; each has its share of the bound, then comes SIGKILL. Resolves when all are reaped. */
  stop(): Promise<void> {
    this.#stopped ??= this.#drain()
    return this.#stopped
  }

  /** SIGKILLs whatever still lives; `stop` then resolves at once. For the second signal of an impatient operator. */
  forceStop(): Promise<void> {
    const stopped = this.stop()
    this.#forcedStop?.()
    return stopped
  }

  /** SIGKILLs the seat's holder, as a fault would, and returns its pid. Throws ERR_SEAT_EMPTY when nobody holds it. */
  kill(seat: Seat<ChildRole>): number {
    const member = this.#seats.holder(seat)
    member.killAskedMs = this.#options.clock.monotonicMs()
    member.child.kill()
    return member.pid
  }

  /** Asks the seat's holder. Rejects with ERR_SEAT_EMPTY, with the holder's own error, ERR_CALL_TIMEOUT or ERR_PROCESS_GONE. */
  async call(seat: Seat<ChildRole>, name: string, args: unknown, timeoutMs: number): Promise<unknown> {
    return this.#seats.holder(seat).child.call(name, args, timeoutMs)
  }

  /** What processes are born with, but for those of an edition that comes. */
  get edition(): Edition {
    return this.#editions.standing
  }

  /**
   * Has a process of the role stand by with the edition that comes, beside those of the standing one; resolves with what it says of itself. Rejects with what
   * it ends over while it loads.
   */
  stage(role: ChildRole, edition: Edition): Promise<LoadedDetails> {
    if (this.isStopping) return Promise.reject(changeStopped())
    const standby = [...this.#members].find((one) => one.role === role && one.edition === edition && one.state === 'standby')
    if (standby !== undefined) return Promise.resolve(standby.about)
    const staged = this.#editions.stage(role, edition)
    this.#step()
    return staged
  }

  /**
   * Has the seat's holder finish what is in flight and leave, within so many milliseconds, and a process of the edition take the seat. Resolves when that works;
   * rejects when it ends before, and with ERR_PLANT_STOPPING. Whoever takes the seat later is of that edition, too.
   */
  handOver(place: Seat<ChildRole>, edition: Edition, withinMs: number): Promise<HandedOver> {
    const seat = this.#seats.at(place)
    assert(seat !== undefined, 'only a seat of the plant can be handed over')
    if (this.isStopping) return Promise.reject(changeStopped())
    const { promise } = seat.beginHandOver(edition)
    this.#letLeave(seat, withinMs)
    this.#step()
    return promise
  }

  /** From now on the plant has that seat, too. Resolves when a process works there; rejects with ERR_SEAT_REMOVED when it is removed before, and with ERR_PLANT_STOPPING. */
  add(place: Seat<ChildRole>, edition: Edition = this.#editions.standing): Promise<void> {
    if (this.isStopping) return Promise.reject(changeStopped())
    const come = this.#seats.add(place, edition).come()
    this.#step()
    return come
  }

  /**
   * Has the seat's holder, if there is one, finish what is in flight and leave, within so many milliseconds; nobody takes the seat after it. Resolves when it is
   * gone; rejects with ERR_PLANT_STOPPING.
   */
  remove(place: Seat<ChildRole>, withinMs: number): Promise<void> {
    const seat = this.#seats.at(place)
    assert(seat !== undefined && !seat.isGoing, 'only a seat of the plant can be removed')
    if (this.isStopping) return Promise.reject(changeStopped())
    const gone = seat.go()
    this.#letLeave(seat, withinMs)
    if (seat.holder === undefined) this.#vacate(seat)
    this.#step()
    return gone
  }

  /** Has every process look at its channels, and at whatever else it shares with others. */
  ringAll(): void {
    for (const member of this.#members)
      if (member.slot !== undefined) member.child.send({ kind: 'ring', seat: { role: member.role, slot: member.slot } })
  }

  /** From now on every process is born with this edition; those of another one, and more than are configured, that hold no seat are ended. */
  settle(edition: Edition): void {
    this.#editions.settle(edition)
    for (const seat of this.#seats) seat.edition = edition
    const spares = sparesByRole(this.#members)
    for (const role of CHILD_ROLES) {
      const fitting = spares[role].filter((spare) => spare.edition === edition)
      const kept = new Set(fitting.slice(0, this.#options.roles[role].spares))
      for (const spare of spares[role]) if (!kept.has(spare)) spare.dismiss()
    }
    this.#step()
  }

  /** Seats in order, then spares. */
  processes(): ProcessStatus[] {
    const nowMs = this.#options.clock.monotonicMs()
    const seats = [...this.#seats].map((seat) => seat.status(nowMs))
    const spares = [...this.#members].filter((member) => member.slot === undefined).map((member) => member.status(nowMs))
    return [...seats, ...spares]
  }

  /** Brings the plant closer to what is wanted. Called at each tick and after everything that could have changed a fact. */
  #step(): void {
    const now = this.#options.clock.monotonicMs()
    this.#look(now)
    const spares = sparesByRole(this.#members)
    for (const seat of this.#seats) this.#act(seat, spares, now)
    for (const member of this.#members) {
      if (member.slot !== undefined) continue
      const action = this.#decide(undefined, member, undefined, now)
      if (action === 'kill') this.#killHung(member, now)
      else if (action === 'name-turn') this.#nameTurn(member, now)
    }
    this.#refillSpares()
    this.#record()
  }

  /** A supervisor that was stopped may be woken by a message before its tick is due, so every look asks whether it was away. */
  #look(now: number): void {
    const { tickMs, pulseLimitMs } = this.#options.limits
    const gapMs = now - this.#lookedMs
    this.#lookedMs = now
    this.#isPaused = gapMs > tickMs + pulseLimitMs / 2
    for (const member of this.#members) member.observe(now, this.#isPaused)
    if (this.#isPaused) this.#tell({ kind: 'paused', ms: gapMs })
  }

  #letLeave({ holder }: SupervisedSeat, withinMs: number): void {
    if (holder === undefined || holder.state === 'killed') return
    holder.leaveSeat(withinMs)
    this.#options.clock.after(withinMs + LEAVING_GRACE_MS, () => holder.child.kill())
  }

  #vacate(seat: SupervisedSeat): void {
    this.#seats.remove(seat)
    seat.gone()
    this.#tell({ kind: 'removed', role: seat.role, slot: seat.slot })
    if (this.isReady) this.#becamePlantReady()
  }

  #act(seat: SupervisedSeat, spares: Record<ChildRole, Member[]>, now: number): void {
    // Each empty seat lays its hand on one spare, so that two seats never count on the same one.
    this.#carryOut(seat, seat.holder === undefined ? takeSpare(spares[seat.role], seat.edition) : undefined, now)
  }

  #carryOut(seat: SupervisedSeat, spare: Member | undefined, now: number): void {
    const action = this.#decide(seat, seat.holder, spare, now)
    switch (action) {
      case 'none':
      case 'wait':
        return
      case 'kill':
        assert(seat.holder !== undefined, 'only a holder can be killed')
        return this.#killHung(seat.holder, now)
      case 'take-spare':
        assert(seat.holder === undefined && spare?.state === 'standby', 'an empty seat is taken, from standby')
        return this.#take(seat, spare)
      case 'start-new':
        return this.#start(seat.role, seat.edition)
      case 'name-turn':
        assert(seat.holder !== undefined, 'only a holder has turns')
        return this.#nameTurn(seat.holder, now)
      case 'park-command':
        this.#options.commands?.park(seat.slot)
        return this.#carryOut(seat, spare, now)
      case 'report-failing':
      case 'ask-operator':
        return this.#reportFailing(seat, action === 'ask-operator')
      default:
        return unreachable(action, 'every action is carried out')
    }
  }

  #decide(seat: SupervisedSeat | undefined, member: Member | undefined, spare: Member | undefined, nowMs: number): SeatAction {
    const role = seat?.role ?? member?.role
    assert(role !== undefined, 'a decision is about somebody')
    const plant = {
      nowMs,
      isSupervisorPaused: this.#isPaused,
      isStopping: this.isStopping,
      isJournalUp: this.#seats.areReady('journal'),
      haveWorkersBeenUp: this.#haveWorkersBeenUp,
    }
    return this.#options.decide(seatFacts({ role, seat, member, spare: spareFact(spare) }, plant, this.#starts, this.#options))
  }

  #nameTurn(member: Member, now: number): void {
    const { role, slot, pid } = member
    const { ms, command } = member.nameTurn(now, this.#busyCommand(member, now))
    this.#tell({ kind: 'long-turn', role, slot: slot ?? null, pid, ms, command })
  }

  #busyCommand(member: Member, now: number): BusyCommand | null {
    const atHand = member.role === 'worker' ? member.atHand(now) : undefined
    if (atHand === undefined || member.slot === undefined) return null
    const named = this.#try('ERR_COMMAND_AT_HAND', () => this.#options.commands?.name(member.slot as number, atHand))
    return named === undefined ? null : { entity: named.entity, command: named.command, ms: atHand.ms }
  }

  #killHung(member: Member, now: number): void {
    const missing = member.missingSign(now, this.#options.limits) ?? { sign: 'term', ageMs: 0 }
    const command = missing.sign === 'turn' ? this.#busyCommand(member, now) : null
    member.hang = missing
    this.#tell({ kind: 'hung', role: member.role, slot: member.slot ?? null, pid: member.pid, ...missing, command })
    this.#seats.heldBy(member)?.hung(member, { kind: 'hang', ...missing })
    member.kill()
  }

  #take(seat: SupervisedSeat, member: Member): void {
    this.#record()
    const term = this.#try(
      'ERR_TERM',
      () => this.#options.terms.next(),
      (error) => seat.failed(error),
    )
    if (term === undefined) return
    member.take(seat.slot, term)
    seat.taken(member)
    const assignment = this.#options.assign({ role: seat.role, slot: seat.slot }, term, member.edition)
    member.child.send({ kind: 'take', role: seat.role, slot: seat.slot, term, assignment })
  }

  #start(role: ChildRole, edition: Edition): void {
    const member = this.#try(
      'ERR_SPAWN',
      () =>
        this.#starts.start(role, edition, {
          onMessage: (started, message) => this.#hear(started, message),
          onEnd: (started, ending) => (started === undefined ? this.#neverStarted(role, edition, ending) : this.#ended(started, ending)),
        }),
      () => this.#starts.backOff(role).failed(0),
    )
    if (member === undefined) return
    this.#members.add(member)
    this.#isRecordDue = true
    this.#tell({ kind: 'started', role, pid: member.pid })
  }

  #hear(member: Member, message: ChildMessage): void {
    const now = this.#options.clock.monotonicMs()
    switch (message.kind) {
      case 'loaded':
        if (member.state === 'starting') {
          member.loaded(now, message.details ?? {})
          this.#editions.loaded(member.role, member.edition, member.about)
          this.#starts.loaded(member.role)
        }
        return this.#step()
      case 'ready':
        if (member.state === 'taking') this.#becameReady(member, message.details)
        return this.#step()
      case 'event': {
        const { role, slot, pid } = member
        if (message.name === FAILED_EVENT && isPlainError(message.data)) member.failure = message.data
        return this.#tell({ kind: 'reported', role, slot: slot ?? null, pid, name: message.name, data: message.data })
      }
      case 'answer':
        return
    }
  }

  #becameReady(member: Member, details: { readonly [more: string]: unknown }): void {
    const seat = this.#seats.heldBy(member)
    const term = member.term
    assert(seat !== undefined && term !== undefined, 'who is ready holds a seat under a term')
    member.state = 'ready'
    const replacement = seat.ready(member, term, details)
    this.#tell({ kind: 'ready', role: seat.role, slot: seat.slot, pid: member.pid, term, details })
    const over = seat.handOver?.ready(member, term, details, this.#options.clock.monotonicMs())
    seat.handOver = undefined
    if (over !== undefined) {
      this.#tell({ kind: 'handed-over', over })
      this.#ringPeersOf(seat)
    }
    if (replacement !== undefined) {
      this.#tell({ kind: 'replaced', replacement })
      this.#ringPeersOf(seat)
    }
    if (this.#seats.areReady('worker')) this.#haveWorkersBeenUp = true
    if (this.isReady) this.#becamePlantReady()
  }

  #becamePlantReady(): void {
    if (!this.#hasBeenReady) this.#tell({ kind: 'plant-ready', ms: this.#options.clock.monotonicMs() - this.#startedMs })
    this.#hasBeenReady = true
    for (const resolve of this.#readyWaiters.splice(0)) resolve()
    this.#try('ERR_TERM', () => this.#options.terms.reserve())
  }

  #neverStarted(role: ChildRole, edition: Edition, ending: Ending): void {
    if (!this.#editions.failed(role, edition, undefined, ending)) this.#starts.backOff(role).failed(0)
    this.#tell({ kind: 'died', role, slot: null, pid: 0, term: null, cause: ending, fatalCommand: null })
    this.#step()
  }

  #ended(member: Member, ending: Ending): void {
    const cause: DeathCause = member.hang === undefined ? ending : { kind: 'hang', ...member.hang }
    const wasLoaded = member.state !== 'starting'
    const seat = this.#seats.heldBy(member)
    const fatalCommand = member.fatalCommand ?? null
    member.leave()
    this.#members.delete(member)
    const { role, slot, pid, term } = member
    if (!member.wasAsked(ending)) this.#tell({ kind: 'died', role, slot: slot ?? null, pid, term: term ?? null, cause, fatalCommand })
    if (this.isStopping) return
    if (seat?.isGoing === true) {
      this.#vacate(seat)
      this.#ringPeersOf(seat)
    } else if (seat !== undefined && member.isLeaving) {
      seat.left()
      this.#ringPeersOf(seat)
    } else if (seat !== undefined) {
      seat.died(member, cause)
      this.#ringPeersOf(seat)
    } else if (!member.isLeaving && !this.#editions.failed(role, member.edition, member.failure, ending)) {
      this.#starts.failed(member, wasLoaded)
    }
    this.#step()
  }

  /** Spares wait until nobody is missing, but for seats that keep failing: starting one takes time from the recovery that goes on. */
  #refillSpares(): void {
    const isQuiet = [...this.#seats].every((seat) => seat.isReady || seat.isFailing)
    if (!isQuiet || this.isStopping) return
    const spares = sparesByRole(this.#members)
    for (const edition of this.#editions.wanted) {
      for (const role of CHILD_ROLES) {
        if (this.#starts.backOff(role).isActive) continue
        const emptyCount = [...this.#seats].filter(
          (seat) => seat.role === role && seat.holder === undefined && seat.edition === edition,
        ).length
        const wanted = emptyCount + this.#editions.spares(edition, role, this.#options.roles[role].spares)
        const standing = spares[role].filter((spare) => spare.edition === edition).length
        for (let count = standing; count < wanted; count++) this.#start(role, edition)
      }
    }
  }

  /** Once for each reason, until the seat works again. */
  #reportFailing(seat: SupervisedSeat, needsPerson: boolean): void {
    const last = this.#starts.lastFailure(seat.role, seat)
    const failure = last?.kind ?? 'other'
    const needs = needsPerson ? last?.message : undefined
    if (!seat.report(failure, needs)) return
    const backOffs = [seat.backOff, this.#starts.backOff(seat.role)]
    const failures = Math.max(...backOffs.map((backOff) => backOff.failureCount))
    const retryInMs = Math.max(...backOffs.map((backOff) => backOff.remainingMs))
    this.#tell({ kind: 'failing', role: seat.role, slot: seat.slot, failures, retryInMs, failure, needs: needs ?? null })
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#options.clock.after(this.#options.limits.tickMs, () => {
      if (this.isStopping) return
      this.#scheduleTick()
      this.#step()
    })
  }

  async #drain(): Promise<void> {
    this.#cancelTick?.()
    this.#editions.settle(this.#editions.standing)
    for (const seat of this.#seats) seat.stopChange(changeStopped())
    const { clock, limits } = this.#options
    const startedMs = clock.monotonicMs()
    this.#tell({ kind: 'stopping' })
    const forced = new Promise<void>((resolve) => {
      this.#forcedStop = resolve
    })
    const killed = await drain([...this.#members], limits.stopWithinMs, clock, forced)
    this.#isRecordDue = true
    this.#record()
    this.#tell({ kind: 'stopped', ms: clock.monotonicMs() - startedMs, killed })
  }

  #ringPeersOf(seat: SupervisedSeat): void {
    const ring: SupervisorMessage = { kind: 'ring', seat: { role: seat.role, slot: seat.slot } }
    for (const member of this.#members) if (member.slot !== undefined && member !== seat.holder) member.child.send(ring)
  }

  /** Once for all processes that a step starts, and before one of them is given a seat. */
  #record(): void {
    if (!this.#isRecordDue) return
    this.#isRecordDue = false
    this.#try('ERR_RECORD', () => this.#options.record([...this.#members].map(({ role, pid, startTime }) => ({ role, pid, startTime }))))
  }

  /** The disk may be full or broken; the plant's processes are kept going all the same, and the trouble is told. */
  #try<T>(code: string, work: () => T, onError: (error: PlainError) => void = () => undefined): T | undefined {
    try {
      return work()
    } catch (error) {
      onError(plainErrorOf(error))
      this.#tell({ kind: 'trouble', code: isMillraceError(error) ? error.code : code, message: messageOf(error) })
      return undefined
    }
  }

  #tell(fact: SupervisionFact): void {
    this.#options.onEvent({ at: this.#options.clock.nowMicros(), ...fact })
  }
}

/** For the end of a process that has finished in time. */
const LEAVING_GRACE_MS = 500
