import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Clock, systemClock } from '#base/clock.js'
import { type DutyCycle, type RunningDutyCycle, runDutyCycle, spinMicrosFor } from '#bus/index.js'
import { type Assignment, FAILED_EVENT, plainErrorOf, type ReadyDetails } from '#processes/control-message.js'
import { type Lifeline, openLifeline } from '#processes/lifeline.js'
import type { ChildRole } from '#processes/process-role.js'
import { startBeating } from '#processes/beat.js'
import type { ProcessSlot, ProcessTable } from '#processes/process-table.js'
import { Placement } from '#shards/placement.js'
import { Bell, Mapping, ownProcess, RemoteBell } from '#shm/index.js'
import { createLog, type Logger } from './log.js'
import type { PlantSettings } from './plant-settings.js'
import type { BusAccess, SeatHolder } from './wiring.js'

/** What a role gets with its seat. */
export interface SeatContext {
  readonly settings: PlantSettings
  readonly slot: number
  readonly term: number
  readonly assignment: Assignment
  readonly access: BusAccess
  readonly holder: SeatHolder
  readonly table: ProcessTable
  /** The process's own in the table. */
  readonly place: ProcessSlot
  readonly clock: Clock
  readonly log: Logger
  readonly lifeline: Lifeline
  /** Runs the role's duty cycle; what it throws ends the process. */
  run(duty: DutyCycle): RunningDutyCycle
  /** Ends the process after a failure that only a restart mends; the supervisor replaces it. */
  fail(error: unknown): never
}

/** A role at work. */
export interface RunningRole {
  readonly details: ReadyDetails
  /** Finishes what is in flight, within the time; the process ends afterwards. `isReplaced`: nothing new is begun, a successor takes the seat at once. */
  drain(withinMs: number, isReplaced: boolean): Promise<void>
}

/** Ended by a failure of its own; the log says which. */
const EXIT_CODE_FAILED = 1
const LOOK_EVERY_MS = 2
const MESSAGE_CHARACTERS_MAX = 4000

/** What a worker tells its supervisor when it finds entities that it has to fence: `{ message }`. */
export const ENTITIES_FENCED_EVENT = 'entities-fenced'
/** What a spare tells its supervisor when it will not get any faster by waiting. */
export const WARM_EVENT = 'warm'
/** What the journal tells its supervisor when batches begin to wait for room on the disk, and when they go on: `{ message }`. */
export const ROOM_EVENT = 'room'

/**
 * Runs a child process of a plant from its birth to its end: standby once `load` is done (a spare stays there), the seat's work once the supervisor gives
 * one, an orderly end on request, and an end by itself when the supervisor is gone.
 */
