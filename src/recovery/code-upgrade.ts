import type { Clock } from '#base/clock.js'
import { MillraceError, messageOf } from '#base/errors.js'
import { compareVersions } from '#base/version.js'
import type { HandedOver } from '#processes/hand-over.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import { type ChangeFailure, changeFailure } from './change-failure.js'
import { type Distribution, distribution } from './report.js'
import type { MovedShards } from './shard-mover.js'

/** The plant as an upgrade sees it. */
export interface UpgradedPlant {
  /** Of the code that it runs. */
  readonly version: string
  /** Workers in the order in which they change, then gateways. */
  readonly seats: readonly Seat<ChildRole>[]
  /** Where one more worker has room; undefined: nowhere. */
  readonly standInSlot: number | undefined
  /** A worker with the new code works there, without shards. Rejects when it ends before. */
  addStandIn(slot: number): Promise<void>
  /** It is gone for good; shards that it still has go to the others before. */
  removeStandIn(slot: number): Promise<void>
  /** The shards of a slot in groups that move together: small enough for a short pause, and not so small that it takes long; the first one alone. */
  groupsOf(slot: number): readonly (readonly number[])[]
  /** From one worker to another, also when processes die meanwhile. Rejects when they stay, after many attempts, or when the new code has failed. */
  moveShards(shards: readonly number[], from: number, to: number): Promise<MovedShards>
  /** Has a process load the new code and stand by; its version. Rejects with what it ends over. */
  load(role: ChildRole): Promise<string>
  /** Tells the journal of the new code's events, once the log and the commands under way have been found to fit it. Rejects, with nothing changed, when they do not. */
  prepare(): Promise<void>
  /** Does beforehand what makes the hand-over of a slot shorter: its successor warms up, the worker sees to it that there is little to replay. */
  shorten(slot: number): Promise<void>
  /** Resolves when a process with that code holds the seat and works. */
  handOver(seat: Seat<ChildRole>, code: 'new' | 'old'): Promise<HandedOver>
  /** Entities of a worker that take no commands since they cannot be rebuilt. */
  fencedCount(slot: number): Promise<number>
  /** Commands that the workers of a slot have done so far. */
  commandsDone(slot: number): number
  /** The first commands of a worker went well: its code may fail over others from now on, as code does. */
  prove(slot: number): Promise<void>
  /** Over what a process with the new code that held a seat has ended since the upgrade began, if one has. */
  failureOfNew(): Error | undefined
  /** From now on all processes are born with the new code, those of later starts of the plant too. */
  commit(): Promise<void>
  /** From now on all processes are born with the old code again. */
  giveUp(): void
  /** Resolves when every seat works. */
  whenReady(): Promise<void>
}

export interface UpgradeOptions {
  readonly plant: UpgradedPlant
  readonly clock: Clock
  /** How long a worker with the new code is watched over its first commands, before the next seat changes; no longer than PROVEN_COMMANDS take. */
  readonly probationMs: number
  readonly onStep: (step: UpgradeStep) => void
}

/** What an upgrade has come to. Plain JSON. */
export type UpgradeStep =
  | { readonly kind: 'loaded'; readonly from: string; readonly to: string; readonly seats: number }
  | { readonly kind: 'handed-over'; readonly seat: string; readonly pauseMs: number; readonly done: number; readonly seats: number }
  | { readonly kind: 'rolling-back'; readonly seats: number; readonly message: string }
  | { readonly kind: 'returned'; readonly seat: string; readonly pauseMs: number }
  | { readonly kind: 'ended'; readonly report: UpgradeReport }

/** Plain JSON; milliseconds. */
export interface UpgradeReport {
  readonly ok: boolean
  readonly from: string
  readonly to: string
  /** What the plant runs now. */
  readonly runs: string
  readonly ms: number
  /** How long commands to a shard were held up by a move or a hand-over, over all shards and all of these, those back to the old code too. */
  readonly shardPauseMs: Distribution
  /** How long the doors took nothing in; 0 where they did not change. */
  readonly doorPauseMs: number
  readonly seats: readonly UpgradedSeat[]
  /** Why the plant runs the old code. */
  readonly failure: ChangeFailure | null
}

export interface UpgradedSeat {
  readonly seat: string
  readonly code: 'new' | 'old'
  readonly shards: number
  /** Of its shards the longest, where they moved. */
  readonly pauseMs: number
  /** The part of it in which the former holder finished what was in flight. */
  readonly leftMs: number
  readonly entities: number
  readonly events: number
}

/** So many commands prove a worker before its time is over. */
const PROVEN_COMMANDS = 10_000
/** And so many are enough to let it have more than its first shards. */
const FIRST_COMMANDS = 100
const LOOK_EVERY_MS = 5

