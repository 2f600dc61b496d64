import { Worker } from '#actors/worker.js'
import { type Clock, systemClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { entityId, type EntityId } from '#base/ids.js'
import {
  channelBytes,
  createChannel,
  type DutyCycle,
  InProcessBell,
  type RunningDutyCycle,
  runDutyCycle,
  type Schedule,
} from '#bus/index.js'
import { type AnswerOf, type AnyEntity, decodeCanonical, encodeCanonical, PlantHash, PlantModel, type StateOf } from '#entity/index.js'
import { BusDoor, type WorkerChannel } from '#ingest/bus-door.js'
import type { AnswerWanted, Door, Settlement } from '#ingest/door.js'
import type { RunningSource, SourceDefinition, SourceLog } from '#ingest/source.js'
import type { Journal } from '#journal/index.js'
import { JournalFeed } from '#reading/log-feed.js'
import type { RunningTarget, TargetDefinition } from '#targets/target.js'
import { registerSchemas } from '#journal/register-schemas.js'
import type { InputOf } from '#schema/index.js'
import { entityRowsOf, readEntityState, readEntityStateAt } from '#reading/entity-state.js'
import { JournalServer } from '#serving/journal-server.js'
import { Placement } from '#shards/placement.js'
import { type PlantShape, planChannels } from './channel-plan.js'
import type { EffectsConfig } from './effect-targets.js'
import { inlineEffects } from './inline-effects.js'
import { joinDuties } from './joined-duties.js'
import type { EffectRunner } from '#effects/effect-runner.js'
import type { Config } from './config-schema.js'
import { type InlineStorage, inMemoryStorage, openStorage } from './inline-storage.js'
import { type RunningRetention, startRetention } from './log-retention.js'
import { startSources } from './plant-sources.js'
import { startTargets } from './plant-targets.js'
import { replayHash } from './replay-hash.js'
import { type BusAccess, wireEffects, wireGateway, wireJournal, wireWorker } from './wiring.js'

export interface OpenPlantOptions {
  readonly entities: readonly AnyEntity[]
  /** Folder of the log, made when it is not there. Without it everything is in memory and gone at the end. */
  readonly data?: string
  /** Run in this process too. */
  readonly sources?: readonly SourceDefinition[]
  /** Run in this process too. */
  readonly targets?: readonly TargetDefinition[]
  /** Where effects may go, and bounds for them, as in the configuration of a plant of processes; `${NAME}` stands for a variable of the environment. */
  readonly effects?: Partial<EffectsConfig>
  /** Hears what the sources and targets have to say; by default warnings of the process. */
  readonly log?: SourceLog
  readonly workers?: number
  /** Time as the plant sees it; a FakeClock makes a run repeatable. */
  readonly clock?: Clock
  /** Of each of the larger rings, a power of two. */
  readonly capacityBytes?: number
  readonly liveEntitiesMax?: number
  readonly passivateAfterMs?: number
  readonly snapshotEvery?: number
  /** What of the log is kept: everything when left out. */
  readonly retention?: Partial<Config['retention']>
  /** How turns are scheduled; setImmediate unless a simulation drives them. */
  readonly schedule?: Schedule
}

export interface SendOptions {
  /** Who sends, and the number of this command there: with both, sending it again gives the first answer. */
  readonly source?: string
  readonly sequence?: number
  /** When it happened, microseconds since 1970. */
  readonly at?: number
  readonly correlation?: string
}

/** Makes a gateway that stands beside the plant's own from its ends to the workers. `wake` says that there is work that no peer rings for. */
export type MakeGateway = (channels: readonly WorkerChannel[], wake: () => void) => DutyCycle

/** A method per command: `plant.entity(Press, 'press-1').sample({ temperature: 95, force: 3 })`. */
export type EntityHandle<T extends AnyEntity> = {
  readonly [K in keyof T['commands'] & string]: (data: InputOf<T['commands'][K]>, options?: SendOptions) => Promise<AnswerOf<T, K>>
}

/** A method per command that resolves when the command is done, whatever it came to. */
export type TellHandle<T extends AnyEntity> = {
  readonly [K in keyof T['commands'] & string]: (data: InputOf<T['commands'][K]>, options?: SendOptions) => Promise<void>
}

const KEEP_ALL: Config['retention'] = { ageMs: null, bytesMax: null, heldBytesMax: 2 ** 30, archive: null }
const LIVE_ENTITIES_MAX = 100_000
const PASSIVATE_AFTER_MS = 600_000
const COMMANDS_PER_TURN = 512
const IN_FLIGHT_MAX = 65_536
const CAPACITY_BYTES = 4 * 1024 * 1024
const FRAMES_MAX = 16_384

/**
 * A whole plant in this process: the same worker, journal server and door as the plant of many processes, over rings in plain memory. Needs no
 * native addon. Opening resolves when every shard is loaded.
 */
export async function openPlant(options: OpenPlantOptions): Promise<InlinePlant> {
  const plant = new PlantModel(options.entities)
  const storage = options.data === undefined ? inMemoryStorage() : await openStorage(options.data)
  try {
    await registerSchemas(storage.journal, plant.schemas)
    return await InlinePlant.start(plant, storage, options)
  } catch (error) {
    await storage.close()
    throw error
  }
}

export class InlinePlant {
  /** The way in for sources. */
  readonly door: Door
  readonly journal: Journal
  readonly model: PlantModel
  readonly #storage: InlineStorage
  readonly #clock: Clock
  readonly #workers: readonly Worker[]
  readonly #busDoor: BusDoor
  readonly #effects: EffectRunner
  readonly #server: JournalServer
  readonly #running: readonly RunningDutyCycle[]
  readonly #schedule: Schedule
  readonly #retention: RunningRetention | undefined
  #sources: RunningSource[] = []
  #targets: RunningTarget[] = []
  #failure: Error | undefined

  static async start(model: PlantModel, storage: InlineStorage, options: OpenPlantOptions, gateway?: MakeGateway): Promise<InlinePlant> {
    const plant = new InlinePlant(model, storage, options, gateway)
    await plant.#until(() => plant.#workers.every((worker) => worker.isLoaded))
    const { sources = [], targets = [], log = warn } = options
    plant.#targets = await startTargets(targets, {
      feed: () => new JournalFeed(plant.journal, plant.#clock),
      clock: plant.#clock,
      log,
      plant: options.data ?? 'inline',
    })
    if (sources.length > 0) {
      plant.#sources = await startSources(sources, { door: plant.door, clock: plant.#clock, log, directory: storage.sourceDirectory() })
    }
    return plant
  }

  private constructor(model: PlantModel, storage: InlineStorage, options: OpenPlantOptions, gateway: MakeGateway | undefined) {
    const { journal } = storage
    this.model = model
    this.journal = journal
    this.#storage = storage
    const clock = options.clock ?? systemClock
    this.#clock = clock
    this.#schedule = options.schedule ?? setImmediate
    const shape = { workers: options.workers ?? 1, gateways: gateway === undefined ? 1 : 2 }
    const capacityBytes = options.capacityBytes ?? CAPACITY_BYTES
    const placement = Placement.even(journal.shardCount, shape.workers)
    const access = inProcessBus({ schemaHash: model.schemaHash, shape, capacityBytes, schedule: this.#schedule, placement })
    const holder = (term: number) => ({ pid: process.pid, startTime: 0, term, schemaHash: model.schemaHash })
    const onFatal = (error: unknown) => this.#fail(error)
    const cycles: RunningDutyCycle[] = []
    const run = (duty: DutyCycle, bell: InProcessBell) => {
      const cycle = runDutyCycle(duty, { strategy: 'park', parked: bell, bell, clock, onError: onFatal, schedule: this.#schedule })
      cycles.push(cycle)
      return cycle
    }

    let serverCycle: RunningDutyCycle | undefined
    this.#server = new JournalServer({
      journal,
      links: wireJournal(access, shape, holder(storage.nextTerm())),
      clock,
      framesMax: FRAMES_MAX,
      bytesMax: capacityBytes,
      onFatal,
      wake: () => serverCycle?.wake(),
    })
    serverCycle = run(this.#server, access.bell('journal', 0))
    this.#retention =
      options.data === undefined
        ? undefined
        : startRetention({
            journal,
            server: this.#server,
            placement,
            config: { ...KEEP_ALL, ...options.retention },
            dataDirectory: options.data,
            clock,
            log: options.log ?? warn,
          })

    this.#workers = Array.from({ length: shape.workers }, (_, slot) => {
      const term = storage.nextTerm()
      const wired = wireWorker(access, slot, shape, holder(term))
      let workerCycle: RunningDutyCycle | undefined
      const worker = new Worker({
        plant: model,
        shards: placement.shardsOf(slot),
        shardCount: journal.shardCount,
        term,
        inbound: wired.inbound,
        messages: wired.messages,
        journal: wired.journal,
        clock,
        limits: {
          liveEntitiesMax: options.liveEntitiesMax ?? LIVE_ENTITIES_MAX,
          passivateAfterMs: options.passivateAfterMs ?? PASSIVATE_AFTER_MS,
          snapshotEvery: options.snapshotEvery ?? Number.POSITIVE_INFINITY,
          commandsPerTurn: COMMANDS_PER_TURN,
          inFlightMax: IN_FLIGHT_MAX,
        },
        onLoaded: () => {},
        wake: () => workerCycle?.wake(),
        onFatal,
      })
      workerCycle = run(worker, access.bell('worker', slot))
      return worker
    })

    let doorCycle: RunningDutyCycle | undefined
    const doorTerm = storage.nextTerm()
    this.#busDoor = new BusDoor({
      plant: model,
      channels: wireGateway(access, 0, shape, holder(doorTerm)),
      placement,
      term: doorTerm,
      clock,
      wake: () => doorCycle?.wake(),
    })
    this.#effects = inlineEffects(model, {
      channels: wireEffects(access, shape, holder(doorTerm)),
      config: options.effects,
      data: options.data,
      clock,
      wake: () => doorCycle?.wake(),
      log: options.log ?? warn,
    })
    doorCycle = run(joinDuties(this.#busDoor, this.#effects), access.bell('gateway', 0))
    this.door = this.#busDoor
    if (gateway !== undefined) {
      const ends = wireGateway(access, 1, shape, holder(storage.nextTerm()))
      const made = gateway(ends, () => cycle.wake())
      const cycle = run(made, access.bell('gateway', 1))
    }
    this.#running = cycles
  }

  /** The entity of that type and name, whether it exists yet or not. Throws ERR_ENTITY_ID for a name that cannot be one. */
  entity<T extends AnyEntity>(type: T, name: string): EntityHandle<T> {
    return this.#handle(type, name, 'always') as EntityHandle<T>
  }

  /** As `entity`, for who does not want to know what a command came to: resolves when it is durable, done or refused. */
  tell<T extends AnyEntity>(type: T, name: string): TellHandle<T> {
    return this.#handle(type, name, 'refused') as TellHandle<T>
  }

  /**
   * Sends a command and resolves with its answer once that is durable. Rejects with ERR_COMMAND for one that no entity can take, and with
   * ERR_COMMAND_FAILED when the entity's own code threw. Waits while the plant is full.
   */
  send(id: EntityId, command: string, data: Readonly<Record<string, unknown>>, options: SendOptions = {}): Promise<unknown> {
    return this.#offer(id, command, data, options, 'always')
  }

  #handle(type: AnyEntity, name: string, wanted: AnswerWanted): unknown {
    const id = entityId(type.name, name)
    const send = (command: string) => (data: object, options?: SendOptions) =>
      this.#offer(id, command, data as Record<string, unknown>, options ?? {}, wanted)
    return Object.fromEntries(Object.keys(type.commands).map((command) => [command, send(command)]))
  }

  #offer(
    id: EntityId,
    command: string,
    data: Readonly<Record<string, unknown>>,
    options: SendOptions,
    wanted: AnswerWanted,
  ): Promise<unknown> {
    const correlation = options.correlation === undefined ? {} : { correlation: options.correlation }
    const envelope = {
      source: options.source ?? '',
      sequence: options.sequence ?? 0,
      entity: id,
      command,
      data,
      at: options.at,
      ...correlation,
    }
    return new Promise((resolve, reject) => {
      const offer = () => {
        if (this.#failure !== undefined) return reject(this.#failure)
        const offered = this.door.offer(envelope, wanted, (settlement) => {
          if (wanted === 'always' || settlement.kind === 'failed') settle(settlement, id, command, resolve, reject)
          else resolve(undefined)
        })
        if (offered === 'full') this.door.onRoom(offer)
        else if (offered !== 'accepted') reject(commandError('ERR_COMMAND', offered.rejected, id, command))
      }
      offer()
    })
  }

  /** A copy of an entity's durable state; undefined when there is no such entity. */
  async state<T extends AnyEntity>(type: T, name: string): Promise<StateOf<T> | undefined> {
    await this.drain()
    const id = entityId(type.name, name)
    for (const worker of this.#workers) {
      const bytes = await worker.read(id, ({ version, state }) => (version > 0 ? encodeCanonical(state) : undefined))
      if (bytes !== undefined) return decodeCanonical(bytes) as StateOf<T>
    }
    return undefined
  }

  /**
   * What an entity was: after its row with that version, or after the last row that the plant had accepted at that time (microseconds since 1970). Folded from the
   * log; undefined when the entity had no row then. Throws ERR_ROWS_DROPPED when retention dropped what it comes from.
   */
  async stateAsOf<T extends AnyEntity>(
    type: T,
    name: string,
    asOf: { readonly version: number } | { readonly accepted: number },
  ): Promise<StateOf<T> | undefined> {
    await this.drain()
    const id = entityId(type.name, name)
    const model = this.model.model(type.name)
    const rows = entityRowsOf(this.journal)
    if (model === undefined) return undefined
    const found = await ('version' in asOf
      ? readEntityState(rows, model, id, asOf.version)
      : readEntityStateAt(rows, model, id, asOf.accepted))
    return found?.state as StateOf<T> | undefined
  }

  /** The hash over all live states, and over a replay of the whole log: equal, or something is wrong. */
  async stateHash(): Promise<{ readonly live: string; readonly replayed: string }> {
    await this.drain()
    const live = new PlantHash()
    for (const worker of this.#workers) live.merge(await worker.stateHash())
    return { live: live.hex(), replayed: await replayHash(this.journal, this.model) }
  }

  /** Resolves when everything that was sent is answered, and no effect is being attempted: those that failed and wait for another attempt are not waited for. */
  drain(): Promise<void> {
    const isIdle = () => this.#busDoor.inFlightCount === 0 && this.#workers.every((worker) => worker.isIdle) && this.#server.isIdle
    return this.#until(() => isIdle() && this.#effects.isQuiet)
  }

  /** Stops the sources, finishes what is in flight, stops the targets and closes the log. */
  async close(): Promise<void> {
    for (const source of this.#sources) await source.stop()
    this.#sources = []
    this.#busDoor.close()
    if (this.#failure === undefined) await this.drain()
    this.#effects.stop()
    await this.#retention?.stop()
    await Promise.all(this.#targets.map((target) => target.stop()))
    for (const cycle of this.#running) cycle.stop()
    await this.#storage.close()
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
    for (const cycle of this.#running) cycle.stop()
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.#failure !== undefined) reject(this.#failure)
        else if (condition()) resolve()
        else this.#schedule(look)
      }
      look()
    })
  }
}

const warn: SourceLog = (level, message, values) => {
  if (level !== 'info') process.emitWarning(`${message} ${JSON.stringify(values ?? {})}`, 'MillraceWarning')
}

interface InProcessBus extends BusAccess {
  bell(role: string, slot: number): InProcessBell
}

function inProcessBus({
  schemaHash,
  shape,
  capacityBytes,
  schedule,
  placement,
}: {
  readonly schemaHash: number
  readonly shape: PlantShape
  readonly capacityBytes: number
  readonly schedule: Schedule
  readonly placement: Placement
}): InProcessBus {
  const memories = new Map<string, ArrayBufferLike>()
  for (const channel of planChannels(shape, { capacityBytes, answerCapacityBytes: Math.max(4096, capacityBytes / 4) })) {
    const buffer = new SharedArrayBuffer(channelBytes(channel.capacityBytes))
    createChannel(buffer, { capacityBytes: channel.capacityBytes, schemaHash, name: channel.name })
    memories.set(channel.name, buffer)
  }
  const bells = new Map<string, InProcessBell>()
  const bell = (role: string, slot: number) => {
    const name = `${role}/${slot}`
    const known = bells.get(name) ?? new InProcessBell(schedule)
    bells.set(name, known)
    return known
  }
  return { memory: (channel) => memories.get(channel) as ArrayBufferLike, peer: bell, bell, placement }
}

function settle(
  settlement: Settlement,
  id: EntityId,
  command: string,
  resolve: (answer: unknown) => void,
  reject: (error: Error) => void,
): void {
  if (settlement.kind === 'done') resolve({ ok: true, version: settlement.version, reply: settlement.reply })
  else if (settlement.kind === 'refused')
    resolve({ ok: false, version: settlement.version, refused: settlement.code, detail: settlement.detail })
  else if (settlement.kind === 'failed') reject(commandError('ERR_COMMAND_FAILED', settlement.message, id, command))
  else reject(commandError('ERR_ANSWER_FORGOTTEN', 'the command was done before, but its answer is no longer known', id, command))
}

function commandError(
  code: 'ERR_COMMAND' | 'ERR_COMMAND_FAILED' | 'ERR_ANSWER_FORGOTTEN',
  fact: string,
  entity: string,
  command: string,
): MillraceError {
  return new MillraceError(code, { fact, action: 'operator', values: { entity, command } })
}
