import { existsSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { checkCommands, numberCommands, PlantModel } from '#entity/index.js'
import type { Edition } from '#processes/editions.js'
import type { HandedOver } from '#processes/hand-over.js'
import type { ChildRole, Seat } from '#processes/process-role.js'
import { clearLevels } from '#processes/process-counters.js'
import type { ProcessTable } from '#processes/process-table.js'
import type { Supervision } from '#processes/supervision.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import { type UpgradedPlant, type UpgradeStep, upgradeCode } from '#recovery/code-upgrade.js'
import type { CodeStatus, PlantCode } from '#recovery/plant-code.js'
import { isLostCall, tryPatiently } from '#recovery/patience.js'
import type { MovedShards } from '#recovery/shard-mover.js'
import type { Placement } from '#shards/placement.js'
import { planMoves } from '#shards/plan-moves.js'
import { NewProcesses } from './new-processes.js'
import { type CodeDetails, schemasOf } from './plant-code.js'
import { importPlant } from './plant-module.js'
import { readPlantRecord, writePlantRecord } from './plant-record.js'
import type { PlantSettings } from './plant-settings.js'
import { WARM_EVENT } from './role-process.js'
import { stepsOf } from './step-feed.js'
import { notReady, SupervisedMoves } from './supervised-moves.js'

export interface RunningCodeOptions {
  readonly plantFile: string
  readonly version: string
  /** Of each entity type what `entitySchemaToJson` says. */
  readonly schemas: readonly string[]
  readonly dataDirectory: string
  /** Workers that there can be. */
  readonly slots: number
  readonly clock: Clock
  readonly placement: () => Placement
  /** Throws while something else about the plant changes. */
  readonly mustBeFree: () => void
  /** Told of the plant's model once it runs other code. */
  readonly onChanged: (plant: PlantModel) => void
}

/** What an upgrade is asked for with. */
interface UpgradeArgs {
  /** Absolute. */
  readonly plantFile: string
  readonly probationMs?: number
  /** How long a process may warm up that is to take over; 0: it takes over cold. */
  readonly warmUpMs?: number
  /** Faults of the new code over its first commands are answered as ever. */
  readonly allowFaults?: boolean
}

interface Code {
  readonly plantFile: string
  version: string
  schemas: readonly string[]
}

interface ComingCode extends Code {
  readonly edition: Edition
  readonly warmUpMs: number
  readonly allowFaults: boolean
  /** All workers run it: they may send each other commands that only it has. */
  isKnownToAll: boolean
  /** Of the process that takes the next worker's seat. */
  workerPid: number
}

const PROBATION_MS = 1000
/** For a worker to finish what it has in flight: with a disk that answers it takes some milliseconds. */
const WORKER_LEAVES_WITHIN_MS = 1000
/** For requests under way to be answered. */
const GATEWAY_LEAVES_WITHIN_MS = 2000
const CALL_WITHIN_MS = 10_000
/** A spare takes half a second of the processor for it. */
const WARM_UP_MS = 3000
const LOOK_EVERY_MS = 10
/** Shards that move together have about so many entities, and are not more than so many. */
const GROUP_ENTITIES = 100
const GROUP_SHARDS_MAX = 16
/** Modules whose names are kept. */
const SUPERSEDED_MAX = 100

/** Which code the processes of a plant run, and how it is changed while they do: the supervisor's side of `millrace code upgrade`. */
export class RunningCode implements PlantCode {
  readonly #options: RunningCodeOptions
  #current: Code
  #coming: ComingCode | undefined
  #changedSeats = 0
  /** That commands are numbered by: the code that the plant was started with, and those since that brought new ones. */
  #codes: readonly (readonly string[])[]
  #supervision: Supervision | undefined
  #table: ProcessTable | undefined
  #settings: PlantSettings | undefined
  #newProcesses = new NewProcesses()
  /** Pids of those that have warmed up. */
  readonly #warm = new Set<number>()

  constructor(options: RunningCodeOptions) {
    const { plantFile, version, schemas } = options
    this.#options = options
    this.#current = { plantFile, version, schemas }
    this.#codes = [schemas]
  }

  /** As processes are born with before anything changes. */
  set settings(settings: PlantSettings) {
    this.#settings = settings
  }

  bind(supervision: Supervision, table: ProcessTable): void {
    this.#supervision = supervision
    this.#table = table
  }

  get status(): CodeStatus {
    const coming = this.#coming
    const upgrade = coming === undefined ? null : { to: coming.version, seats: this.#seats.length, changed: this.#changedSeats }
    return { version: this.#current.version, plantFile: this.#current.plantFile, upgrade }
  }

  /** To be told of everything. */
  take(event: SupervisionEvent): void {
    this.#newProcesses.take(event)
    if (event.kind === 'reported' && event.name === WARM_EVENT) this.#warm.add(event.pid)
    if (event.kind === 'died') this.#warm.delete(event.pid)
  }

  /** Throws ERR_UPGRADE_RUNS while the code changes. */
  mustBeIdle(): void {
    if (this.#coming !== undefined) throw upgradeRuns(this.#coming.version)
  }

  /** What a process gets to know with its seat. */
  assignment(edition: Edition): Readonly<Record<string, unknown>> {
    const coming = this.#coming?.edition === edition ? this.#coming : undefined
    const codes = coming === undefined ? this.#codes : [...this.#codes, coming.schemas]
    const isOnProbation = coming !== undefined && !coming.allowFaults
    const known = commandCount(this.#codes)
    const areSomeUnknown = coming !== undefined && !coming.isKnownToAll && commandCount(codes) > known
    return { ...(codes.length === 1 ? {} : { codes }), isOnProbation, ...(areSomeUnknown ? { commandsKnown: known } : {}) }
  }

  upgrade(args: unknown): AsyncGenerator<UpgradeStep, void> {
    const { plantFile, probationMs = PROBATION_MS, warmUpMs = WARM_UP_MS, allowFaults = false } = args as UpgradeArgs
    return stepsOf(async (onStep) => {
      const coming = this.#begin(plantFile, warmUpMs, allowFaults)
      const noted = (step: UpgradeStep) => {
        if (step.kind === 'handed-over' || step.kind === 'returned') this.#changedSeats += step.kind === 'returned' ? -1 : 1
        onStep(step)
      }
      try {
        await upgradeCode({ plant: this.#plantFor(coming), clock: this.#options.clock, probationMs, onStep: noted })
      } finally {
        this.#coming = undefined
      }
    })
  }

  #begin(plantFile: string, warmUpMs: number, allowFaults: boolean): ComingCode {
    const supervision = this.#supervision as Supervision
    this.mustBeIdle()
    this.#options.mustBeFree()
    if (typeof plantFile !== 'string' || !isAbsolute(plantFile) || !existsSync(plantFile)) throw noSuchFile(plantFile)
    if (plantFile === this.#current.plantFile) throw sameFile(plantFile)
    if (!supervision.isReady) throw notReady()
    const before = this.#settings as PlantSettings
    const settings: PlantSettings = { ...before, plantFile, isAwaited: warmUpMs > 0 }
    const given = settings as unknown as Readonly<Record<string, unknown>>
    const edition: Edition = { number: supervision.edition.number + 1, settings: { journal: given, worker: given, gateway: given } }
    const coming: ComingCode = { plantFile, version: '', schemas: [], edition, warmUpMs, allowFaults, isKnownToAll: false, workerPid: 0 }
    this.#coming = coming
    this.#changedSeats = 0
    this.#newProcesses = new NewProcesses()
    return coming
  }

  get #seats(): readonly Seat<ChildRole>[] {
    return (this.#supervision as Supervision).seats.filter(({ role }) => role !== 'journal')
  }

  #plantFor(coming: ComingCode): UpgradedPlant {
    const supervision = this.#supervision as Supervision
    const { placement, clock } = this.#options
    const standing = supervision.edition
    const processes = this.#newProcesses
    const standIn = this.#workerSlots.length
    const mustGoOn = () => {
      if (!isBack && processes.failure !== undefined) throw processes.failure
    }
    const moves = new SupervisedMoves({ supervision, placement: placement(), clock, mustGoOn })
    let isBack = false
    // Somebody may just be replaced, for reasons of its own.
    const call = (slot: number, name: string) =>
      this.#patiently(() => supervision.call({ role: 'worker', slot }, name, {}, CALL_WITHIN_MS), moves)
    return {
      version: this.#current.version,
      seats: this.#seats,
      standInSlot: standIn < this.#options.slots ? standIn : undefined,
      addStandIn: (slot) => this.#addStandIn(coming, slot, moves),
      removeStandIn: (slot) => this.#removeStandIn(slot, moves),
      groupsOf: (slot) => this.#groupsOf(slot),
      moveShards: (shards, from, to) => this.#move(shards, from, to, moves),
      load: async (role) => {
        const { version, schemas, pid } = (await supervision.stage(role, coming.edition)) as unknown as CodeDetails
        coming.version = version
        coming.schemas = schemas
        if (role === 'worker') coming.workerPid = pid
        return version
      },
      prepare: () => this.#prepare(coming, moves),
      shorten: async (slot) => {
        await this.#warmed(coming)
        await moves.save(slot)
      },
      handOver: async (seat, code) => {
        if (seat.role === 'gateway' && code === 'new') await this.#tellAll(coming)
        isBack ||= code === 'old'
        return this.#handOver(seat, code === 'new' ? coming.edition : standing, code === 'new')
      },
      fencedCount: async (slot) => ((await call(slot, 'fenced')) as readonly unknown[]).length,
      commandsDone: (slot) => (this.#table as ProcessTable).counters({ role: 'worker', slot }).get('commandsDone'),
      prove: async (slot) => {
        await call(slot, 'proven')
        processes.proven(slot)
      },
      failureOfNew: () => processes.failure,
      commit: () => this.#commit(coming),
      giveUp: () => this.#giveUp(standing),
      whenReady: () => supervision.whenReady(),
    }
  }

  get #workerSlots(): readonly number[] {
    return this.#seats.flatMap(({ role, slot }) => (role === 'worker' ? [slot] : []))
  }

  async #addStandIn(coming: ComingCode, slot: number, moves: SupervisedMoves): Promise<void> {
    await this.#warmed(coming)
    this.#newProcesses.watch({ role: 'worker', slot })
    let hasCome = false
    const come = (this.#supervision as Supervision).add({ role: 'worker', slot }, coming.edition)
    come.then(
      () => (hasCome = true),
      () => undefined,
    )
    await moves.until(() => hasCome, CALL_WITHIN_MS, notReady)
  }

  /** What it has left goes to those that have the fewest. */
  async #removeStandIn(slot: number, moves: SupervisedMoves): Promise<void> {
    const { placement } = this.#options
    const others = this.#workerSlots.filter((other) => other !== slot)
    for (const { shard, from, to } of planMoves(placement(), others)) await this.#move([shard], from, to, moves)
    this.#newProcesses.leave({ role: 'worker', slot })
    await (this.#supervision as Supervision).remove({ role: 'worker', slot }, WORKER_LEAVES_WITHIN_MS)
    clearLevels((this.#table as ProcessTable).counters({ role: 'worker', slot }))
  }

  #groupsOf(slot: number): number[][] {
    const shards = this.#options.placement().shardsOf(slot)
    const entities = (this.#table as ProcessTable).counters({ role: 'worker', slot }).get('knownEntities')
    const size = Math.max(1, Math.min(GROUP_SHARDS_MAX, Math.floor((GROUP_ENTITIES * shards.length) / Math.max(1, entities))))
    const groups = [shards.slice(0, 1)]
    for (let index = 1; index < shards.length; index += size) groups.push(shards.slice(index, index + size))
    return groups
  }

  #move(shards: readonly number[], from: number, to: number, moves: SupervisedMoves): Promise<MovedShards> {
    return this.#patiently(() => moves.move(shards, from, to), moves)
  }

  #patiently<T>(attempt: () => Promise<T>, moves: SupervisedMoves, isWorthwhile: (error: unknown) => boolean = () => true): Promise<T> {
    return tryPatiently(attempt, {
      clock: this.#options.clock,
      whenReady: () => moves.whenReady(),
      onPostponed: () => undefined,
      isWorthwhile,
    })
  }

  /** It is of use before, too, only slower. */
  async #warmed({ workerPid, warmUpMs }: ComingCode): Promise<void> {
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + warmUpMs
    while (!this.#warm.has(workerPid) && clock.monotonicMs() < deadlineMs)
      await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve))
  }

  async #tellAll(coming: ComingCode): Promise<void> {
    coming.isKnownToAll = true
    const supervision = this.#supervision as Supervision
    const workers = this.#seats.filter(({ role }) => role === 'worker')
    // One that takes its seat meanwhile is told with it.
    await Promise.allSettled(workers.map((seat) => supervision.call(seat, 'knowAllCommands', {}, CALL_WITHIN_MS)))
  }

  async #handOver(seat: Seat<ChildRole>, edition: Edition, isNew: boolean): Promise<HandedOver> {
    if (!isNew) this.#newProcesses.leave(seat)
    const withinMs = seat.role === 'worker' ? WORKER_LEAVES_WITHIN_MS : GATEWAY_LEAVES_WITHIN_MS
    const over = await (this.#supervision as Supervision).handOver(seat, edition, withinMs)
    if (isNew) this.#newProcesses.watch(seat)
    return over
  }

  /** What is written down here holds when the supervisor dies in the middle: the plant then starts with the old code, whatever the log was told of. */
  async #prepare(coming: ComingCode, moves: SupervisedMoves): Promise<void> {
    checkCommands(this.#codes.map(schemasOf), schemasOf(coming.schemas))
    const supervision = this.#supervision as Supervision
    // A journal that dies over either call leaves all of it done or nothing: its successor is asked again.
    const journal = (name: string) => {
      const attempt = () => supervision.call({ role: 'journal', slot: 0 }, name, { schemas: coming.schemas }, CALL_WITHIN_MS)
      return this.#patiently(attempt, moves, isLostCall)
    }
    const newEvents = (await journal('newEvents')) as readonly string[]
    const { plantFile, version } = coming
    const record = readPlantRecord(this.#options.dataDirectory)
    const abandonedEvents = [...new Set([...(record?.abandonedEvents ?? []), ...newEvents])]
    this.#write({ upgrade: { plantFile, version }, ...(abandonedEvents.length === 0 ? {} : { abandonedEvents }) })
    Object.assign(coming.edition.settings.journal, { schemas: coming.schemas })
    if (newEvents.length > 0) await journal('register')
  }

  async #commit(coming: ComingCode): Promise<void> {
    const { plantFile, version, schemas } = coming
    const codes = [...this.#codes, schemas]
    // It has been loaded by other processes already, so that it does no harm here.
    const plant = new PlantModel((await importPlant(plantFile)).entities)
    plant.number(codes.map(schemasOf))
    const superseded = readPlantRecord(this.#options.dataDirectory)?.supersedes ?? []
    const supersedes = [...superseded, this.#current.plantFile].filter((file) => file !== plantFile).slice(-SUPERSEDED_MAX)
    this.#write({ plantFile, version, supersedes, upgrade: undefined })
    if (commandCount(codes) > commandCount(this.#codes)) this.#codes = codes
    this.#current = { plantFile, version, schemas }
    this.#coming = undefined
    Object.assign(coming.edition.settings.worker, { isAwaited: false })
    ;(this.#supervision as Supervision).settle(coming.edition)
    this.#options.onChanged(plant)
  }

  #giveUp(standing: Edition): void {
    ;(this.#supervision as Supervision).settle(standing)
    if (readPlantRecord(this.#options.dataDirectory)?.upgrade !== undefined) this.#write({ upgrade: undefined })
  }

  #write(change: Partial<Parameters<typeof writePlantRecord>[1]>): void {
    const { dataDirectory } = this.#options
    const { plantFile, version } = this.#current
    const record = readPlantRecord(dataDirectory) ?? { configFile: undefined }
    writePlantRecord(dataDirectory, { ...record, plantFile, version, ...change })
  }
}

function commandCount(codes: readonly (readonly string[])[]): number {
  return numberCommands(codes.map(schemasOf)).length
}

function upgradeRuns(version: string): MillraceError {
  return new MillraceError('ERR_UPGRADE_RUNS', {
    fact: 'the plant is being upgraded already',
    action: 'retry',
    values: { to: version },
    next: 'wait for its end: millrace status shows how far it is',
  })
}

function noSuchFile(file: unknown): MillraceError {
  return new MillraceError('ERR_PLANT_MODULE', {
    fact: 'there is no plant module',
    action: 'operator',
    values: { file },
    next: 'name the file that exports definePlant(...) by default',
  })
}

function sameFile(file: string): MillraceError {
  return new MillraceError('ERR_CODE_SAME_FILE', {
    fact: 'the plant runs from this very file, and could not return to what was in it before',
    action: 'operator',
    values: { file },
    next: 'put each version in a folder of its own, as releases/1.1.0/plant.js, and name the new one',
  })
}