/**
 * Changes the code of a running plant. Where there is room for one more worker, shard by shard: a process with the new code stands in for the first worker, whose shards move to it a few at
 * a time; the worker that is empty then is replaced by a process with the new code, which gets the shards of the next, and so on; the last one gets those of the stand-in.
 * Where there is none, seat by seat: the holder finishes what is in flight and leaves, and the other takes over with all shards. Either way a process with the new code
 * is watched over its first commands. When one fails, all seats that have changed go back to the old code, the last one first.
 *
 *   load ─▶ compare, prepare ─▶ for each worker: move or hand over ─▶ watch ─▶ doors ─▶ commit
 *    │            │                                 └──────────────────┴───────┴─▶ hand back ─▶ give up
 *    └────────────┴─▶ nothing has changed
 *
 * Rejects when nothing has changed; whatever comes later is in the report.
 */
export async function upgradeCode(options: UpgradeOptions): Promise<UpgradeReport> {
  const { plant, clock, onStep } = options
  const startedMs = clock.monotonicMs()
  const from = plant.version
  const change = new SeatChange(options)
  let to: string
  try {
    to = await plant.load('worker')
    mustBeNewer(from, to)
    await plant.prepare()
  } catch (error) {
    plant.giveUp()
    throw error
  }
  onStep({ kind: 'loaded', from, to, seats: plant.seats.length })
  const end = (error: unknown): UpgradeReport => {
    const failure = error === undefined ? null : changeFailure(error)
    const ms = clock.monotonicMs() - startedMs
    const report = { ok: failure === null, from, to, runs: failure === null ? to : from, ms, ...change.figures, failure }
    onStep({ kind: 'ended', report })
    return report
  }

  // They load meanwhile; what becomes of that is looked at when it is their turn.
  for (const role of new Set(plant.seats.map((seat) => seat.role))) plant.load(role).catch(() => undefined)
  try {
    await change.goOn()
    mustLive(plant)
    await plant.commit()
  } catch (error) {
    await change.goBack(error)
    plant.giveUp()
    await plant.whenReady()
    return end(error)
  }
  return end(undefined)
}

/** The seats that have changed, and what that came to. */
class SeatChange {
  readonly #options: UpgradeOptions
  readonly #changed: Seat<ChildRole>[] = []
  readonly #seats: UpgradedSeat[] = []
  readonly #shardPauses: number[] = []
  #doorPauseMs = 0
  #standIn: number | undefined

  constructor(options: UpgradeOptions) {
    this.#options = options
  }

