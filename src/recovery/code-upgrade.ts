import type { Clock } from '#base/clock.js'
import { MillraceError, messageOf } from '#base/errors.js'
import { compareVersions } from '#base/version.js'
import type { HandedOver } from '#processes/hand-over.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import { type ChangeFailure, changeFailure } from './change-failure.js'
import { type Distribution, distribution } from './report.js'

/** The plant as an upgrade sees it. */
export interface UpgradedPlant {
  /** Of the code that it runs. */
  readonly version: string
  /** Workers in the order in which they change, then gateways. */
  readonly seats: readonly Seat<ChildRole>[]
  /** How many shards the worker of a slot has. */
  shardCount(slot: number): number
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
  /** How long commands to a shard were held up by a hand-over, over all shards and hand-overs, those back to the old code too. */
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
  readonly pauseMs: number
  /** The part of it in which the former holder finished what was in flight. */
  readonly leftMs: number
  readonly entities: number
  readonly events: number
}

/** So many commands prove a worker before its time is over. */
const PROVEN_COMMANDS = 10_000
const LOOK_EVERY_MS = 5

/**
 * Changes the code of a running plant seat by seat: a process with the new code stands by, the seat's holder finishes what is in flight and leaves, the
 * other takes over and is watched over its first commands. When one fails, all seats that have changed go back the same way, the last one first.
 *
 *   load ─▶ compare, prepare ─▶ for each seat: hand over ─▶ watch ─▶ commit
 *    │            │                              └──────┴─▶ hand back ─▶ give up
 *    └────────────┴─▶ nothing has changed
 *
 * Rejects when nothing has changed; whatever comes later is in the report.
 */
export async function upgradeCode(options: UpgradeOptions): Promise<UpgradeReport> {
  const { plant, clock, onStep } = options
  const startedMs = clock.monotonicMs()
  const from = plant.version
  const changed: Seat<ChildRole>[] = []
  const seats: UpgradedSeat[] = []
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
    const report = { ok: failure === null, from, to, runs: failure === null ? to : from, ms, ...pausesOf(seats), seats, failure }
    onStep({ kind: 'ended', report })
    return report
  }

  // They load meanwhile; what becomes of that is looked at when it is their turn.
  for (const role of new Set(plant.seats.map((seat) => seat.role))) plant.load(role).catch(() => undefined)
  try {
    for (const seat of plant.seats) {
      const fencedBefore = seat.role === 'worker' ? await plant.fencedCount(seat.slot) : 0
      await plant.load(seat.role)
      if (seat.role === 'worker') await plant.shorten(seat.slot)
      changed.push(seat)
      const over = await plant.handOver(seat, 'new')
      seats.push(upgradedSeat(plant, over, 'new'))
      onStep({ kind: 'handed-over', seat: seatName(seat), pauseMs: over.pauseMs, done: seats.length, seats: plant.seats.length })
      if (seat.role === 'worker') await watch(options, seat.slot, fencedBefore)
    }
    mustLive(plant)
    await plant.commit()
  } catch (error) {
    onStep({ kind: 'rolling-back', seats: changed.length, message: messageOf(error) })
    for (const seat of changed.reverse()) {
      const back = await plant.handOver(seat, 'old').catch(() => undefined)
      if (back === undefined) continue
      seats.push(upgradedSeat(plant, back, 'old'))
      onStep({ kind: 'returned', seat: seatName(seat), pauseMs: back.pauseMs })
    }
    plant.giveUp()
    await plant.whenReady()
    return end(error)
  }
  return end(undefined)
}

/** Resolves when the worker has done its first commands; rejects when it ended over one, and when it could not rebuild entities that its predecessor could. */
async function watch({ plant, clock, probationMs }: UpgradeOptions, slot: number, fencedBefore: number): Promise<void> {
  const fenced = await plant.fencedCount(slot)
  if (fenced > fencedBefore) throw newFenced(fenced - fencedBefore, slot)
  const deadlineMs = clock.monotonicMs() + probationMs
  const doneBefore = plant.commandsDone(slot)
  while (clock.monotonicMs() < deadlineMs && plant.commandsDone(slot) - doneBefore < PROVEN_COMMANDS) {
    mustLive(plant)
    await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve))
  }
  mustLive(plant)
  await plant.prove(slot)
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

function upgradedSeat(plant: UpgradedPlant, over: HandedOver, code: 'new' | 'old'): UpgradedSeat {
  const { role, slot, pauseMs, leftMs, details } = over
  const shards = role === 'worker' ? plant.shardCount(slot) : 0
  return { seat: seatName(over), code, shards, pauseMs, leftMs, entities: details.entities ?? 0, events: details.events ?? 0 }
}

function pausesOf(seats: readonly UpgradedSeat[]): Pick<UpgradeReport, 'shardPauseMs' | 'doorPauseMs'> {
  const ofShards = seats.flatMap(({ shards, pauseMs }) => Array.from({ length: shards }, () => pauseMs))
  const doorPauseMs = Math.max(0, ...seats.filter(({ shards }) => shards === 0).map(({ pauseMs }) => pauseMs))
  return { shardPauseMs: distribution(ofShards), doorPauseMs }
}