export async function runRole<L>(
  role: ChildRole,
  load: (settings: PlantSettings) => Promise<L>,
  take: (context: SeatContext, loaded: L) => Promise<RunningRole>,
  spare: {
    /** What its supervisor is told of what it has loaded. */
    readonly about?: (loaded: L) => Readonly<Record<string, unknown>>
    /** What it does meanwhile; it ends by itself once `isOver`. A failure means nothing but less speed. */
    readonly warm?: (loaded: L, isOver: () => boolean) => Promise<void>
  } = {},
): Promise<void> {
  const lifeline = openLifeline()
  const settings = lifeline.birth.settings as unknown as PlantSettings
  let log = createLog(settings.config.log.level, { role })
  const fail = (error: unknown): never => {
    log.fatal({ err: error }, 'the process ends')
    // Its supervisor tells whoever started the plant. A pipe takes such a line at once, before the process is gone.
    const { code, message, action } = plainErrorOf(error)
    lifeline.send({ kind: 'event', name: FAILED_EVENT, data: { code, message: message.slice(0, MESSAGE_CHARACTERS_MAX), action } })
    process.exit(EXIT_CODE_FAILED)
  }
  process.on('uncaughtException', fail)
  process.on('unhandledRejection', fail)
  // Whoever ends the plant by Ctrl-C signals the whole group; the supervisor says in which order to stop.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})

  const beat = startBeating(lifeline.birth, settings.config.processes.pulseMs)
  const loaded = await load(settings)
  lifeline.send({ kind: 'loaded', details: spare.about?.(loaded) ?? {} })

  let running: RunningRole | undefined
  let isSeated = false
  let cycle: RunningDutyCycle | undefined
  let placement: Placement | undefined
  const spinMicros = (): number => Math.min(settings.config.bus.spinMicros, spinMicrosFor(processCount(settings, placement)))
  const end = async (withinMs: number, isReplaced: boolean) => {
    await running?.drain(withinMs, isReplaced)
    cycle?.stop()
  }
  lifeline.onClosed(() => end(ORPHAN_DRAIN_MS, false))
  lifeline.onMessage((message) => {
    if (message.kind === 'ring') {
      cycle?.limitSpin(spinMicros())
      cycle?.wake()
    }
    if (message.kind === 'stop') void end(message.withinMs, message.isReplaced === true).then(() => process.exit(0), fail)
    else if (message.kind === 'take') {
      isSeated = true
      log = createLog(settings.config.log.level, { role, slot: message.slot, term: message.term })
      const self = ownProcess()
      const access = sharedBus(settings, beat.table)
      placement = access.placement
      const bell = Bell.open(bellPath(settings, role, message.slot))
      const context: SeatContext = {
        settings,
        slot: message.slot,
        term: message.term,
        assignment: message.assignment,
        access,
        holder: { pid: self.pid, startTime: self.startTime, term: message.term, schemaHash: settings.schemaHash },
        table: beat.table,
        place: beat.place,
        clock: systemClock,
        log,
        lifeline,
        run: (duty) => {
          const counters = beat.table.counters<ChildRole>({ role, slot: message.slot })
          cycle = runDutyCycle(duty, {
            strategy: settings.config.bus.strategy,
            spinMicros: spinMicros(),
            parked: beat.table.parkedWord({ role, slot: message.slot }),
            counters: { values: counters.values, index: counters.indexOf('parks') },
            bell,
            clock: systemClock,
            onTurn: () => beat.place.countTurn(),
            onError: fail,
          })
          return cycle
        },
        fail,
      }
      take(context, loaded).then((role_) => {
        running = role_
        lifeline.send({ kind: 'ready', details: role_.details })
      }, fail)
    }
  })
  if (spare.warm === undefined) return
  if (settings.isAwaited !== true) await delay(WARM_AFTER_MS)
  const isOver = () => isSeated
  if (!isOver()) await spare.warm(loaded, isOver).catch((error: unknown) => log.debug({ err: error }, 'a spare could not warm up'))
  lifeline.send({ kind: 'event', name: WARM_EVENT, data: {} })
}

/** Whoever takes a seat at once has got it by then, and a plant that is started for one command is gone: neither has processor time for a spare. */
const WARM_AFTER_MS = 1500

/** How long an orphan goes on finishing what is in flight; below the bound at which its lifeline ends it. */
const ORPHAN_DRAIN_MS = 1500

/** Resolves when the condition holds, or false when it did not within the time. Looks on the event loop, so that the duty cycle goes on. */
export function settled(condition: () => boolean, withinMs: number, clock: Clock): Promise<boolean> {
  const deadlineMs = clock.monotonicMs() + withinMs
  return new Promise((resolve) => {
    const look = () => {
      if (condition()) resolve(true)
      else if (clock.monotonicMs() >= deadlineMs) resolve(false)
      else setTimeout(look, LOOK_EVERY_MS)
    }
    look()
  })
}

/** Processes of the plant that may spin at one time. The first journal comes before it is known which worker has what. */
function processCount({ shape, config }: PlantSettings, placement: Placement | undefined): number {
  const workers = placement === undefined || placement.shardCount === 0 ? config.workers.count : placement.slots().length
  return workers + shape.gateways + 1
}

export function bellPath(settings: Pick<PlantSettings, 'runtimeDirectory'>, role: ChildRole, slot: number): string {
  return join(settings.runtimeDirectory, `bell-${role}-${slot}`)
}

export function channelPath(runtimeDirectory: string, channel: string): string {
  return join(runtimeDirectory, `${channel}.ring`)
}

export function placementPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'placement')
}

/** Channels as mappings, peers as parked words in the process table and bells beside it. */
function sharedBus(settings: PlantSettings, table: ProcessTable): BusAccess {
  return {
    memory: (channel) => Mapping.open(channelPath(settings.runtimeDirectory, channel)).buffer,
    peer: (role, slot) => {
      const bell = new RemoteBell(bellPath(settings, role, slot))
      return { ...table.parkedWord({ role, slot }), ring: () => void bell.ring() }
    },
    placement: new Placement(Mapping.open(placementPath(settings.runtimeDirectory)).buffer),
  }
}