  get figures(): Pick<UpgradeReport, 'shardPauseMs' | 'doorPauseMs' | 'seats'> {
    return { shardPauseMs: distribution(this.#shardPauses), doorPauseMs: this.#doorPauseMs, seats: this.#seats }
  }

  async goOn(): Promise<void> {
    const { plant } = this.#options
    const workers = plant.seats.filter(({ role }) => role === 'worker')
    const standIn = plant.standInSlot
    if (standIn === undefined) for (const seat of workers) await this.#handOver(seat)
    else await this.#rotate(workers, standIn)
    for (const seat of plant.seats) if (seat.role !== 'worker') await this.#handOver(seat)
  }

  /** Whoever cannot be handed back at once is born with the old code when its turn comes. */
  async goBack(failure: unknown): Promise<void> {
    const { plant, onStep } = this.#options
    onStep({ kind: 'rolling-back', seats: this.#changed.length, message: messageOf(failure) })
    for (const seat of this.#changed.toReversed()) {
      const back = await plant.handOver(seat, 'old').catch(() => undefined)
      if (back === undefined) continue
      this.#add(back, 'old', seat.role === 'worker' ? plant.groupsOf(seat.slot).flat().length : 0)
      onStep({ kind: 'returned', seat: seatName(seat), pauseMs: back.pauseMs })
    }
    if (this.#standIn !== undefined) await plant.removeStandIn(this.#standIn).catch(() => undefined)
  }

  /** With all that it has. */
  async #handOver(seat: Seat<ChildRole>): Promise<void> {
    const { plant } = this.#options
    const isWorker = seat.role === 'worker'
    const fencedBefore = isWorker ? await plant.fencedCount(seat.slot) : 0
    const shards = isWorker ? plant.groupsOf(seat.slot).flat().length : 0
    await plant.load(seat.role)
    if (isWorker) await plant.shorten(seat.slot)
    this.#changed.push(seat)
    const over = await plant.handOver(seat, 'new')
    this.#add(over, 'new', shards)
    this.#tell(seat, over.pauseMs)
    if (!isWorker) return
    await this.#watch(seat.slot, fencedBefore, PROVEN_COMMANDS)
    await plant.prove(seat.slot)
  }

  async #rotate(workers: readonly Seat<ChildRole>[], standIn: number): Promise<void> {
    const { plant } = this.#options
    this.#standIn = standIn
    const place: Seat<ChildRole> = { role: 'worker', slot: standIn }
    this.#changed.push(place)
    await plant.addStandIn(standIn)
    let taker = standIn
    for (const seat of workers) {
      await plant.load('worker')
      await plant.shorten(seat.slot)
      const moved = await this.#moveAll(seat.slot, taker)
      this.#changed.push(seat)
      await plant.handOver(seat, 'new')
      this.#seats.push({ seat: seatName(seat), code: 'new', ...moved })
      this.#tell(seat, moved.pauseMs)
      taker = seat.slot
    }
    await this.#moveAll(standIn, taker)
    await plant.removeStandIn(standIn)
    this.#changed.splice(this.#changed.indexOf(place), 1)
    this.#standIn = undefined
  }

  /** The one that gets them is on probation with the first, and then with all of them. */
  async #moveAll(from: number, to: number): Promise<Omit<UpgradedSeat, 'seat' | 'code'>> {
    const { plant } = this.#options
    const fencedBefore = (await plant.fencedCount(from)) + (await plant.fencedCount(to))
    const all = { shards: 0, pauseMs: 0, leftMs: 0, entities: 0, events: 0 }
    for (const [index, shards] of plant.groupsOf(from).entries()) {
      const { pauseMs, leftMs, entities, events } = await plant.moveShards(shards, from, to)
      all.shards += shards.length
      all.leftMs = pauseMs > all.pauseMs ? leftMs : all.leftMs
      all.pauseMs = Math.max(all.pauseMs, pauseMs)
      all.entities += entities
      all.events += events
      this.#shardPauses.push(...shards.map(() => pauseMs))
      mustLive(plant)
      if (index === 0) await this.#watch(to, fencedBefore - (await plant.fencedCount(from)), FIRST_COMMANDS)
    }
    await this.#watch(to, fencedBefore - (await plant.fencedCount(from)), PROVEN_COMMANDS)
    await plant.prove(to)
    return all
  }

  #add(over: HandedOver, code: UpgradedSeat['code'], shards: number): void {
    const { role, pauseMs, leftMs, details } = over
    this.#seats.push({ seat: seatName(over), code, shards, pauseMs, leftMs, entities: details.entities ?? 0, events: details.events ?? 0 })
    for (let shard = 0; shard < shards; shard++) this.#shardPauses.push(pauseMs)
    if (role !== 'worker') this.#doorPauseMs = Math.max(this.#doorPauseMs, pauseMs)
  }

  #tell(seat: Seat<ChildRole>, pauseMs: number): void {
    const { plant, onStep } = this.#options
    onStep({ kind: 'handed-over', seat: seatName(seat), pauseMs, done: this.#seats.length, seats: plant.seats.length })
  }

  /** Resolves when the worker has done so many commands, or its time is over; rejects when it ended over one, and when it could not rebuild entities that its predecessor could. */
  async #watch(slot: number, fencedBefore: number, commandsMax: number): Promise<void> {
    const { plant, clock, probationMs } = this.#options
    const fenced = await plant.fencedCount(slot)
    if (fenced > fencedBefore) throw newFenced(fenced - fencedBefore, slot)
    const deadlineMs = clock.monotonicMs() + probationMs
    const doneBefore = plant.commandsDone(slot)
    while (clock.monotonicMs() < deadlineMs && plant.commandsDone(slot) - doneBefore < commandsMax) {
      mustLive(plant)
      await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve))
    }
    mustLive(plant)
  }
}

function mustLive(plant: UpgradedPlant): void {
  const failure = plant.failureOfNew()
  if (failure !== undefined) throw failure
}

function mustBeNewer(from: string, to: string): void {
  const order = compareVersions(to, from)
  if (order > 0) return
  throw new MillraceError(order === 0 ? 'ERR_CODE_SAME' : 'ERR_CODE_OLDER', {
    fact: order === 0 ? 'the plant runs this version already' : 'the plant runs a later version',
    action: 'operator',
    values: { runs: from, new: to },
    next: `raise the version of the new code, as in definePlant({ version: '${successorOf(from)}', ... })`,
  })
}

function successorOf(version: string): string {
  const [major, minor] = version.split('.')
  return `${major}.${Number(minor) + 1}.0`
}

function newFenced(count: number, slot: number): MillraceError {
  return new MillraceError('ERR_CODE_REFUSES_EVENTS', {
    fact: 'the new code cannot rebuild entities that the code before it could',
    action: 'operator',
    values: { entities: count, worker: slot },
    next: 'run millrace code check with the new plant module: it names the first event of each type that does not fit',
  })
}
